package main

import (
	"context"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/challenge"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/seal"
)

// visitors know who signed in to get a challenge. It fulfils mdm.Visitors.
type visitors struct{ *house }

func (v visitors) stream(ticket string) eventstore.Stream {
	return eventstore.Stream{Kind: challenge.Kind, ID: ticket}
}

// Person returns who signed in to get the challenge; nobody if nobody did, or if it was forgotten. It is read where it stands:
// no copy of it is kept in memory.
func (v visitors) Person(ctx context.Context, ticket string) (domain.Person, error) {
	known, _, err := v.challenges.Load(ctx, ticket)
	if err != nil || !known.Vouched {
		return domain.Person{}, err
	}
	for env, err := range v.log.ReadStream(ctx, v.stream(ticket), 0, eventstore.Forward) {
		if err != nil {
			return domain.Person{}, err
		}
		event, err := v.codec.Decode(env)
		if err != nil {
			return domain.Person{}, err
		}
		if e, is := event.(challenge.Vouched); is {
			return e.Person, nil
		}
	}
	return domain.Person{}, nil
}

// Forget destroys the key of who signed in: the device's own events have it, and are erased with the device.
func (v visitors) Forget(ctx context.Context, ticket string) error {
	return seal.Forget(ctx, v.keys, seal.Subject{Stream: v.stream(ticket)}, 0)
}
