package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/projections"
)

// viewsCmd looks after the views of a server that does not run.
type viewsCmd struct {
	List    viewsListCmd    `cmd:"" help:"List the views: how far each has come, and what it could not digest."`
	Rebuild viewsRebuildCmd `cmd:"" help:"Fold all views anew beside the old ones, then put them in their place."`
}

type viewsListCmd struct{ stopped }

// Run fulfils kong's command. It folds nothing.
func (c *viewsListCmd) Run(ctx context.Context) error {
	return c.with(ctx, func(h *house) error {
		head, err := h.log.Head(ctx)
		if err != nil {
			return err
		}
		views, err := projections.Open(ctx, h.path("views.db"), projections.Options{Logger: h.logger})
		if err != nil {
			return err
		}
		list, err := views.List(ctx)
		if err = errors.Join(err, views.Close()); err != nil {
			return err
		}
		return c.print(list, head)
	})
}

func (c *viewsListCmd) print(list []projections.View, head eventstore.Position) error {
	out := tabwriter.NewWriter(c.out(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "VIEW\tVERSION\tPOSITION\tBEHIND\tPARKED")
	for _, v := range list {
		fmt.Fprintf(out, "%s\t%d\t%d\t%d\t%d\n", v.Name, v.Version, v.Position, head-v.Position, len(v.Parked))
	}
	for _, v := range list {
		for _, p := range v.Parked {
			fmt.Fprintf(out, "%s could not digest position %d of %s: %s\n", v.Name, p.Position, p.Stream, p.Error)
		}
	}
	return out.Flush()
}

type viewsRebuildCmd struct{ stopped }

// Run fulfils kong's command.
func (c *viewsRebuildCmd) Run(ctx context.Context) error {
	return c.with(ctx, func(h *house) error {
		head, err := h.log.Head(ctx)
		if err != nil {
			return err
		}
		p, began := newProgress(c.err(), "folding the views anew", int64(head)), time.Now()
		views, err := projections.Open(ctx, h.path("views.db"), projections.Options{Logger: h.logger})
		if err == nil {
			err = errors.Join(views.Rebuild(ctx, h.log, h.codec.Views(), func(at eventstore.Position) { p.at(int64(at)) }), views.Close())
		}
		p.end()
		if err != nil {
			return err
		}
		took := time.Since(began)
		fmt.Fprintf(c.out(), "%d events were folded in %v, %.0f events/s\n", head, took.Round(time.Millisecond), float64(head)/took.Seconds())
		return nil
	})
}
