// Package pushcert decides with which certificate devices are pushed. One stream is one topic: a renewed
// certificate has the topic of the one before, and a new topic cannot reach a device that enrolled with the old.
package pushcert

import (
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
)

// Kind is the kind of the streams. A stream's id is the topic.
const Kind = "pushcert"

// A PushCertificate is the newest push certificate of a topic, as its events tell it.
type PushCertificate struct {
	Topic       string
	Fingerprint string
	NotAfter    time.Time
	Certificate []byte // PEM, leaf first
	Key         []byte // PEM
}

// A Stored says that a push certificate and its key were given to the server.
type Stored struct {
	Topic       string
	Fingerprint string // SHA-256 of the DER, hex
	NotBefore   time.Time
	NotAfter    time.Time
	Renewal     bool   `json:",omitempty"`
	Certificate []byte `seal:"personal" json:",omitempty"` // PEM, leaf first
	Key         []byte `seal:"secret" json:",omitempty"`   // PEM
}

// EventType returns the stored name.
func (Stored) EventType() string { return "pushcert.stored" }

// Events lists every event of a push certificate by its zero value.
func Events() []domain.Event { return []domain.Event{Stored{}} }

// Store decides what follows when somebody gives a push certificate and its key.
func (p PushCertificate) Store(s Stored, at time.Time) ([]domain.Event, error) {
	switch {
	case s.Topic == "":
		return nil, domain.Refusef(domain.Invalid, "the certificate's subject has no UID: it is no MDM push certificate")
	case !at.Before(s.NotAfter):
		return nil, domain.Refusef(domain.Invalid, "the certificate has expired")
	case p.Topic != "" && p.Topic != s.Topic:
		return nil, domain.Refusef(domain.Conflict, "the certificate's topic is not this one's")
	case p.Fingerprint == s.Fingerprint:
		return nil, nil
	}
	s.Renewal = p.Topic != ""
	return []domain.Event{s}, nil
}

// Evolve returns the push certificate after e.
func (p PushCertificate) Evolve(e domain.Event, _ time.Time) PushCertificate {
	if e, ok := e.(Stored); ok {
		p = PushCertificate{e.Topic, e.Fingerprint, e.NotAfter, e.Certificate, e.Key}
	}
	return p
}
