package handlers

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"strings"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/enrollment"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

// Invitations is the use case of people who open and close ways in. Callers who may only read are refused. Each change
// returns the position after which views show it; 0 if nothing was to be done.
type Invitations struct {
	Invitations *eventstore.Repository[enrollment.Invitation, domain.Event]
}

// Invite opens a way in, under an id of its own if none is given.
func (i *Invitations) Invite(ctx context.Context, c Caller, id string, t enrollment.Terms) (string, eventstore.Position, error) {
	if id == "" {
		random := make([]byte, 10)
		_, _ = rand.Read(random) // never fails
		id = strings.ToLower(base32.StdEncoding.EncodeToString(random))
	}
	if err := enrollment.CheckID(id); err != nil {
		return "", 0, err
	}
	at, err := i.decide(ctx, c, id, func(i enrollment.Invitation, at time.Time) ([]domain.Event, error) { return i.Invite(t, at) })
	return id, at, err
}

// Withdraw closes a way in.
func (i *Invitations) Withdraw(ctx context.Context, c Caller, id, reason string) (eventstore.Position, error) {
	return i.decide(ctx, c, id, func(i enrollment.Invitation, _ time.Time) ([]domain.Event, error) { return i.Withdraw(reason) })
}

func (i *Invitations) decide(ctx context.Context, c Caller, id string, decide func(enrollment.Invitation, time.Time) ([]domain.Event, error)) (eventstore.Position, error) {
	if err := c.Change(); err != nil {
		return 0, err
	}
	change, err := i.Invitations.Update(ctx, id, Meta(ctx, c), decide)
	return change.Position, err
}

// OpenDefault makes the default invitation of a new server: any number of devices, on every road, for ever. One that was
// withdrawn stays so.
func (i *Invitations) OpenDefault(ctx context.Context) error {
	_, err := i.Invitations.Update(ctx, enrollment.Default, server, func(i enrollment.Invitation, at time.Time) ([]domain.Event, error) {
		if i.Name != "" {
			return nil, nil
		}
		return i.Invite(enrollment.Terms{Name: "Default"}, at)
	})
	return err
}
