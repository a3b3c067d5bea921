package graphql

import (
	"context"

	"github.com/graphql-go/graphql"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/bulk"
	"github.com/rollcall-mdm/rollcall/handlers"
	"github.com/rollcall-mdm/rollcall/projections"
)

// A muster is an order to many devices, and the moment at which it is looked at.
type muster struct {
	projections.BulkOrder
	when moment
}

func (t *types) makeBulk() {
	t.progress = t.object("BulkProgress", "How many of an order's devices stand where. All numbers together are the order's devices.", progressFields)
	t.bulk = t.object("BulkOrder", "An order to all devices that belonged to a group when it was given.", t.bulkFields)
	t.bulks = t.connection(t.bulk)
	t.refusals = t.connection(t.refused)
}

func (t *types) bulkFields() graphql.Fields {
	return graphql.Fields{
		"id":          get("", must(graphql.ID), func(m muster) any { return m.ID }),
		"requestType": get("", must(graphql.String), func(m muster) any { return m.RequestType }),
		"groupId":     get("", must(graphql.ID), func(m muster) any { return m.Group }),
		"devices":     get("How many belonged to the group when it was ordered. Who joins or leaves it later changes nothing.", must(graphql.Int), func(m muster) any { return m.Devices }),
		"orderedAt":   get("", must(timeScalar), func(m muster) any { return m.OrderedAt }),
		"orderedBy":   get("", must(t.actor), func(m muster) any { return agent{m.OrderedBy, m.Position} }),
		"reason":      get("Why, in the words of whoever ordered it.", graphql.String, func(m muster) any { return orNull(m.Reason) }),
		"position":    get("Of the event that ordered it.", must(graphql.ID), func(m muster) any { return position(m.Position) }),
		"cancelledAt": get("Null if it was not.", timeScalar, func(m muster) any { return m.CancelledAt }),
		"cancelledBy": get("", t.actor, func(m muster) any {
			if m.Cancelled == 0 {
				return nil
			}
			return agent{m.CancelledBy, m.Cancelled}
		}),
		"cancelledBecause": get("", graphql.String, func(m muster) any { return orNull(m.CancelledReason) }),
		"parameters":       ask("Its keys; secrets are masked.", jsonScalar, orderParameters),
		"progress": ask("At this moment.", must(t.progress), func(ctx context.Context, r *run, m muster) (any, error) {
			return r.Views.BulkProgress(ctx, m.BulkOrder, m.when.at)
		}),
		"refused": field("The devices that did not take it, and why.", must(t.refusals), forward(nil), bulkRefused),
		"commands": field("One for each device that took it, the newest first. Those of a past moment cannot be chosen by state.", must(t.commands), forward(graphql.FieldConfigArgument{
			"filter": arg("", t.commandFilter),
		}), bulkCommands),
	}
}

func progressFields() graphql.Fields {
	type progress = projections.BulkProgress
	ended := func(about string, states ...projections.CommandState) *graphql.Field {
		return get(about, must(graphql.Int), func(p progress) any {
			n := 0
			for _, s := range states {
				n += p.Ended[s]
			}
			return n
		})
	}
	return graphql.Fields{
		"pending":      get("Not reached yet; if the order was cancelled, never.", must(graphql.Int), func(p progress) any { return p.Pending }),
		"refused":      get("Did not take it: refused tells why.", must(graphql.Int), func(p progress) any { return p.Refused }),
		"waiting":      get("Took it, and have not ended it: queued and delivered together.", must(graphql.Int), func(p progress) any { return p.Queued + p.Delivered }),
		"queued":       get("Have not fetched it yet.", must(graphql.Int), func(p progress) any { return p.Queued }),
		"delivered":    get("Were handed it, and have not answered it for good; some said NotNow.", must(graphql.Int), func(p progress) any { return p.Delivered }),
		"acknowledged": ended("", projections.Acknowledged),
		"failed":       ended("Could not do it, or did not understand it.", projections.Failed, projections.FormatRejected),
		"cancelled":    ended("", projections.Cancelled),
		"superseded":   ended("", projections.Superseded),
		"expired":      ended("", projections.Expired),
	}
}

func orderParameters(ctx context.Context, r *run, m muster) (any, error) {
	rec, err := r.record(ctx, m.Position)
	if err != nil {
		return nil, err
	}
	if e, ok := rec.event.(bulk.Ordered); ok {
		return open(e.Parameters)
	}
	return nil, nil
}

func bulkRefused(ctx context.Context, r *run, m muster, a args) (any, error) {
	p, err := a.page()
	if err != nil {
		return nil, err
	}
	page, err := r.Views.BulkRefused(ctx, m.BulkOrder, m.when.at, p)
	return connect(page, func(x projections.BulkRefusal) any { return refusal{x.Device, x.Code, x.Reason, nil} }), err
}

// bulkCommands are the commands of an order until its moment.
func bulkCommands(ctx context.Context, r *run, m muster, a args) (any, error) {
	f := commandFilter(a.object("filter"))
	switch {
	case m.when.past() && len(f.States) > 0:
		return nil, domain.WithHint(domain.Refusef(domain.Invalid, "commands of a past moment cannot be chosen by state"),
			"ask without states, and look at each command's state")
	case m.when.past() && (f.To.IsZero() || f.To.After(m.when.time)):
		f.To = m.when.time
	}
	f.Bulk = m.ID
	return r.commands(ctx, f, a, m.when)
}

// commandOrder is the order to many that a command is part of.
func (t *types) commandOrder() *graphql.Field {
	return ask("The order to many devices that it is part of; null if it is part of none.", t.bulk, func(ctx context.Context, r *run, o order) (any, error) {
		found, is, err := r.Views.BulkOrderOf(ctx, o.Command)
		if err != nil || !is {
			return nil, err
		}
		return r.muster(ctx, found.ID, o.when)
	})
}

func (t *types) bulkQueries() graphql.Fields {
	node := func(x projections.BulkOrder, when moment) any { return muster{x, when} }
	return graphql.Fields{
		"bulkOrders": listAsOf("Orders to many devices, the newest first.", t.bulks, (*projections.Views).BulkOrders, node),
		"bulkOrder":  oneAsOf(t.bulk, "id", (*projections.Views).BulkOrder, node),
	}
}

func (t *types) bulkMutations() graphql.Fields {
	return graphql.Fields{
		"cancelBulkOrder": root("Takes an order to many devices back: who has not been reached is not, and what waits is cancelled.", must(t.bulk), graphql.FieldConfigArgument{
			"id": arg("", must(graphql.ID)), "reason": arg("", must(graphql.String)),
		}, cancelBulkOrder),
	}
}

func cancelBulkOrder(ctx context.Context, r *run, a args) (any, error) {
	at, err := r.Bulk.Cancel(ctx, r.caller, a.text("id"), a.text("reason"))
	if err == nil {
		err = r.shows(ctx, at)
	}
	if err != nil {
		return nil, err
	}
	return r.muster(ctx, a.text("id"), present)
}

// muster returns an order to many devices at a moment, nil if there was none.
func (r *run) muster(ctx context.Context, id string, when moment) (any, error) {
	found, is, err := r.Views.BulkOrder(ctx, id, when.at)
	if err != nil || !is {
		return nil, err
	}
	return muster{found, when}, nil
}

// sendGroup orders a command for all devices of a group. The answer does not wait for them.
func (r *run) sendGroup(ctx context.Context, in args) (any, error) {
	if in.text("userId") != "" || len(texts[string](in, "devices")) > 0 {
		return nil, domain.WithHint(domain.Refusef(domain.Invalid, "a command is for a group, or for devices and their users that are named"),
			"leave out group, or devices and userId")
	}
	parameters, err := in.parameters()
	if err != nil {
		return nil, err
	}
	o, err := handlers.TypedOrder(in.text("requestType"), parameters, "")
	if err != nil {
		return nil, err
	}
	if err := r.caughtUp(ctx); err != nil { // who has just joined belongs to it
		return nil, err
	}
	push, told := in["push"].(bool)
	id, at, err := r.Bulk.Send(ctx, r.caller, in.text("group"), in.rules(o), told && !push)
	if err == nil {
		err = r.shows(ctx, at)
	}
	if err != nil {
		return nil, err
	}
	found, err := r.muster(ctx, id, present)
	return sent{commands: []order{}, refused: []refusal{}, against: []refusal{}, muster: found}, err
}
