package graphql

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/graphql-go/graphql"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/projections"
)

// An order is a command, and the moment at which it is looked at.
type order struct {
	projections.Command
	when moment
}

func (t *types) makeCommand() {
	t.attempt = t.object("Attempt", "One delivery of a command, and what came back.", attemptFields)
	t.command = t.object("Command", "A command for a device or one of its users.", t.commandFields)
	t.commands = t.connection(t.command)
}

func (t *types) commandQueries() graphql.Fields {
	return graphql.Fields{
		"command": root("One command. If several devices were sent it, the newest order.", t.command, graphql.FieldConfigArgument{
			"uuid": arg("Its CommandUUID.", must(graphql.ID)),
		}, func(ctx context.Context, r *run, a args) (any, error) {
			found, err := r.Views.Command(ctx, a.text("uuid"))
			if err != nil || len(found) == 0 {
				return nil, err
			}
			return order{found[0], present}, nil
		}),
		"commands": root("Commands, the newest first.", must(t.commands), forward(graphql.FieldConfigArgument{
			"filter": arg("", t.commandFilter),
		}), func(ctx context.Context, r *run, a args) (any, error) {
			return r.commands(ctx, commandFilter(a.object("filter")), a, present)
		}),
	}
}

func commandFilter(f args) projections.CommandFilter {
	return projections.CommandFilter{
		States: texts[projections.CommandState](f, "states"), RequestTypes: texts[string](f, "requestTypes"),
		Device: f.text("device"), Actor: f.text("actor"), From: f.moment("from"), To: f.moment("to"),
	}
}

func (r *run) commands(ctx context.Context, f projections.CommandFilter, a args, when moment) (any, error) {
	p, err := a.page()
	if err != nil {
		return nil, err
	}
	page, err := r.Views.Commands(ctx, f, p)
	if err != nil {
		return nil, err
	}
	return connect(page, func(c projections.Command) any { return order{c, when} }), nil
}

// deviceCommands are the commands that were ordered for a device until its moment.
func deviceCommands(ctx context.Context, r *run, s seen, a args) (any, error) {
	f := commandFilter(a.object("filter"))
	switch {
	case f.Device != "":
		return nil, domain.Refusef(domain.Invalid, "a device's commands are its own: leave out the filter's device")
	case s.when.past() && len(f.States) > 0:
		return nil, domain.WithHint(domain.Refusef(domain.Invalid, "commands of a past moment cannot be chosen by state"),
			"ask without states, and look at each command's state")
	}
	f.Device = s.ID
	if s.when.past() && (f.To.IsZero() || f.To.After(s.when.time)) {
		f.To = s.when.time
	}
	return r.commands(ctx, f, a, s.when)
}

func deviceQueue(ctx context.Context, r *run, s seen) (any, error) {
	if s.when.past() {
		return r.queueThen(ctx, s)
	}
	waiting, err := r.Views.Queue(ctx, s.ID)
	return orders(waiting, present), err
}

func orders(commands []projections.Command, when moment) []order {
	all := make([]order, len(commands))
	for i, c := range commands {
		all[i] = order{c, when}
	}
	return all
}

// queueThen is the queue at a moment in the past: the device itself, folded until then, tells what waited.
func (r *run) queueThen(ctx context.Context, s seen) (any, error) {
	var d device.Device
	for env, err := range r.Log.ReadStream(ctx, eventstore.Stream{Kind: device.Kind, ID: s.ID}, 0, eventstore.Forward) {
		if err != nil {
			return nil, err
		}
		if env.Position > s.when.at {
			break
		}
		e, err := r.Codec.Decode(env)
		if err != nil {
			return nil, err
		}
		d = d.Evolve(e, env.Time)
	}
	var uuids []string
	for _, c := range d.Channels {
		for _, item := range offered(c.Queue) {
			uuids = append(uuids, item.UUID)
		}
	}
	if len(uuids) == 0 {
		return []order{}, nil
	}
	return r.inOrder(ctx, s.ID, uuids, s.when)
}

// offered sorts a queue as a device offers it.
func offered(queue []*device.Item) []*device.Item {
	return slices.SortedStableFunc(slices.Values(queue), func(a, b *device.Item) int {
		if (a.Deferrals == 0) != (b.Deferrals == 0) {
			if a.Deferrals == 0 {
				return -1
			}
			return 1
		}
		return b.Priority - a.Priority
	})
}

// inOrder returns a device's commands with these UUIDs, in their order.
func (r *run) inOrder(ctx context.Context, deviceID string, uuids []string, when moment) ([]order, error) {
	found := map[string]projections.Command{}
	for some := range slices.Chunk(uuids, projections.MaxPage) {
		page, err := r.Views.Commands(ctx, projections.CommandFilter{Device: deviceID, UUIDs: some}, projections.Page{First: projections.MaxPage})
		if err != nil {
			return nil, err
		}
		for _, c := range page.Nodes() {
			found[c.UUID] = c
		}
	}
	all := make([]order, 0, len(uuids))
	for _, uuid := range uuids {
		if c, ok := found[uuid]; ok {
			all = append(all, order{c, when})
		}
	}
	return all, nil
}

// tries are a command's deliveries until its moment, each with what is looked up for it.
func (r *run) tries(ctx context.Context, o order) ([]try, error) {
	all, err := r.attempts(ctx, o)
	list := make([]try, len(all))
	for i, one := range all {
		list[i] = try{one, o, i + 1, i == len(all)-1}
	}
	return list, err
}

// attempts returns a command's deliveries until its moment.
func (r *run) attempts(ctx context.Context, o order) ([]projections.Attempt, error) {
	all, err := r.Views.Attempts(ctx, o.Command)
	if err != nil || !o.when.past() {
		return all, err
	}
	var until []projections.Attempt
	for _, one := range all {
		if one.Position > o.when.at {
			break
		}
		if one.Answer > o.when.at {
			one = projections.Attempt{DeliveredAt: one.DeliveredAt, Position: one.Position}
		}
		until = append(until, one)
	}
	return until, nil
}

// settled reports whether the command had ended at its moment.
func (o order) settled() bool { return o.SettledPosition != 0 && o.SettledPosition <= o.when.at }

// state is how far the command had come at its moment.
func (r *run) state(ctx context.Context, o order) (any, error) {
	if !o.when.past() || o.settled() {
		return string(o.State), nil
	}
	tries, err := r.attempts(ctx, o)
	if err != nil {
		return nil, err
	}
	switch n := len(tries); {
	case n == 0:
		return string(projections.Queued), nil
	case tries[n-1].Status == device.NotNow:
		return string(projections.Deferred), nil
	}
	return string(projections.Delivered), nil
}

// outcome returns what came back in the end: the device's answer and its errors.
func (r *run) outcome(ctx context.Context, o order) (result, chain json.RawMessage, err error) {
	if !o.settled() {
		return nil, nil, nil
	}
	rec, err := r.record(ctx, o.SettledPosition)
	if err != nil {
		return nil, nil, err
	}
	switch e := rec.event.(type) {
	case device.CommandAcknowledged:
		return e.Result, nil, nil
	case device.CommandFailed:
		return e.Result, e.ErrorChain, nil
	case device.CommandFormatRejected:
		return e.Result, e.ErrorChain, nil
	}
	return nil, nil, nil
}
