// Package trust records which authorities this server believes when a device shows a certificate, and from when to
// when: whoever checks a device's signature years later needs the authority of that day.
package trust

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
)

// Kind is the kind of the stream; there is one, Devices.
const Kind = "trust"

// Devices is the id of the stream that tells whom the server believes about devices.
const Devices = "devices"

// An AuthorityTrusted says that certificates which chain to this one are believed from now on.
type AuthorityTrusted struct {
	Fingerprint string // SHA-256 of the DER, hex
	Subject     string // its name
	NotAfter    time.Time
	Certificate []byte // DER
}

// An AuthorityWithdrawn says that an authority is no longer believed.
type AuthorityWithdrawn struct{ Fingerprint string }

// EventType returns the stored name.
func (AuthorityTrusted) EventType() string { return "trust.authority-trusted" }

// EventType returns the stored name.
func (AuthorityWithdrawn) EventType() string { return "trust.authority-withdrawn" }

// Events lists every event of trust by its zero value.
func Events() []domain.Event { return []domain.Event{AuthorityTrusted{}, AuthorityWithdrawn{}} }

// A Trust is whom the server believes: fingerprints, in the order in which they came.
type Trust []string

// An Authority is one that is configured.
type Authority struct {
	Subject     string
	NotAfter    time.Time
	Certificate []byte // DER
}

// Fingerprint returns the SHA-256 of the certificate's DER, hex.
func (a Authority) Fingerprint() string {
	sum := sha256.Sum256(a.Certificate)
	return hex.EncodeToString(sum[:])
}

// Configure decides what follows when the server starts with these authorities.
func (t Trust) Configure(all []Authority) (events []domain.Event) {
	now := Trust{}
	for _, a := range all {
		f := a.Fingerprint()
		if !slices.Contains(t, f) && !slices.Contains(now, f) {
			events = append(events, AuthorityTrusted{f, a.Subject, a.NotAfter, a.Certificate})
		}
		now = append(now, f)
	}
	for _, f := range t {
		if !slices.Contains(now, f) {
			events = append(events, AuthorityWithdrawn{f})
		}
	}
	return events
}

// Evolve returns whom the server believes after e.
func (t Trust) Evolve(e domain.Event, _ time.Time) Trust {
	switch e := e.(type) {
	case AuthorityTrusted:
		return append(slices.Clip(t), e.Fingerprint)
	case AuthorityWithdrawn:
		return slices.DeleteFunc(slices.Clone(t), func(f string) bool { return f == e.Fingerprint })
	}
	return t
}
