package graphql

import (
	"context"

	"github.com/graphql-go/graphql"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/handlers"
	"github.com/rollcall-mdm/rollcall/projections"
)

func (t *types) makeHold() {
	type hold = projections.Hold
	t.hold = t.object("Hold", "Keeps what waits from being delivered, until an administrator releases it.", func() graphql.Fields {
		return graphql.Fields{
			"since":    get("", must(timeScalar), func(h hold) any { return h.Since }),
			"by":       get("", must(t.actor), func(h hold) any { return agent{h.By, h.Position} }),
			"reason":   get("In the words of whoever holds it; null once the device's personal data is erased.", graphql.String, func(h hold) any { return orNull(h.Reason) }),
			"position": get("Of the event that began it.", must(graphql.ID), func(h hold) any { return position(h.Position) }),
		}
	})
}

// orFree makes null of a hold that is none.
func orFree(h projections.Hold, held bool, err error) (any, error) {
	if err != nil || !held {
		return nil, err
	}
	return h, nil
}

func (t *types) deviceHold() *graphql.Field {
	return ask("What holds all that waits for it and its users; null if nothing does.", t.hold, func(ctx context.Context, r *run, s seen) (any, error) {
		return orFree(r.Views.QueueHold(ctx, s.ID, "", s.when.at))
	})
}

func (t *types) userHold() *graphql.Field {
	return ask("What holds what waits for this user alone; null if nothing does.", t.hold, func(ctx context.Context, r *run, u user) (any, error) {
		return orFree(r.Views.QueueHold(ctx, u.of.ID, u.ID, u.of.when.at))
	})
}

func (t *types) commandHold() *graphql.Field {
	return ask("What holds this command, apart from its queue, while it waits; null if nothing does.", t.hold, func(ctx context.Context, r *run, o order) (any, error) {
		if o.settled() {
			return nil, nil
		}
		return orFree(r.Views.CommandHold(ctx, o.Command, o.when.at))
	})
}

func (t *types) holdMutations() graphql.Fields {
	queue := graphql.FieldConfigArgument{
		"device": arg("", must(graphql.ID)), "userId": arg("A user of the device alone, instead of the device and all its users.", graphql.String),
		"reason": arg("Told to whoever waits.", must(graphql.String)),
	}
	one := graphql.FieldConfigArgument{"uuid": arg("Its CommandUUID.", must(graphql.ID)), "reason": arg("Told to whoever waits.", must(graphql.String))}
	return graphql.Fields{
		"holdQueue":      root("Keeps what waits for a device from being delivered; administrators only.", must(t.device), queue, holdQueue((*handlers.Orders).HoldQueue)),
		"releaseQueue":   root("Lets it be delivered again; administrators only.", must(t.device), queue, holdQueue((*handlers.Orders).ReleaseQueue)),
		"holdCommand":    root("Keeps one waiting command from being delivered; administrators only.", must(t.command), one, holdCommand((*handlers.Orders).HoldCommand)),
		"releaseCommand": root("Lets it be delivered again; administrators only.", must(t.command), one, holdCommand((*handlers.Orders).ReleaseCommand)),
	}
}

type holding func(o *handlers.Orders, ctx context.Context, c handlers.Caller, deviceID string, channel device.ChannelID, reason string) (eventstore.Position, error)

func holdQueue(do holding) func(context.Context, *run, args) (any, error) {
	return func(ctx context.Context, r *run, a args) (any, error) {
		d, err := r.target(ctx, a.text("device"))
		if err != nil {
			return nil, err
		}
		channel, err := r.channel(ctx, d, a.text("userId"))
		if err != nil {
			return nil, err
		}
		at, err := do(r.Orders, ctx, r.caller, d.ID, channel, a.text("reason"))
		if err != nil {
			return nil, err
		}
		if err := r.shows(ctx, at); err != nil {
			return nil, err
		}
		return r.device(ctx, d.ID, present)
	}
}

type holdingOne func(o *handlers.Orders, ctx context.Context, c handlers.Caller, deviceID, uuid, reason string) (eventstore.Position, error)

func holdCommand(do holdingOne) func(context.Context, *run, args) (any, error) {
	return func(ctx context.Context, r *run, a args) (any, error) {
		one, err := r.waits(ctx, a.text("uuid"))
		if err != nil {
			return nil, err
		}
		at, err := do(r.Orders, ctx, r.caller, one.Device, one.UUID, a.text("reason"))
		if err != nil {
			return nil, err
		}
		if err := r.shows(ctx, at); err != nil {
			return nil, err
		}
		return r.first(ctx, one.Device, one.UUID, at)
	}
}

// waits returns the command with a UUID: one that waits, if there is one.
func (r *run) waits(ctx context.Context, uuid string) (projections.Command, error) {
	if err := r.caughtUp(ctx); err != nil {
		return projections.Command{}, err
	}
	found, err := r.Views.Command(ctx, uuid)
	if err != nil {
		return projections.Command{}, err
	}
	if len(found) == 0 {
		return projections.Command{}, domain.Refusef(domain.NotFound, "no command has this UUID")
	}
	for _, c := range found {
		if c.State.Waits() {
			return c, nil
		}
	}
	return found[0], nil
}
