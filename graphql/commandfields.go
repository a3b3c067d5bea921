package graphql

import (
	"context"
	"encoding/json"

	"github.com/graphql-go/graphql"

	"github.com/rollcall-mdm/rollcall/domain/device"
)

func (t *types) commandFields() graphql.Fields {
	fields := graphql.Fields{
		"uuid":         get("", must(graphql.ID), func(o order) any { return o.UUID }),
		"requestType":  get("", must(graphql.String), func(o order) any { return o.RequestType }),
		"priority":     get("Higher goes first.", must(graphql.Int), func(o order) any { return o.Priority }),
		"notBefore":    get("", timeScalar, func(o order) any { return o.NotBefore }),
		"expiresAt":    get("", timeScalar, func(o order) any { return o.ExpiresAt }),
		"supersedeKey": get("A later order with the same key takes its place.", graphql.String, func(o order) any { return orNull(o.SupersedeKey) }),
		"queuedAt":     get("", must(timeScalar), func(o order) any { return o.QueuedAt }),
		"queuedBy":     get("", must(t.actor), func(o order) any { return agent{o.QueuedBy, o.Position} }),
		"reason":       get("Why, in the words of whoever ordered it.", graphql.String, func(o order) any { return orNull(o.Reason) }),
		"position":     get("Of the event that queued it.", must(graphql.ID), func(o order) any { return position(o.Position) }),
		"deferrals":    get("How often the device said NotNow, by now.", must(graphql.Int), func(o order) any { return o.Deferrals }),
		"deliveredAt": get("The first time.", timeScalar, func(o order) any {
			if o.DeliveredPosition > o.when.at {
				return nil
			}
			return o.DeliveredAt
		}),
		"settledAt": get("When it ended.", timeScalar, func(o order) any {
			if !o.settled() {
				return nil
			}
			return o.SettledAt
		}),
	}
	for name, f := range t.commandDetails() {
		fields[name] = f
	}
	return fields
}

// commandDetails are the fields of a command that are looked up for it.
func (t *types) commandDetails() graphql.Fields {
	return graphql.Fields{
		"device": ask("", must(t.device), func(ctx context.Context, r *run, o order) (any, error) {
			if o.when.past() {
				return r.device(ctx, o.Device, o.when)
			}
			return r.devices.get(ctx, o.Device, deviceNow), nil
		}),
		"userId":     ask("Whose it is; null for the device's own.", graphql.String, userOf),
		"parameters": ask("Its keys; secrets are masked.", jsonScalar, parametersOf),
		"state": ask("", must(t.state), func(ctx context.Context, r *run, o order) (any, error) {
			return r.state(ctx, o)
		}),
		"waitingBecause": ask("In words, while it waits; not told of the past.", graphql.String, func(ctx context.Context, r *run, o order) (any, error) {
			if o.when.past() {
				return nil, nil
			}
			why, err := r.Views.WaitingBecause(ctx, o.Command, r.Now())
			return orNull(why), err
		}),
		"hold":      t.commandHold(),
		"bulkOrder": t.commandOrder(),
		"endedBecause": get("Why it was cancelled, or which command took its place.", graphql.String, func(o order) any {
			if !o.settled() {
				return nil
			}
			return orNull(o.Because)
		}),
		"attempts": ask("Each delivery and what came back.", many(t.attempt), func(ctx context.Context, r *run, o order) (any, error) {
			return r.tries(ctx, o)
		}),
		"result": ask("What the device answered; secrets are masked.", jsonScalar, func(ctx context.Context, r *run, o order) (any, error) {
			result, _, err := r.outcome(ctx, o)
			if err != nil {
				return nil, err
			}
			return open(result)
		}),
		"errorChain": ask("What went wrong, in the device's words.", jsonScalar, func(ctx context.Context, r *run, o order) (any, error) {
			_, chain, err := r.outcome(ctx, o)
			return orAbsent(chain), err
		}),
	}
}

func userOf(ctx context.Context, r *run, o order) (any, error) {
	if o.Channel == "" {
		return nil, nil
	}
	users, err := r.Views.Users(ctx, o.Device, o.when.at)
	for _, u := range users {
		if u.ID == o.Channel && u.UserID != "" {
			return u.UserID, nil
		}
	}
	return string(o.Channel), err
}

func parametersOf(ctx context.Context, r *run, o order) (any, error) {
	rec, err := r.record(ctx, o.Position)
	if err != nil {
		return nil, err
	}
	if e, ok := rec.event.(device.CommandQueued); ok {
		return open(e.Parameters)
	}
	return nil, nil
}

// open shows what a command asked or a device answered, nil if it is absent.
func open(text json.RawMessage) (any, error) {
	shown, err := conceal(text)
	return orAbsent(shown), err
}
