// Package challenge decides who may use a one-time challenge: one key, as often as it has to ask. One stream is one
// challenge, so that the log itself refuses the second of two that come at the same moment.
package challenge

import (
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
)

// Kind is the kind of the streams. A stream's id is a hash of the challenge, which tells nothing about it.
const Kind = "challenge"

// A Challenge is a one-time challenge as its events tell it. Who signed in to get it is not kept in memory: the one who
// needs to know reads the event, as long as it can be opened.
type Challenge struct {
	PublicKey string // that has used it; empty if none has
	Vouched   bool   // somebody signed in to get it
}

// A Vouched says that somebody signed in, and was given the challenge. Whatever comes in by it is that person's.
type Vouched struct {
	Invitation string        `json:",omitempty"`
	Road       string        `json:",omitempty"`
	Person     domain.Person `seal:"personal" json:",omitzero"`
}

// EventType returns the stored name.
func (Vouched) EventType() string { return "challenge.vouched" }

// A Used says that a key has used the challenge. No other ever may.
type Used struct{ PublicKey string } // SHA-256 of its SubjectPublicKeyInfo, hex

// EventType returns the stored name.
func (Used) EventType() string { return "challenge.used" }

// Events lists every event of a challenge by its zero value.
func Events() []domain.Event { return []domain.Event{Vouched{}, Used{}} }

// Use decides what follows when a key comes with the challenge.
func (c Challenge) Use(publicKey string) ([]domain.Event, error) {
	switch c.PublicKey {
	case "":
		return []domain.Event{Used{publicKey}}, nil
	case publicKey:
		return nil, nil
	}
	return nil, domain.Refusef(domain.Forbidden, "the challenge has been used by another key")
}

// Vouch decides what follows when somebody signs in and is given the challenge. It is given once, and before it is used.
func (c Challenge) Vouch(v Vouched) ([]domain.Event, error) {
	if c.Vouched || c.PublicKey != "" {
		return nil, domain.Refusef(domain.Conflict, "the challenge was given to somebody else")
	}
	return []domain.Event{v}, nil
}

// Evolve returns the challenge after e.
func (c Challenge) Evolve(e domain.Event, _ time.Time) Challenge {
	switch e := e.(type) {
	case Vouched:
		c.Vouched = true
	case Used:
		c.PublicKey = e.PublicKey
	}
	return c
}
