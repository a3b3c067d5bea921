// Package challenge decides who may use a one-time challenge: one key, as often as it has to ask. One stream is one
// challenge, so that the log itself refuses the second of two that come at the same moment.
//
// What a client of ACME shows on its way from a challenge to a certificate stands here too: any server may be the one that
// it comes to next.
package challenge

import (
	"slices"
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

	Answers []Answered // of clients of ACME, the newest last
}

// A Vouched says that somebody signed in, and was given the challenge. Whatever comes in by it is that person's.
type Vouched struct {
	Invitation string        `json:",omitempty"`
	Road       string        `json:",omitempty"`
	Person     domain.Person `seal:"personal" json:",omitzero"`
}

// EventType returns the stored name.
func (Vouched) EventType() string { return "challenge.vouched" }

// remembered is how many answers are kept in mind: orders that are under way at once by one challenge.
const remembered = 16

// A Used says that a key has used the challenge. No other ever may.
type Used struct{ PublicKey string } // SHA-256 of its SubjectPublicKeyInfo, hex

// An Answered says that whoever holds the challenge has shown, for one of its orders, what it can.
type Answered struct {
	Order     string              // of ACME, hex
	Requester string              // SHA-256 thumbprint of its account's key, hex
	PublicKey string              `json:",omitempty"` // the key that was attested, as in Used; empty if none was
	Attested  *domain.Attestation `json:",omitempty"` // nil if nothing was
}

// EventType returns the stored name.
func (Used) EventType() string { return "challenge.used" }

// EventType returns the stored name.
func (Answered) EventType() string { return "challenge.answered" }

// Events lists every event of a challenge by its zero value.
func Events() []domain.Event { return []domain.Event{Vouched{}, Used{}, Answered{}} }

// Use decides what follows when a key comes with the challenge.
func (c Challenge) Use(publicKey string) ([]domain.Event, error) {
	switch c.PublicKey {
	case "":
		return []domain.Event{Used{publicKey}}, nil
	case publicKey:
		return nil, nil
	}
	return nil, errUsed()
}

func errUsed() error {
	return domain.Refusef(domain.Forbidden, "the challenge has been used by another key")
}

// Answer decides what follows when an order is answered. The first answer stays. once says that the challenge is good for one key.
func (c Challenge) Answer(a Answered, once bool) ([]domain.Event, error) {
	if before, found := c.AnswerOf(a.Order); found {
		if before.PublicKey != a.PublicKey || before.Requester != a.Requester {
			return nil, domain.Refusef(domain.Conflict, "the order has been answered for another key")
		}
		return nil, nil
	}
	if once && c.PublicKey != "" && a.PublicKey != "" && c.PublicKey != a.PublicKey {
		return nil, errUsed()
	}
	return []domain.Event{a}, nil
}

// AnswerOf returns the answer to an order; false if there is none, or it was long ago.
func (c Challenge) AnswerOf(order string) (Answered, bool) {
	i := slices.IndexFunc(c.Answers, func(a Answered) bool { return a.Order == order })
	if i < 0 {
		return Answered{}, false
	}
	return c.Answers[i], true
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
	case Answered:
		c.Answers = append(slices.Clone(c.Answers[max(0, len(c.Answers)-remembered+1):]), e)
	}
	return c
}
