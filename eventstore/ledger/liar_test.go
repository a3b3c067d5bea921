package ledger_test

import (
	"context"
	"iter"

	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/embedded"
)

// A liar is a log that tells another time of its fourth event.
type liar struct{ *embedded.Log }

func (l liar) ReadAll(ctx context.Context, after eventstore.Position) iter.Seq2[eventstore.Envelope, error] {
	return func(yield func(eventstore.Envelope, error) bool) {
		for env, err := range l.Log.ReadAll(ctx, after) {
			if env.Position == 4 {
				env.Time = env.Time.Add(1000)
			}
			if !yield(env, err) {
				return
			}
		}
	}
}
