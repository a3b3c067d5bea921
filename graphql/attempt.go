package graphql

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/graphql-go/graphql"

	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/projections"
)

// A try is one delivery of a command, as it was known at the moment at which the command is looked at.
type try struct {
	projections.Attempt
	of     order
	number int
	last   bool
}

func attemptFields() graphql.Fields {
	return graphql.Fields{
		"number":      get("From 1.", must(graphql.Int), func(a try) any { return a.number }),
		"deliveredAt": get("", must(timeScalar), func(a try) any { return a.DeliveredAt }),
		"answeredAt":  get("", timeScalar, func(a try) any { return a.AnsweredAt }),
		"status":      get("Acknowledged, Error, CommandFormatError or NotNow; null if nothing came back.", graphql.String, func(a try) any { return orNull(a.Status) }),
		"outcome":     get("What came back, in words.", must(graphql.String), func(a try) any { return a.outcome() }),
		"session": ask("The position of the first delivery of the session in which it was handed out: deliveries of one session have the same.",
			must(graphql.ID), func(ctx context.Context, r *run, a try) (any, error) {
				at, err := r.session(ctx, a)
				return position(at), err
			}),
		"errorChain": ask("What went wrong, in the device's words.", jsonScalar, func(ctx context.Context, r *run, a try) (any, error) {
			return r.errorChain(ctx, a)
		}),
		"position": get("Of the event that delivered it.", must(graphql.ID), func(a try) any { return position(a.Position) }),
		"answerPosition": get("Of the event that holds what came back; null if nothing did.", graphql.ID, func(a try) any {
			if a.Answer == 0 {
				return nil
			}
			return position(a.Answer)
		}),
	}
}

// outcome tells what came back, in words.
func (a try) outcome() string {
	switch {
	case a.Status == device.NotNow:
		return "the device put it off (NotNow)"
	case a.Status == device.Acknowledged:
		return "the device acknowledged it"
	case a.Status == device.Error:
		return "the device could not do it (Error)"
	case a.Status == device.CommandFormatError:
		return "the device did not understand it (CommandFormatError)"
	case !a.last:
		return "nothing came back: it was handed out again, for the device had not seen it, or its answer was lost"
	case a.of.settled():
		return fmt.Sprintf("nothing came back before it ended (%s)", a.of.State)
	}
	return "nothing has come back yet"
}

// errorChain returns what the device said of what went wrong, nil if it did not.
func (r *run) errorChain(ctx context.Context, a try) (any, error) {
	if a.Status != device.Error && a.Status != device.CommandFormatError {
		return nil, nil
	}
	rec, err := r.record(ctx, a.Answer)
	if err != nil {
		return nil, err
	}
	switch e := rec.event.(type) {
	case device.CommandFailed:
		return orAbsent(e.ErrorChain), nil
	case device.CommandFormatRejected:
		return orAbsent(e.ErrorChain), nil
	}
	return nil, nil
}

// session returns the position of the delivery that opened the session of a delivery: the newest one on its channel, at
// it or before, to which the channel had said Idle. It is the oldest one if the log knows of none.
func (r *run) session(ctx context.Context, a try) (at eventstore.Position, err error) {
	rec, err := r.record(ctx, a.Position)
	if err != nil {
		return 0, err
	}
	at = a.Position
	for env, err := range r.Log.ReadStream(ctx, rec.env.Stream, rec.env.Version, eventstore.Backward) {
		if err != nil {
			return 0, err
		}
		if env.Type != (device.CommandDelivered{}).EventType() {
			continue
		}
		var open struct {
			Channel    device.ChannelID
			NewSession bool
		}
		if err := json.Unmarshal(env.Data, &open); err != nil {
			return 0, fmt.Errorf("read event %d: %w", env.Position, err)
		}
		if open.Channel != a.of.Channel {
			continue
		}
		if at = env.Position; open.NewSession {
			break
		}
	}
	return at, nil
}
