package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"text/tabwriter"
	"time"

	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/projections"
)

// viewsCmd looks after the views, beside a server that runs or without one.
type viewsCmd struct {
	List    viewsListCmd    `cmd:"" help:"List the views: how far each has come, and what it could not digest."`
	Rebuild viewsRebuildCmd `cmd:"" help:"Fold views anew beside the old ones, then put them in their place; a server that runs serves on meanwhile."`
}

type viewsListCmd struct{ stopped }

// Run fulfils kong's command. It folds nothing.
func (c *viewsListCmd) Run(ctx context.Context) error {
	return c.reads(ctx, func(h *house) error {
		head, err := h.log.Head(ctx)
		if err != nil {
			return err
		}
		views, err := projections.OpenReadOnly(ctx, h.path("views.db"), projections.Options{Logger: h.logger})
		if errors.Is(err, fs.ErrNotExist) {
			return errors.New("there are no views yet: rollcall views rebuild makes them, and so does the server when it starts")
		}
		if errors.Is(err, projections.ErrBuilding) {
			return errors.New("the views were written by another version of this program: rollcall views rebuild makes them anew, and so does the server when it starts")
		}
		if err != nil {
			return err
		}
		list, err := views.List(ctx)
		if err = errors.Join(err, views.Close()); err != nil {
			return err
		}
		for i := range list {
			if list[i].Lag, err = eventstore.Between(ctx, h.log, list[i].Position, head); err != nil {
				return fmt.Errorf("count what view %s is behind: %w", list[i].Name, err)
			}
		}
		return c.print(list)
	})
}

func (c *viewsListCmd) print(list []projections.View) error {
	out := tabwriter.NewWriter(c.out(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "VIEW\tVERSION\tPOSITION\tBEHIND\tPARKED")
	for _, v := range list {
		fmt.Fprintf(out, "%s\t%d\t%d\t%d\t%d\n", v.Name, v.Version, v.Position, v.Lag, len(v.Parked))
	}
	for _, v := range list {
		for _, p := range v.Parked {
			fmt.Fprintf(out, "%s could not digest position %d of %s: %s\n", v.Name, p.Position, p.Stream, p.Error)
		}
	}
	return out.Flush()
}

type viewsRebuildCmd struct {
	stopped
	asking
	Views []string `arg:"" optional:"" placeholder:"VIEW" help:"Which views; all if none is named."`
}

// Run fulfils kong's command.
func (c *viewsRebuildCmd) Run(ctx context.Context) error {
	if err := c.present(); err != nil {
		return err
	}
	if c.inUse() {
		return c.askFor(ctx)
	}
	return c.with(ctx, func(h *house) error {
		head, err := h.log.Head(ctx)
		if err != nil {
			return err
		}
		p, began := newProgress(c.err(), "folding the views anew", int64(head)).through(h.log), time.Now()
		views, err := openAnyViews(ctx, h)
		if err != nil {
			return err
		}
		err = views.Rebuild(ctx, h.log, h.codec.Views(), func(at eventstore.Position) { p.at(int64(at)) }, c.Views...)
		p.end()
		if err = errors.Join(err, views.Close()); err != nil {
			return err
		}
		return c.done(ctx, h.log, head, time.Since(began))
	})
}

// openAnyViews opens the views. Those that are damaged are thrown away: all that they held is in the log.
func openAnyViews(ctx context.Context, h *house) (*projections.Views, error) {
	views, err := projections.Open(ctx, h.path("views.db"), projections.Options{Logger: h.logger})
	if err == nil || ctx.Err() != nil {
		return views, err
	}
	if removeErr := projections.Remove(h.path("views.db")); removeErr != nil {
		return nil, errors.Join(err, removeErr)
	}
	h.logger.Warn("the views could not be opened, and are made anew", "error", err)
	return projections.Open(ctx, h.path("views.db"), projections.Options{Logger: h.logger})
}

func (c *viewsRebuildCmd) done(ctx context.Context, log eventstore.Log, head eventstore.Position, took time.Duration) error {
	n, err := eventstore.Count(ctx, log, head)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.out(), "%d events were folded in %v, %.0f events/s\n", n, took.Round(time.Millisecond), float64(n)/took.Seconds())
	return err
}

// How a server tells of its views.
const (
	askRebuild = `mutation($names: [String!]) { rebuildViews(names: $names) { name rebuilding rebuilt rebuildError } }`
	askViews   = `{ views { name rebuilding rebuilt rebuildError } log { head } }`
)

type viewsTold struct {
	Views []struct {
		Name         string
		Rebuilding   bool
		Rebuilt      int64 `json:",string"`
		RebuildError string
	}
	Log struct {
		Head int64 `json:",string"`
	}
}

// askFor has the server that runs rebuild its views, and tells how far it has come.
func (c *viewsRebuildCmd) askFor(ctx context.Context) error {
	began := time.Now()
	if err := c.ask(ctx, c.Data, askRebuild, map[string]any{"names": c.Views}, new(any)); err != nil {
		return err
	}
	p := newProgress(c.err(), "the server folds its views anew", 1)
	defer p.end()
	for {
		var told viewsTold
		if err := c.ask(ctx, c.Data, askViews, nil, &told); err != nil {
			if ctx.Err() != nil {
				fmt.Fprintln(c.err(), "\nthe server goes on with it; rollcall views list tells how the views stand")
			}
			return err
		}
		under := false
		for _, v := range told.Views {
			if v.RebuildError != "" {
				return fmt.Errorf("the server could not rebuild %s, and serves the old views on: %s", v.Name, v.RebuildError)
			}
			if v.Rebuilding {
				under = true
				p.count(v.Rebuilt, told.Log.Head)
			}
		}
		if !under {
			fmt.Fprintf(c.out(), "the server has rebuilt its views in %v, and served all the while\n", time.Since(began).Round(time.Millisecond))
			return nil
		}
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}
