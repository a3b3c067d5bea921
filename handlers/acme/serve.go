package acme

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/handlers"
)

// An operation is what is done with a request that holds.
type operation struct {
	name string
	by   who
	do   func(*Door, *call) error
}

// A call is a request that holds, while it is answered.
type call struct {
	echo.Context
	request
}

// serve answers one kind of requests. No more are worked on at once than there are processors for.
func (d *Door) serve(o operation) echo.HandlerFunc {
	return func(c echo.Context) error {
		d.adorn(c)
		select {
		case d.places <- struct{}{}:
			defer func() { <-d.places }()
		case <-c.Request().Context().Done():
			return c.Request().Context().Err()
		}
		r, err := d.read(c.Request(), o.by)
		if err == nil {
			err = o.do(d, &call{c, r})
		}
		d.Observe(o.name, outcome(err))
		if err == nil {
			return nil
		}
		if d.told.Allow() {
			d.Log.WarnContext(c.Request().Context(), "a request for a certificate was refused", "at", o.name, "why", outcome(err), "text", err, "address", c.RealIP())
		}
		return d.refuse(c, err)
	}
}

// outcome is the word by which metrics know an error.
func outcome(err error) string {
	if p, is := errors.AsType[*problem](err); is {
		return p.word
	}
	if err != nil {
		return "failed"
	}
	return "ok"
}

// asks refuses a request that brings something where it may only ask. Source: RFC 8555, 6.3.
func (c *call) asks() error {
	if len(c.payload) > 0 {
		return errMalformed("this address is asked with an empty payload")
	}
	return nil
}

// payloadInto reads the request's payload.
func (c *call) payloadInto(v any) error {
	if json.Unmarshal(c.payload, v) != nil {
		return errMalformed("the payload is not a JSON object of the form that is wanted here")
	}
	return nil
}

// meta says in the log who asks. The device is not known yet, but for what a challenge was bound to.
func (c *call) meta(device string) eventstore.Meta {
	return eventstore.Meta{
		Actor:       eventstore.Actor{Kind: eventstore.ByDevice, ID: device, Address: c.RealIP()},
		Correlation: handlers.RequestFrom(c.Request().Context()),
	}
}

// location names what the answer is about.
func (c *call) location(address string) { c.Response().Header().Set("Location", address) }

// An account is what is told of one: it is its key, and holds nothing else.
type account struct {
	Status string `json:"status"`
}

// account answers whoever wants one. Each key is an account from the start; what it says of itself is not kept.
func (d *Door) account(c *call) error {
	var wish struct {
		OnlyReturnExisting bool `json:"onlyReturnExisting"`
	}
	if err := c.payloadInto(&wish); err != nil {
		return err
	}
	text, err := d.seals.seal(accountPath, c.key)
	if err != nil {
		return err
	}
	c.location(d.URL + accountPath + text)
	if wish.OnlyReturnExisting {
		return c.JSON(http.StatusOK, account{"valid"})
	}
	return c.JSON(http.StatusCreated, account{"valid"})
}

// about tells of an account. It cannot be ended: nothing of it is here.
func (d *Door) about(c *call) error {
	var change struct {
		Status string `json:"status"`
	}
	if len(c.payload) > 0 {
		if err := c.payloadInto(&change); err != nil {
			return err
		}
	}
	if change.Status != "" && change.Status != "valid" {
		return wrong(unauthorized, http.StatusForbidden, "an account is its key, and is kept nowhere: throw the key away")
	}
	if key, err := d.openAccount(d.URL + c.Request().URL.Path); err != nil || !sameKey(key, c.key) {
		return wrong(unauthorized, http.StatusForbidden, "this is another's account")
	}
	return c.JSON(http.StatusOK, account{"valid"})
}
