package handlers

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/challenge"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/seal"
)

// signInKeys are the keys of sign-ins, and how often one was destroyed.
type signInKeys struct {
	seal.Keyring
	times map[string]int
}

func (k signInKeys) Forget(ctx context.Context, ticket string) error {
	k.times[ticket]++
	return seal.Forget(ctx, k.Keyring, seal.Subject{Stream: eventstore.Stream{Kind: challenge.Kind, ID: ticket}}, 0)
}

// Who signed in and never came is forgotten after thirty days: once, and again at the next start.
func TestWhoNeverCameIsForgotten(t *testing.T) {
	l := newLostDevice(t)
	keys := signInKeys{l.keys, map[string]int{}}
	l.forgetter.SignIns = keys
	given := &eventstore.Repository[challenge.Challenge, domain.Event]{Log: l.log, Codec: l.codec, Kind: challenge.Kind, Fold: challenge.Challenge.Evolve, Now: l.forgetter.Now}
	signsIn := func(ticket string) {
		_, err := given.Update(t.Context(), ticket, eventstore.Meta{}, func(c challenge.Challenge, _ time.Time) ([]domain.Event, error) {
			return c.Vouch(challenge.Vouched{Person: domain.Person{Account: ticket + "@example.com"}})
		})
		l.ok(err)
	}
	known := func() (accounts string) {
		for env, err := range l.log.ReadAll(t.Context(), 0) {
			l.ok(err)
			e, err := l.codec.Decode(env)
			l.ok(err)
			accounts += fmt.Sprint(e.(challenge.Vouched).Person.Account, " ")
		}
		return accounts
	}
	signsIn("ada")
	l.now = l.now.Add(10 * 24 * time.Hour)
	signsIn("bob")
	l.look()
	if got := known(); got != "ada@example.com bob@example.com " {
		t.Fatalf("after ten days: %s", got)
	}
	l.now = l.now.Add(20 * 24 * time.Hour)
	l.look()
	l.look()
	if got := known(); got != " bob@example.com " || keys.times["ada"] != 1 {
		t.Errorf("after thirty: %s, %v", got, keys.times)
	}
	l.now = l.now.Add(10 * 24 * time.Hour)
	l.ok(l.forgetter.Look(t.Context(), true)) // as at a start
	if got := known(); got != "  " || keys.times["ada"] != 2 || keys.times["bob"] != 1 {
		t.Errorf("after forty: %q, %v", got, keys.times)
	}
}
