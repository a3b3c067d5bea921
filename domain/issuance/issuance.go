// Package issuance decides which certificate a public key gets. One stream is one key, so that whoever asks again for
// the same key on the same grounds gets the same certificate: an answer that was lost on the way costs nobody anything.
package issuance

import (
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
)

// Kind is the kind of the streams. A stream's id is the SHA-256 of the key's SubjectPublicKeyInfo, hex.
const Kind = "issuance"

// An Issuance is the newest certificate of a key.
type Issuance struct {
	Fingerprint string
	By          string
	NotBefore   time.Time
	NotAfter    time.Time
	Certificate []byte // DER
}

// A Signed says that a key has got a certificate.
type Signed struct {
	Fingerprint string // SHA-256 of the certificate's DER, hex
	By          string // the grounds: a challenge's hash, or the fingerprint of the certificate that it follows
	NotBefore   time.Time
	NotAfter    time.Time
	Certificate []byte // DER
}

// EventType returns the stored name.
func (Signed) EventType() string { return "issuance.signed" }

// Events lists every event of an issuance by its zero value.
func Events() []domain.Event { return []domain.Event{Signed{}} }

// Stands reports whether the key has a certificate on these grounds that is to be given again at the time at: a third of
// its life is still ahead.
func (i Issuance) Stands(by string, at time.Time) bool {
	return i.Certificate != nil && i.By == by && at.Before(i.NotBefore.Add(i.NotAfter.Sub(i.NotBefore)*2/3))
}

// Evolve returns the issuance after e.
func (i Issuance) Evolve(e domain.Event, _ time.Time) Issuance {
	if e, ok := e.(Signed); ok {
		return Issuance(e)
	}
	return i
}
