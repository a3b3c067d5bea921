package graphql

import (
	"context"
	"strconv"

	"github.com/graphql-go/graphql"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/projections"
)

// A Codec opens events as far as views may see: what is open and what is personal, never what is secret.
type Codec interface {
	Decode(env eventstore.Envelope) (domain.Event, error)
	DecodeActor(env eventstore.Envelope) (eventstore.Actor, error)
}

// Evidence opens the bytes that came with an event, nil if there are none or none any more.
type Evidence interface {
	Evidence(env eventstore.Envelope) ([]byte, error)
}

// An agent is an actor, and the event that he caused, which alone knows his address.
type agent struct {
	eventstore.Actor
	at eventstore.Position
}

func (t *types) makeEvent() {
	t.actor = t.object("Actor", "Who caused an event, as known at that time.", t.actorFields)
	t.evidence = t.object("Evidence", "The exact bytes that came with an event.", evidenceFields)
	t.event = t.object("Event", "Something that has happened. Events never change.", t.eventFields)
	t.events = t.connection(t.event)
}

func (t *types) eventQueries() graphql.Fields {
	return graphql.Fields{
		"events": root("All that has happened, the oldest first.", must(t.events), bothWays(graphql.FieldConfigArgument{
			"filter": arg("", t.eventFilter),
		}), func(ctx context.Context, r *run, a args) (any, error) {
			return r.events(ctx, eventFilter(a.object("filter")), a)
		}),
		"event": root("One event.", t.event, graphql.FieldConfigArgument{
			"position": arg("", must(graphql.ID)),
		}, oneEvent),
	}
}

func (r *run) events(ctx context.Context, f projections.EventFilter, a args) (any, error) {
	p, err := a.page()
	if err != nil {
		return nil, err
	}
	page, err := r.Views.Events(ctx, f, p)
	if err != nil {
		return nil, err
	}
	return connect(page, func(e projections.Entry) any { return e }), nil
}

func eventFilter(f args) projections.EventFilter {
	filter := projections.EventFilter{
		Device: f.text("device"), Types: texts[string](f, "types"), Actor: f.text("actor"),
		From: f.moment("from"), To: f.moment("to"), Command: f.text("command"), Search: f.text("search"),
	}
	if kind := f.text("actorKind"); kind != "" {
		filter.ActorKind = []eventstore.ActorKind{eventstore.ActorKind(kind)}
	}
	return filter
}

func oneEvent(ctx context.Context, r *run, a args) (any, error) {
	at, err := parsePosition(a.text("position"))
	if err != nil {
		return nil, err
	}
	entry, found, err := r.Views.Event(ctx, at)
	if err != nil || !found {
		return nil, err
	}
	return entry, nil
}

func parsePosition(text string) (eventstore.Position, error) {
	at, err := strconv.ParseInt(text, 10, 64)
	if err != nil || at < 1 {
		return 0, domain.Refusef(domain.Invalid, "a position is a number from 1 on")
	}
	return eventstore.Position(at), nil
}

// deviceTimeline is the device's events until its moment.
func deviceTimeline(ctx context.Context, r *run, s seen, a args) (any, error) {
	f := eventFilter(a.object("filter"))
	if f.Device != "" {
		return nil, domain.Refusef(domain.Invalid, "a device's timeline is its own: leave out the filter's device")
	}
	f.Device = s.ID
	if s.when.past() && (f.To.IsZero() || f.To.After(s.when.time)) {
		f.To = s.when.time
	}
	return r.events(ctx, f, a)
}

// recorded is a field that is read from the event's place in the log.
func recorded(about string, t graphql.Output, f func(context.Context, *run, *record) (any, error)) *graphql.Field {
	return ask(about, t, func(ctx context.Context, r *run, e projections.Entry) (any, error) {
		rec, err := r.record(ctx, e.Position)
		if err != nil {
			return nil, err
		}
		return f(ctx, r, rec)
	})
}

func (t *types) eventFields() graphql.Fields {
	type entry = projections.Entry
	return graphql.Fields{
		"position":    get("Its place among all events.", must(graphql.ID), func(e entry) any { return position(e.Position) }),
		"type":        get("Its stored name, e.g. device.command-queued.", must(graphql.String), func(e entry) any { return e.Type }),
		"time":        get("By the server's clock, and never before that of an earlier event; see clockShowed.", must(timeScalar), func(e entry) any { return e.Time }),
		"clockShowed": ask("What the server's clock showed, where it had been set back: less than at an earlier event. Null where it had not.", timeScalar, clockShowed),
		"stream":      get("", must(graphql.String), func(e entry) any { return e.Stream.String() }),
		"version":     get("Its place in the stream, from 0.", must(graphql.Int), func(e entry) any { return int(e.Version) }),
		"commandUuid": get("Of the command that it speaks of.", graphql.ID, func(e entry) any { return orNull(e.Command) }),
		"device": ask("As it is now.", t.device, func(ctx context.Context, r *run, e entry) (any, error) {
			if e.Device == "" {
				return nil, nil
			}
			return r.devices.get(ctx, e.Device, deviceNow), nil
		}),
		"actor": get("", must(t.actor), func(e entry) any { return agent{e.Actor, e.Position} }),
		"id": recorded("", must(graphql.ID), func(_ context.Context, _ *run, rec *record) (any, error) {
			return rec.env.ID.String(), nil
		}),
		"correlationId": recorded("The request to which it belongs.", graphql.ID, func(_ context.Context, _ *run, rec *record) (any, error) {
			return orNull(rec.env.Correlation.String()), nil
		}),
		"causationId": recorded("The event that caused it.", graphql.ID, func(_ context.Context, _ *run, rec *record) (any, error) {
			return orNull(rec.env.Causation.String()), nil
		}),
		"summary": recorded("One line for a person.", must(graphql.String), func(ctx context.Context, r *run, rec *record) (any, error) {
			return r.Views.Summarise(ctx, rec.env, rec.event)
		}),
		"data": recorded("All that it says. Secrets are masked; what was erased is absent.", must(jsonScalar), func(_ context.Context, _ *run, rec *record) (any, error) {
			return ShownIn(rec.env, rec.event)
		}),
		"evidence": recorded("The bytes that came with it; null if none were kept.", t.evidence, evidenceOf),
	}
}

// clockShowed returns an event's own time, if it is before that of an earlier one.
func clockShowed(ctx context.Context, r *run, e projections.Entry) (any, error) {
	rec, err := r.record(ctx, e.Position)
	if err != nil || rec.env.Time.UnixMicro() >= e.Time.UnixMicro() {
		return nil, err
	}
	return rec.env.Time.UTC(), nil
}

func deviceNow(d projections.Device, found bool) any {
	if !found {
		return nil
	}
	return seen{d, present}
}

// position writes a position; null for none.
func position(p eventstore.Position) any {
	if p == 0 {
		return nil
	}
	return strconv.FormatInt(int64(p), 10)
}

func (t *types) actorFields() graphql.Fields {
	return graphql.Fields{
		"kind": get("", must(t.actorKind), func(a agent) any { return string(a.Kind) }),
		"id":   get("A device's is its pseudonym.", must(graphql.ID), func(a agent) any { return a.ID }),
		"name": get("", must(graphql.String), func(a agent) any { return a.Name }),
		"role": get("", graphql.String, func(a agent) any { return orNull(a.Role) }),
		"address": ask("From which the request came; auditors only.", graphql.String, func(ctx context.Context, r *run, a agent) (any, error) {
			rec, err := r.record(ctx, a.at)
			if err != nil {
				return nil, err
			}
			full, err := r.Codec.DecodeActor(rec.env)
			return orNull(full.Address), err
		}),
	}
}
