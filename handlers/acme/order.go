package acme

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/rollcall-mdm/rollcall/domain/challenge"
	"github.com/rollcall-mdm/rollcall/handlers"
)

// orderLasts is how long an order is good.
const orderLasts = time.Hour

// An order is one as its addresses hold it.
type order struct {
	ID         string `json:"i"` // 16 random bytes, hex
	Requester  string `json:"r"`
	Identifier string `json:"c"` // the challenge that stands in the profile: a secret
	Ticket     string `json:"t"` // by which the log knows that
	Device     string `json:"d,omitempty"`
	Once       bool   `json:"o,omitempty"`
	Ends       int64  `json:"e"` // seconds since 1970
}

// An identifier is what a certificate is ordered for.
type identifier struct {
	Type  string `json:"type"`
	Value string `json:"value"`
}

// How things stand. Source: RFC 8555, 7.1.6.
const (
	pending = "pending"
	ready   = "ready"
	valid   = "valid"
	invalid = "invalid"
)

// order takes an order. Of its wishes only the identifier is looked at.
func (d *Door) order(c *call) error {
	var wish struct {
		Identifiers []identifier `json:"identifiers"`
	}
	if err := c.payloadInto(&wish); err != nil {
		return err
	}
	if len(wish.Identifiers) != 1 {
		return errMalformed("an order has one identifier")
	}
	if wish.Identifiers[0].Type != identifierType {
		return wrong(unsupported, http.StatusBadRequest, "certificates are given for a %s: the ClientIdentifier of an ACME payload", identifierType)
	}
	value := wish.Identifiers[0].Value
	if len(value) > 1024 {
		return errMalformed("the identifier is too long")
	}
	grant, err := d.Challenges.Check(c.Request().Context(), value, handlers.Asked{Address: c.RealIP()})
	if err != nil {
		return told(err, rejected, http.StatusForbidden)
	}
	id := make([]byte, 16)
	_, _ = rand.Read(id) // never fails
	o := order{
		ID: hex.EncodeToString(id), Requester: c.requester, Identifier: value, Ticket: grant.By, Device: grant.Device, Once: grant.Once,
		Ends: d.Now().Add(orderLasts).Unix(),
	}
	return d.tell(c, o, http.StatusCreated)
}

// standing tells how an order stands.
func (d *Door) standing(c *call) error {
	o, err := d.ordered(c)
	if err == nil {
		err = c.asks()
	}
	if err != nil {
		return err
	}
	return d.tell(c, o, http.StatusOK)
}

// ordered returns the order that the request's address holds, if it is the requester's.
func (d *Door) ordered(c *call) (o order, err error) {
	if d.seals.open(orderPath, c.Param("at"), &o) != nil {
		return o, wrong(malformed, http.StatusNotFound, "there is nothing at this address: begin with another order")
	}
	if o.Requester != c.requester {
		return o, wrong(unauthorized, http.StatusForbidden, "the order is another account's")
	}
	return o, nil
}

// ended reports whether an order is good no longer.
func (d *Door) ended(o order) bool { return d.Now().Unix() >= o.Ends }

// errEnded refuses what is asked for an order that is good no longer.
func errEnded() error {
	return wrong(malformed, http.StatusBadRequest, "the order has expired: begin with another one")
}

// address returns one of an order's addresses.
func (d *Door) address(path string, o order) (string, error) {
	text, err := d.seals.seal(orderPath, o)
	return d.URL + path + text, err
}

// An orderObject is an order as its client is told of it.
type orderObject struct {
	Status         string       `json:"status"`
	Expires        time.Time    `json:"expires"`
	Identifiers    []identifier `json:"identifiers"`
	Authorizations []string     `json:"authorizations"`
	Finalize       string       `json:"finalize"`
	Certificate    string       `json:"certificate,omitempty"`
}

// tell answers with an order as it stands.
func (d *Door) tell(c *call, o order, status int) error {
	answer, found, err := d.Authority.Answered(c.Request().Context(), o.Ticket, o.ID)
	if err != nil {
		return err
	}
	object, err := d.object(o)
	if err != nil {
		return err
	}
	switch {
	case !found && d.ended(o):
		object.Status = invalid
	case found:
		object.Status = ready
		if answer.PublicKey != "" {
			if object.Certificate, err = d.given(c, o, answer.PublicKey); err != nil {
				return err
			}
		}
		if object.Certificate != "" {
			object.Status = valid
		} else if d.ended(o) {
			object.Status = invalid
		}
	}
	own, err := d.address(orderPath, o)
	if err != nil {
		return err
	}
	c.location(own)
	return c.JSON(status, object)
}

func (d *Door) object(o order) (object orderObject, err error) {
	object = orderObject{Status: pending, Expires: time.Unix(o.Ends, 0).UTC(), Identifiers: []identifier{{identifierType, o.Identifier}}}
	proof, err := d.address(proofPath, o)
	if err != nil {
		return object, err
	}
	object.Authorizations = []string{proof}
	object.Finalize, err = d.address(finalizePath, o)
	return object, err
}

// A challengeObject is the one challenge of an order.
type challengeObject struct {
	Type   string `json:"type"`
	URL    string `json:"url"`
	Token  string `json:"token"`
	Status string `json:"status"`
}

// authorization tells what is to be shown for an order.
func (d *Door) authorization(c *call) error {
	o, err := d.ordered(c)
	if err == nil {
		err = c.asks()
	}
	if err != nil {
		return err
	}
	_, found, err := d.Authority.Answered(c.Request().Context(), o.Ticket, o.ID)
	if err != nil {
		return err
	}
	status := pending
	switch {
	case found:
		status = valid
	case d.ended(o):
		status = invalid
	}
	one, err := d.challengeObject(o, status)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, map[string]any{
		"status": status, "expires": time.Unix(o.Ends, 0).UTC(), "identifier": identifier{identifierType, o.Identifier}, "challenges": []challengeObject{one},
	})
}

func (d *Door) challengeObject(o order, status string) (challengeObject, error) {
	address, err := d.address(challengePath, o)
	return challengeObject{attestationType, address, d.token(o), status}, err
}

// token is what an attestation for the order must have been asked for with, as its SHA-256. Nobody can tell it before the order.
func (d *Door) token(o order) string {
	key := derive(d.Key, "tokens")
	mac := hmac.New(sha256.New, key[:])
	mac.Write([]byte(o.ID))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// sameKey reports whether two keys are one.
func sameKey(a, b jose.JSONWebKey) bool {
	one, err := a.Thumbprint(crypto.SHA256)
	other, otherwise := b.Thumbprint(crypto.SHA256)
	return err == nil && otherwise == nil && hmac.Equal(one, other)
}

// answered is the event that an answer becomes.
func (o order) answered() challenge.Answered {
	return challenge.Answered{Order: o.ID, Requester: o.Requester}
}
