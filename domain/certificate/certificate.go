// Package certificate decides whose a certificate is. One stream is one certificate, by its fingerprint, so that
// no two devices can ever be bound to the same one: the log itself refuses the second.
package certificate

import (
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
)

// Kind is the kind of the streams. A stream's id is the SHA-256 of the certificate's DER, hex.
const Kind = "certificate"

// A Certificate is a certificate as its events tell it.
type Certificate struct {
	Device string // pseudonym of the device that it is bound to; empty if none
}

// A Bound says that a certificate speaks for one device from now on, and for no other, ever.
type Bound struct{ Device string }

// EventType returns the stored name.
func (Bound) EventType() string { return "certificate.bound" }

// Events lists every event of a certificate by its zero value.
func Events() []domain.Event { return []domain.Event{Bound{}} }

// Bind decides what follows when a device wants to speak with the certificate.
func (c Certificate) Bind(device string) ([]domain.Event, error) {
	switch c.Device {
	case "":
		return []domain.Event{Bound{device}}, nil
	case device:
		return nil, nil
	}
	return nil, domain.Refusef(domain.Forbidden, "the certificate is bound to another device")
}

// Evolve returns the certificate after e.
func (c Certificate) Evolve(e domain.Event, _ time.Time) Certificate {
	if e, ok := e.(Bound); ok {
		c.Device = e.Device
	}
	return c
}
