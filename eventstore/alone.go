package eventstore

import (
	"context"
	"time"
)

// UpdateAlone does what Update does, and then calls then, if decide did not fail, before anybody else in this process
// may change the aggregate. It is for what must be done between an event and the next one.
func (r *Repository[S, E]) UpdateAlone(ctx context.Context, id string, meta Meta, decide func(state S, at time.Time) ([]E, error),
	then func(Change[S, E]) error) (Change[S, E], error) {
	r.once.Do(r.init)
	unlock, err := r.locks.lock(ctx, id)
	if err != nil {
		return Change[S, E]{}, err
	}
	defer unlock()
	change, err := r.update(ctx, id, meta, decide)
	if err == nil {
		err = then(change)
		r.cache.drop(id) // what then has forgotten is not remembered here
	}
	return change, err
}
