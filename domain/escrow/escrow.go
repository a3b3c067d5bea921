// Package escrow keeps the key pairs for which Macs encrypt their FileVault recovery keys.
//
// A Mac is given the certificate in its FDERecoveryKeyEscrow profile, or with an order to change its key. All pairs that
// ever were are kept: what a Mac encrypted for an older one is opened with that.
package escrow

import (
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
)

// Kind is the kind of the streams, and ID the id of the one that there is.
const (
	Kind = "escrow"
	ID   = "filevault"
)

// An Escrow is all key pairs, the newest last.
type Escrow struct{ Pairs []Pair }

// A Pair is a key pair: a certificate and what it stands for.
type Pair struct {
	Fingerprint string // SHA-256 of the certificate's DER, hex
	NotAfter    time.Time
	Certificate []byte // DER
	Key         []byte // PKCS #8, DER
	Since       time.Time
}

// A PairMade says that the server has made itself a key pair.
type PairMade struct {
	Fingerprint string // SHA-256 of the certificate's DER, hex
	NotAfter    time.Time
	Certificate []byte `seal:"personal" json:",omitempty"` // DER
	Key         []byte `seal:"secret" json:",omitempty"`   // PKCS #8, DER
	Reason      string `seal:"personal" json:",omitempty"` // a person's own words
}

// EventType returns the stored name.
func (PairMade) EventType() string { return "escrow.pair-made" }

// Events lists every event of the escrow by its zero value.
func Events() []domain.Event { return []domain.Event{PairMade{}} }

// Make decides what follows when somebody wants a key pair. Where there is one already he says why.
func (e Escrow) Make(p PairMade) ([]domain.Event, error) {
	if len(e.Pairs) > 0 && p.Reason == "" {
		return nil, domain.WithHint(domain.Refusef(domain.Invalid, "there is a key pair already: say why there is to be another one"),
			"Macs go on encrypting for the old certificate until their profile has the new one; the old key is kept")
	}
	return []domain.Event{p}, nil
}

// Newest returns the pair that is given to Macs.
func (e Escrow) Newest() (Pair, bool) {
	if len(e.Pairs) == 0 {
		return Pair{}, false
	}
	return e.Pairs[len(e.Pairs)-1], true
}

// Evolve returns the escrow after ev.
func (e Escrow) Evolve(ev domain.Event, at time.Time) Escrow {
	if made, is := ev.(PairMade); is {
		e.Pairs = append(e.Pairs[:len(e.Pairs):len(e.Pairs)], Pair{made.Fingerprint, made.NotAfter, made.Certificate, made.Key, at})
	}
	return e
}
