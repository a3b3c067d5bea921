package enroll

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"io"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/enrollment"
	"github.com/rollcall-mdm/rollcall/domain/profile"
	"github.com/rollcall-mdm/rollcall/handlers"
)

// overTheAirTime is how long a device may take from the first profile to the last.
const overTheAirTime = time.Hour

// overTheAir gives the first profile of the over-the-air road, which asks the device what it is.
func (d *Door) overTheAir(c echo.Context) error {
	id, _, err := d.open(c, enrollment.OTA)
	if err != nil {
		return d.trouble(c, err)
	}
	return d.beginOverTheAir(c, ticket{Invitation: id})
}

// beginOverTheAir gives it to whoever may have it by a ticket.
func (d *Door) beginOverTheAir(c echo.Context, t ticket) error {
	t.For, t.Until = "ota", d.Now().Add(overTheAirTime).Unix()
	head := d.Enrolments.Head()
	head.Identifier += ".service"
	p, err := profile.Service{
		Head: head, URL: strings.TrimRight(d.Enrolments.URL, "/") + "/enroll/ota", PlainHTTP: d.Enrolments.PlainHTTP,
		Challenge: d.Links.issue(t),
	}.Profile()
	if err != nil {
		return err
	}
	return d.send(c, p, true)
}

// answerOverTheAir answers a device that tells what it is. Signed with the certificate that it was built with, it gets an
// identity; signed with that identity, the enrolment profile.
func (d *Door) answerOverTheAir(c echo.Context) error {
	message, err := io.ReadAll(c.Request().Body)
	if err != nil {
		return err
	}
	m, err := readMachine(message)
	if err != nil {
		return err
	}
	t, err := d.Links.read(m.Challenge, "ota", d.Now())
	if err != nil {
		return err
	}
	if m.UDID == "" {
		return domain.Refusef(domain.Invalid, "the device does not say its UDID")
	}
	ctx := c.Request().Context()
	pass := handlers.Pass{Invitation: t.Invitation, Road: enrollment.OTA, Device: d.Pseudonyms.Device(m.UDID), Person: t.person(), Once: true, Lasts: overTheAirTime}
	whose, ours, err := d.Issued(ctx, m.signer)
	if err != nil {
		return err
	}
	if !ours {
		if err := d.prove(ctx, m); err != nil {
			return err
		}
		return d.identify(c, pass)
	}
	if whose.Invitation != t.Invitation || whose.Device != pass.Device {
		return domain.Refusef(domain.Forbidden, "the message is signed with the identity of another enrolment")
	}
	return d.giveTo(c, handlers.Wish{Pass: pass}, m.signer)
}

// giveTo sends a profile whose payloads only the holder of a certificate can read, where its key can decipher. Source: Apple,
// "Over-the-Air Profile Delivery", phase 3.
func (d *Door) giveTo(c echo.Context, w handlers.Wish, device *x509.Certificate) error {
	p, err := d.Enrolments.Profile(c.Request().Context(), w)
	if err != nil {
		return err
	}
	if _, deciphers := device.PublicKey.(*rsa.PublicKey); deciphers {
		if p, err = handlers.EncipherProfile(p, device); err != nil {
			return err
		}
	}
	return d.send(c, p, true)
}

// identify sends a profile that brings an identity and nothing else.
func (d *Door) identify(c echo.Context, pass handlers.Pass) error {
	identity, err := d.Enrolments.FirstIdentity(c.Request().Context(), pass)
	if err != nil {
		return err
	}
	head := d.Enrolments.Head()
	head.Identifier += ".identity"
	p, err := profile.OnlyIdentity(head, identity, d.Enrolments.PlainHTTP)
	if err != nil {
		return err
	}
	return d.send(c, p, true)
}

// prove refuses a device that was not signed for by what it was built with, where the server knows what that is. Where it
// does not, it says so.
func (d *Door) prove(ctx context.Context, m machine) error {
	if len(d.Built) == 0 {
		d.Log.InfoContext(ctx, "a device comes in whose maker nobody has vouched for: --apple-device-ca names the certificates that devices are built with", "product", m.Product)
		return nil
	}
	if err := builtIn(m.signer, m.chain, d.Built); err != nil {
		return domain.WithHint(domain.Refusef(domain.Forbidden, "the message is not signed with a certificate that Apple builds into devices"),
			"if the device is genuine, its intermediate certificate is missing in --apple-device-ca")
	}
	return nil
}
