package projections

import (
	"context"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// People lists what people and programs with tokens did, to whatever device or thing, in the order of the log.
// The filter narrows it; its ActorKind is not looked at. It reads the timeline, which has an index by actor.
func (v *Views) People(ctx context.Context, f EventFilter, p Page) (Listing[Entry], error) {
	f.ActorKind = []eventstore.ActorKind{eventstore.ByOperator, eventstore.ByToken}
	return v.Events(ctx, f, p)
}

// ForActor lists what one person or program did. actor is an id or a name as events tell it.
func (v *Views) ForActor(ctx context.Context, actor string, p Page) (Listing[Entry], error) {
	return v.People(ctx, EventFilter{Actor: actor}, p)
}

// Actors lists everybody who ever caused an event, devices themselves excepted, without addresses.
func (v *Views) Actors(ctx context.Context) (list []eventstore.Actor, err error) {
	err = v.read(ctx, func(tx Tx) error {
		return tx.Query(`SELECT kind, ident, name, role FROM actors ORDER BY id`, nil, func(r Row) error {
			list = append(list, readActor(r, 0, ""))
			return nil
		})
	})
	return list, err
}
