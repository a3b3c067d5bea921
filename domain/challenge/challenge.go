// Package challenge decides who may use a one-time challenge: one key, as often as it has to ask. One stream is one
// challenge, so that the log itself refuses the second of two that come at the same moment.
package challenge

import (
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
)

// Kind is the kind of the streams. A stream's id is a hash of the challenge, which tells nothing about it.
const Kind = "challenge"

// A Challenge is a one-time challenge as its events tell it.
type Challenge struct{ PublicKey string } // that has used it; empty if none has

// A Used says that a key has used the challenge. No other ever may.
type Used struct{ PublicKey string } // SHA-256 of its SubjectPublicKeyInfo, hex

// EventType returns the stored name.
func (Used) EventType() string { return "challenge.used" }

// Events lists every event of a challenge by its zero value.
func Events() []domain.Event { return []domain.Event{Used{}} }

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

// Evolve returns the challenge after e.
func (c Challenge) Evolve(e domain.Event, _ time.Time) Challenge {
	if e, ok := e.(Used); ok {
		c.PublicKey = e.PublicKey
	}
	return c
}
