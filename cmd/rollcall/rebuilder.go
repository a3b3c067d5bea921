package main

import (
	"context"
	"time"

	"github.com/rollcall-mdm/rollcall/handlers"
	"github.com/rollcall-mdm/rollcall/projections"
)

// A rebuilder folds views anew while they are served: those that another version of the program has written, those that parked
// a stream because of an event that this program can open, and those that somebody asks for. It fulfils graphql.Rebuilder.
type rebuilder struct {
	*house
	views *projections.Views
	begun chan *projections.Rebuild
}

func newRebuilder(h *house, views *projections.Views) *rebuilder {
	return &rebuilder{house: h, views: views, begun: make(chan *projections.Rebuild, 1)} // only one can be under way
}

// Rebuild begins a rebuild, and returns.
func (r *rebuilder) Rebuild(_ context.Context, who handlers.Caller, views []string) error {
	work, err := r.views.BeginRebuild(views...)
	if err != nil {
		return err
	}
	r.logger.Info("views are rebuilt, as somebody asked", "views", work.Names(), "by", who.Name, "token", who.ID)
	r.begun <- work
	return nil
}

// run rebuilds until ctx ends: first of all what is stale, and what parked streams that need not be parked.
func (r *rebuilder) run(ctx context.Context) error {
	r.unpark(ctx)
	for ctx.Err() == nil {
		if stale, _ := r.views.Stale(); len(stale) > 0 {
			r.renew(ctx, stale, "another version of the program has written them")
		}
		select {
		case <-ctx.Done():
		case work := <-r.begun:
			r.do(ctx, work)
		case <-r.again():
		}
	}
	return nil
}

// unpark rebuilds the views that have parked a stream because of an event that opens now. It looks once: what does not open
// when the program starts does not open an hour later.
func (r *rebuilder) unpark(ctx context.Context) {
	names, err := r.views.Digestible(ctx, r.log, r.codec.Views())
	if err != nil {
		if ctx.Err() == nil {
			r.logger.Warn("nobody knows whether parked streams could be taken up again; `rollcall views rebuild` tries", "error", err)
		}
		return
	}
	if len(names) > 0 {
		r.renew(ctx, names, "they have parked streams because of events that did not open, and that open now")
	}
}

// again returns when to look for stale views again: never if there are none.
func (r *rebuilder) again() <-chan time.Time {
	if stale, _ := r.views.Stale(); len(stale) > 0 {
		return time.After(aWhile)
	}
	return nil
}

func (r *rebuilder) renew(ctx context.Context, views []string, why string) {
	work, err := r.views.BeginRebuild(views...)
	if err != nil {
		return // somebody has begun one, of which these are part
	}
	_, served := r.views.Stale()
	r.logger.Info("views are rebuilt, for "+why, "views", work.Names(), "served-meanwhile", served)
	r.do(ctx, work)
}

// do rebuilds. What goes wrong is logged, and shown by views { rebuildError }: the old views are served on.
func (r *rebuilder) do(ctx context.Context, work *projections.Rebuild) {
	began := time.Now()
	err := work.Do(ctx, r.log, r.codec.Views(), nil)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		r.logger.Error("the views were not rebuilt; the old ones are served on", "views", work.Names(), "error", err)
	default:
		r.logger.Info("views were rebuilt", "views", work.Names(), "took", time.Since(began).Round(time.Millisecond).String())
	}
}
