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
	Device  string // pseudonym of the device that it is bound to; empty if none
	Issued  bool   // by this server
	For     string // the device for which it was issued; empty if for any
	Session string // the name in its subject
	Road    string // on which it was issued
	Of      string // the invitation by which it was issued
	Ticket  string // hash of the challenge by which it was issued
	Overdue bool   // somebody was told that no other one comes in its place

	Requester string              // who asked for it by ACME: thumbprint of the account's key
	Attested  *domain.Attestation // what is vouched for about its key's device; nil if nothing is
}

// An Issued says that this server has issued the certificate.
type Issued struct {
	Issuer     string // fingerprint of the root
	Serial     string // hex
	NotBefore  time.Time
	NotAfter   time.Time
	PublicKey  string // SHA-256 of its SubjectPublicKeyInfo, hex
	Session    string // the name in its subject: it comes back with all that is signed with it
	Road       string `json:",omitempty"`
	Invitation string `json:",omitempty"` // by which its holder came in
	Ticket     string `json:",omitempty"` // hash of the challenge by which its holder came in
	Device     string `json:",omitempty"` // pseudonym of the device that it is for; empty if for any
	Follows    string `json:",omitempty"` // fingerprint of the certificate in whose place it comes
	Order      string `json:",omitempty"` // the InstallProfile that brought the renewed profile

	Requester string              `json:",omitempty"` // who asked for it by ACME: SHA-256 thumbprint of the account's key, hex
	Attested  *domain.Attestation `json:",omitempty"` // nil if nothing was
}

// A Bound says that a certificate speaks for one device from now on, and for no other, ever.
type Bound struct{ Device string }

// A RenewalOverdue says that the certificate by which a device speaks ends soon, and that no other one has come in its place: the
// device cannot be renewed, was not heard of, or has a certificate that was issued elsewhere. It is told once.
type RenewalOverdue struct {
	Device   string // pseudonym
	NotAfter time.Time
	Tries    int // how often a renewed enrolment profile was ordered
}

// EventType returns the stored name.
func (RenewalOverdue) EventType() string { return "certificate.renewal-overdue" }

// EventType returns the stored name.
func (Bound) EventType() string { return "certificate.bound" }

// EventType returns the stored name.
func (Issued) EventType() string { return "certificate.issued" }

// Events lists every event of a certificate by its zero value.
func Events() []domain.Event { return []domain.Event{Bound{}, Issued{}, RenewalOverdue{}} }

// Issue decides what follows when the certificate was made. It is issued once.
func (c Certificate) Issue(i Issued) ([]domain.Event, error) {
	if c.Issued {
		return nil, nil
	}
	return []domain.Event{i}, nil
}

// Bind decides what follows when a device wants to speak with the certificate.
func (c Certificate) Bind(device string) ([]domain.Event, error) {
	switch {
	case c.Device == device:
		return nil, nil
	case c.Device != "":
		return nil, domain.Refusef(domain.Forbidden, "the certificate is bound to another device")
	case c.For != "" && c.For != device:
		return nil, domain.Refusef(domain.Forbidden, "the certificate was issued for another device")
	}
	return []domain.Event{Bound{device}}, nil
}

// Miss decides what follows when its renewal did not end in time.
func (c Certificate) Miss(m RenewalOverdue) []domain.Event {
	if c.Overdue || c.Device != m.Device {
		return nil
	}
	return []domain.Event{m}
}

// Fits refuses a device whose serial number has another mark than the one for which the certificate's key was attested. mark is
// asked only if there is one to compare with, and may return nothing if the device tells none.
func (c Certificate) Fits(mark func() string) error {
	if c.Attested == nil || c.Attested.SerialMark == "" {
		return nil
	}
	if told := mark(); told != "" && told != c.Attested.SerialMark {
		return domain.Refusef(domain.Forbidden, "the certificate's key was attested in another device")
	}
	return nil
}

// Evolve returns the certificate after e.
func (c Certificate) Evolve(e domain.Event, _ time.Time) Certificate {
	switch e := e.(type) {
	case Bound:
		c.Device = e.Device
	case RenewalOverdue:
		c.Overdue = true
	case Issued:
		c.Issued, c.For, c.Session, c.Road, c.Of, c.Ticket = true, e.Device, e.Session, e.Road, e.Invitation, e.Ticket
		c.Requester, c.Attested = e.Requester, e.Attested
	}
	return c
}
