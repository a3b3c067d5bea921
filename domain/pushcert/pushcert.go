// Package pushcert decides with which certificate devices are pushed. One stream is one topic: a renewed
// certificate has the topic of the one before, and a new topic cannot reach a device that enrolled with the old.
package pushcert

import (
	"slices"
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

	Warnings []int // that were given: days before its end
}

// A Stored says that a push certificate and its key were given to the server.
type Stored struct {
	Topic       string
	Fingerprint string // SHA-256 of the DER, hex
	NotBefore   time.Time
	NotAfter    time.Time
	Renewal     bool   `json:",omitempty"`
	KeyID       string `json:",omitempty"`                 // of its key, as in the request for it
	Certificate []byte `seal:"personal" json:",omitempty"` // PEM, leaf first
	Key         []byte `seal:"secret" json:",omitempty"`   // PEM
}

// EventType returns the stored name.
func (Stored) EventType() string { return "pushcert.stored" }

// An Expiring says that a push certificate ends soon, or has ended: nothing can be pushed to its devices from then on.
type Expiring struct {
	Topic       string
	Fingerprint string
	NotAfter    time.Time
	Days        int // that were left, at most; 0 if it has ended
}

// EventType returns the stored name.
func (Expiring) EventType() string { return "pushcert.expiring" }

// Events lists every event of push certificates, and of requests for them, by its zero value.
func Events() []domain.Event { return []domain.Event{Stored{}, Expiring{}, Requested{}} }

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

// Due returns the warning that is due at a moment for a certificate that ends at notAfter.
func Due(notAfter, at time.Time) (days int, due bool) {
	return domain.EndDue(time.Time{}, notAfter, at)
}

// Warn decides what follows when somebody looks how long the certificate is good for: each warning is given once, and one
// that was missed while nobody looked is not made up for.
func (p PushCertificate) Warn(at time.Time) []domain.Event {
	days, due := Due(p.NotAfter, at)
	if p.Topic == "" || !due || slices.Contains(p.Warnings, days) {
		return nil
	}
	return []domain.Event{Expiring{p.Topic, p.Fingerprint, p.NotAfter, days}}
}

// Evolve returns the push certificate after e.
func (p PushCertificate) Evolve(e domain.Event, _ time.Time) PushCertificate {
	switch e := e.(type) {
	case Stored:
		p = PushCertificate{Topic: e.Topic, Fingerprint: e.Fingerprint, NotAfter: e.NotAfter, Certificate: e.Certificate, Key: e.Key}
	case Expiring:
		p.Warnings = append(slices.Clip(p.Warnings), e.Days)
	}
	return p
}
