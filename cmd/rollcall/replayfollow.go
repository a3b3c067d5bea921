package main

import (
	"context"
	"time"

	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/projections"
)

// viewPatience is how long an event waits for the server's views, which tell what things are called, before it is told
// without them.
const viewPatience = 2 * time.Second

// future tells what happens from now on, until ctx ends, which is no error.
func (r *replay) future(ctx context.Context, id string) error {
	if err := r.out.Flush(); err != nil {
		return err
	}
	only := eventstore.Stream{Kind: device.Kind, ID: id}
	for batch, err := range r.log.Follow(ctx, r.head) {
		if err != nil {
			return err
		}
		r.keepUp(ctx, batch[len(batch)-1].Position)
		for _, env := range batch {
			if id != "" && env.Stream != only || !r.wants(&env) {
				continue
			}
			if err := r.print(ctx, env); err != nil {
				return err
			}
		}
		if err := r.out.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// keepUp waits a while for the views to show what has happened up to a position, and takes those that have been rebuilt
// since. Names that were looked up before may have changed.
func (r *replay) keepUp(ctx context.Context, at eventstore.Position) {
	clear(r.labels)
	ctx, cancel := context.WithTimeout(ctx, viewPatience)
	defer cancel()
	for ctx.Err() == nil {
		if r.read.Moved() {
			r.reopen(ctx)
		}
		if reached, err := r.read.Standing(ctx); err != nil || reached >= at {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// reopen takes the views that are served now. If they cannot be read yet, the ones before do.
func (r *replay) reopen(ctx context.Context) {
	views, err := projections.OpenReadOnly(ctx, r.path("views.db"), projections.Options{Logger: r.logger})
	if err != nil {
		return
	}
	_ = r.read.Close() // nothing was written to them
	r.read = views
}
