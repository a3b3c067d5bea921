package main

import (
	"context"
	"time"

	"github.com/rollcall-mdm/rollcall/handlers"
	"github.com/rollcall-mdm/rollcall/projections"
)

// A rebuilder folds views anew while they are served: those that another version of the program has written, and those
// that somebody asks for. It fulfils graphql.Rebuilder.
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

// run rebuilds until ctx ends: first of all what is stale.
func (r *rebuilder) run(ctx context.Context) error {
	for ctx.Err() == nil {
		if stale, _ := r.views.Stale(); len(stale) > 0 {
			r.renew(ctx, stale)
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

// again returns when to look for stale views again: never if there are none.
func (r *rebuilder) again() <-chan time.Time {
	if stale, _ := r.views.Stale(); len(stale) > 0 {
		return time.After(aWhile)
	}
	return nil
}

func (r *rebuilder) renew(ctx context.Context, stale []string) {
	work, err := r.views.BeginRebuild(stale...)
	if err != nil {
		return // somebody has begun one, of which these are part
	}
	_, served := r.views.Stale()
	r.logger.Info("views are rebuilt, for another version of the program has written them", "views", work.Names(), "served-meanwhile", served)
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
