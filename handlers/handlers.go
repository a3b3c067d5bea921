// Package handlers holds what all doors share: who is calling, how a refusal is told over HTTP, how an order for a
// device is made and sent. Each folder below it is a door. No door imports another.
package handlers

import (
	"cmp"
	"context"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/operator"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

// A Caller is the person or program behind a request, as a door has made sure of it.
type Caller struct {
	Kind    eventstore.ActorKind // token if empty
	ID      string               // of the API token
	Name    string
	Role    operator.Role
	Address string // of the client, without its port
}

// Actor returns the caller as events keep it.
func (c Caller) Actor() eventstore.Actor {
	return eventstore.Actor{Kind: cmp.Or(c.Kind, eventstore.ByToken), ID: c.ID, Name: c.Name, Role: string(c.Role), Address: c.Address}
}

// Change refuses a caller who may not order commands and change what is managed.
func (c Caller) Change() error {
	if c.Role.MayChange() {
		return nil
	}
	return forbidden(c, "operator or administrator")
}

// Audit refuses a caller who may not read evidence.
func (c Caller) Audit() error {
	if c.Role.MayAudit() {
		return nil
	}
	return forbidden(c, "auditor or administrator")
}

// Administer refuses a caller who is no administrator.
func (c Caller) Administer() error {
	if c.Role == operator.Administrator {
		return nil
	}
	return forbidden(c, "administrator")
}

func forbidden(c Caller, need string) error {
	return domain.WithHint(domain.Refusef(domain.Forbidden, "the role %q may not do this", c.Role),
		"use a token with the role "+need)
}

type callerKey struct{}

// WithCaller returns a context that knows its caller.
func WithCaller(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// CallerFrom returns the caller that WithCaller put there; known is false if there is none.
func CallerFrom(ctx context.Context) (c Caller, known bool) {
	c, known = ctx.Value(callerKey{}).(Caller)
	return c, known
}

type requestKey struct{}

// WithRequest returns a context that knows the id of its request.
func WithRequest(ctx context.Context, id eventstore.UUID) context.Context {
	return context.WithValue(ctx, requestKey{}, id)
}

// RequestFrom returns the request's id, zero if there is none. Events keep it as their correlation, answers and
// log lines show it: by it the three find each other.
func RequestFrom(ctx context.Context) eventstore.UUID {
	id, _ := ctx.Value(requestKey{}).(eventstore.UUID)
	return id
}

// Meta returns what events that follow from the request keep about it.
func Meta(ctx context.Context, c Caller) eventstore.Meta {
	return eventstore.Meta{Actor: c.Actor(), Correlation: RequestFrom(ctx)}
}
