package main

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/rollcall-mdm/rollcall/domain/bulk"
	"github.com/rollcall-mdm/rollcall/domain/trust"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/ledger"
)

// question is what a bundle is to hold of a log that ends at a position. One that holds not all holds at
// least what tells whom the server trusted; one of a single device also the orders to many devices that were passed on to it.
func question(ctx context.Context, log ledger.Events, from, to moment, stream string, upTo eventstore.Position) (ledger.Question, error) {
	q := ledger.Question{From: from.UTC(), To: to.UTC(), Stream: stream}
	if q.All() {
		return q, nil
	}
	also := []string{eventstore.Stream{Kind: trust.Kind, ID: trust.Devices}.String()}
	if stream != "" {
		orders, err := ordersTo(ctx, log, stream, upTo)
		if err != nil {
			return q, err
		}
		also = append(also, orders...)
	}
	q.Also = strings.Join(also, " ")
	return q, nil
}

// end returns the position up to which a bundle is made: the one that was asked for, or the last that is durable.
func end(ctx context.Context, l *ledger.Ledger, asked int64) (eventstore.Position, error) {
	if asked != 0 {
		return eventstore.Position(asked), nil
	}
	n, err := l.Tree.Leaves(ctx)
	return eventstore.Position(n), err
}

// ordersTo returns the streams of the orders to many devices that a device's commands refer to, the oldest first.
func ordersTo(ctx context.Context, log ledger.Events, stream string, upTo eventstore.Position) (orders []string, err error) {
	for env, err := range ofStream(ctx, log, stream) {
		if err != nil {
			return nil, fmt.Errorf("look for orders to many devices: %w", err)
		}
		if env.Position > upTo {
			break
		}
		if id := bulkOf(env); id != "" {
			if order := (eventstore.Stream{Kind: bulk.Kind, ID: id}).String(); !slices.Contains(orders, order) {
				orders = append(orders, order)
			}
		}
	}
	return orders, nil
}

// ofStream yields the events of one stream, with the positions that the log's ReadAll gives them.
func ofStream(ctx context.Context, log ledger.Events, name string) iter.Seq2[eventstore.Envelope, error] {
	reader, reads := log.(interface {
		ReadStream(context.Context, eventstore.Stream, int64, eventstore.Direction) iter.Seq2[eventstore.Envelope, error]
	})
	if stream, err := eventstore.ParseStream(name); reads && err == nil {
		return reader.ReadStream(ctx, stream, 0, eventstore.Forward)
	}
	return func(yield func(eventstore.Envelope, error) bool) {
		for env, err := range log.ReadAll(ctx, 0) {
			if (err != nil || env.Stream.String() == name) && !yield(env, err) {
				return
			}
		}
	}
}
