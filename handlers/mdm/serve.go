package mdm

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/handlers"
	"github.com/rollcall-mdm/rollcall/handlers/plist"
)

// checkInType begins the Content-Type of check-in messages; a charset may follow.
const checkInType = "application/x-apple-aspen-mdm-checkin"

// The types of answers.
const (
	xmlType  = "application/xml; charset=UTF-8"
	jsonType = "application/json"
)

// A request is a message on its way through the door, as far as it has come.
type request struct {
	ctx         context.Context
	http        *http.Request
	address     string // of the sender, without its port
	now         time.Time
	certificate device.Certificate
	body        body
	message     *plist.Dict
	sender      sender
}

// An answer is what the device is told.
type answer struct {
	status      int
	contentType string
	body        []byte
	retry       time.Duration // when to try again; zero if nothing is to be said about it
}

var kept = answer{status: http.StatusOK}

// serve returns the handler that lets messages in and has them taken.
func (d *Door) serve(take func(*request) (answer, error)) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := &request{ctx: c.Request().Context(), http: c.Request(), address: c.RealIP(), now: d.Now()}
		a, err := d.let(r, take)
		if err != nil {
			a = d.refuse(r, err)
		}
		d.messages.release(r.body)
		return write(c, a)
	}
}

// let does what is the same for all messages, up to knowing what the message says and who says it.
func (d *Door) let(r *request, take func(*request) (answer, error)) (_ answer, err error) {
	defer func() {
		if p := recover(); p != nil { // a slip of ours must not end other devices' connections
			err = fmt.Errorf("panic of type %T\n%s", p, debug.Stack())
		}
	}()
	if err := d.believe(r); err != nil {
		return answer{}, err
	}
	if err := d.places.take(r.ctx); err != nil {
		return answer{}, err
	}
	defer d.places.leave()
	if r.message, err = plist.Scan(r.body.bytes); err != nil {
		return answer{}, &malformed{text: plainly(err)}
	}
	if r.sender, err = d.sender(r.message); err != nil {
		return answer{}, err
	}
	if err := d.stillGood(r); err != nil {
		return answer{}, err
	}
	return take(r)
}

// stillGood refuses a sender whose certificate was revoked.
func (d *Door) stillGood(r *request) error {
	if d.Revoked != nil && d.Revoked(r.certificate.Fingerprint) {
		return errRevoked
	}
	return nil
}

// believe reads the message, and makes sure of its sender. The body of a sender who shows nothing that could be
// believed is not read.
func (d *Door) believe(r *request) error {
	if d.Identity.spoofed(r.http) {
		d.Observe.refused("untrusted-proxy")
	}
	who, err := d.Identity.examine(r.http, r.now)
	if err == nil && who.signature == nil {
		r.certificate = who.Certificate
	}
	if r.http.ContentLength > d.MaxBody {
		return errTooLarge
	}
	if err != nil {
		return err
	}
	if r.body, err = d.messages.read(r.http, d.MaxBody); err != nil {
		return err
	}
	if err := who.holds(r.body.bytes); err != nil {
		return err
	}
	r.certificate = who.Certificate
	return nil
}

// either takes a message of whatever kind.
func (d *Door) either(r *request) (answer, error) {
	if strings.HasPrefix(r.http.Header.Get("Content-Type"), checkInType) || r.message.Has("MessageType") {
		return d.checkIn(r)
	}
	return d.connect(r)
}

// meta returns what events that follow from the message keep about it.
func (r *request) meta() eventstore.Meta {
	return eventstore.Meta{
		Actor:       eventstore.Actor{Kind: eventstore.ByDevice, ID: r.sender.device, Address: r.address},
		Correlation: handlers.RequestFrom(r.ctx),
	}
}

func write(c echo.Context, a answer) error {
	h := c.Response().Header()
	h.Set("Content-Length", strconv.Itoa(len(a.body)))
	if a.retry > 0 {
		h.Set("Retry-After", strconv.Itoa(int(a.retry.Seconds())))
	}
	if len(a.body) == 0 {
		return c.NoContent(a.status)
	}
	return c.Blob(a.status, a.contentType, a.body)
}

// plainly returns what is wrong with a property list. The guard's errors quote nothing; any other might.
func plainly(err error) string {
	if e, ok := errors.AsType[*plist.Error](err); ok {
		return e.Error()
	}
	return "the message is no property list that can be read"
}
