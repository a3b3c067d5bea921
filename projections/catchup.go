package projections

import (
	"context"
	"fmt"
	"runtime"

	"golang.org/x/sync/errgroup"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

// CatchUp folds what the log holds now into all views, and returns; views that another version of their fold has
// written are built anew. It is for work on a log that nobody writes to; a server calls Run, and not both at once.
// tell, if not nil, is told after every batch how far it has come.
func (v *Views) CatchUp(ctx context.Context, log eventstore.Log, codec eventstore.Codec[domain.Event],
	tell func(at eventstore.Position)) error {
	if stale, _ := v.Stale(); len(stale) > 0 {
		return v.Rebuild(ctx, log, codec, tell, stale...)
	}
	if !v.write(log) {
		return errBusy
	}
	defer func() { <-v.writing }()
	head, err := log.Head(ctx)
	if err != nil {
		return fmt.Errorf("read the log's head: %w", err)
	}
	return v.edition.catchUp(ctx, log, codec, head, maxBatch, func(at eventstore.Position) {
		v.arrived(at)
		if tell != nil {
			tell(at)
		}
	})
}

// The bounds of a page that is read ahead, and how many there may be.
const (
	pageBytes = 4 << 20
	pagesRead = 3
)

// catchUp folds the log up to a position, at most size events in a transaction. One goroutine reads, some open what it
// has read, and the caller's folds; tell is told where all views stand.
func (e *edition) catchUp(ctx context.Context, log eventstore.Log, codec eventstore.Codec[domain.Event], head eventstore.Position, size int,
	tell func(eventstore.Position)) error {
	g, ctx := errgroup.WithContext(ctx)
	ordered, unopened := make(chan *page, pagesRead), make(chan *page, pagesRead)
	o, from := e.opener(codec), eventstore.Position(e.slowest())
	g.Go(func() error {
		defer close(ordered)
		defer close(unopened)
		return readPages(ctx, log, from, head, size, func(p *page) error {
			for _, to := range []chan *page{unopened, ordered} {
				select {
				case to <- p:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			return nil
		})
	})
	for range runtime.GOMAXPROCS(0) {
		g.Go(func() error {
			for p := range unopened {
				o.open(p)
				close(p.ready)
			}
			return nil
		})
	}
	g.Go(func() error { return e.foldPages(ctx, ordered, tell) })
	return g.Wait()
}

// foldPages folds pages in their order.
func (e *edition) foldPages(ctx context.Context, ordered <-chan *page, tell func(eventstore.Position)) error {
	for p := range ordered {
		select {
		case <-p.ready:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := e.makeDeferred(p); err != nil {
			return err
		}
		if err := e.fold(p); err != nil {
			return fmt.Errorf("fold the views: %w", err)
		}
		tell(eventstore.Position(e.slowest()))
	}
	return ctx.Err()
}

// readPages reads events after one position up to another, and calls each with pages of them.
func readPages(ctx context.Context, log eventstore.Log, from, head eventstore.Position, size int, each func(*page) error) error {
	p, bytes := newPage(size), 0
	give := func() error {
		if len(p.envs) == 0 {
			return nil
		}
		full := p
		p, bytes = newPage(size), 0
		return each(full)
	}
	for env, err := range log.ReadAll(ctx, from) {
		if err != nil {
			return fmt.Errorf("read the log: %w", err)
		}
		if env.Position > head {
			break
		}
		p.envs = append(p.envs, env)
		if bytes += len(env.Data) + len(env.Personal) + len(env.Secret) + len(env.Evidence); len(p.envs) < size && bytes < pageBytes {
			continue
		}
		if err := give(); err != nil {
			return err
		}
	}
	return give()
}

func newPage(size int) *page {
	return &page{envs: make([]eventstore.Envelope, 0, size), ready: make(chan struct{})}
}
