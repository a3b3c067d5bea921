package projections

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

// ErrRebuilding says that the views are being rebuilt already.
var ErrRebuilding = errors.New("the views are being rebuilt already: views { rebuilding rebuilt } tells how far it has come")

// A Rebuild folds views of the log anew and then serves them in the place of what was served till then. The new ones are
// built in a file beside the old one, which Run goes on folding and everybody goes on reading; nobody is interrupted, and
// no view's position ever goes back. If it does not come to its end, nothing has changed. It works without Run too.
type Rebuild struct {
	of       *Views
	progress *progress
}

// BeginRebuild begins the rebuild of the views that are named, or of all. Those that are stale are always among them.
// The caller has it done by Do, once. ErrRebuilding: another one is under way.
func (v *Views) BeginRebuild(names ...string) (*Rebuild, error) {
	names, err := v.chosen(names)
	if err != nil {
		return nil, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case v.closed:
		return nil, ErrClosed
	case v.rebuild != nil && !v.rebuild.done:
		return nil, ErrRebuilding
	}
	v.rebuild = &progress{views: names}
	return &Rebuild{v, v.rebuild}, nil
}

// Names lists the views that are rebuilt.
func (r *Rebuild) Names() []string { return r.progress.views }

// Do rebuilds. tell, if not nil, is told now and then how far it has come.
func (r *Rebuild) Do(ctx context.Context, log eventstore.Log, codec eventstore.Codec[domain.Event], tell func(at eventstore.Position)) error {
	r.progress.tell = tell
	err := r.of.rebuildAs(ctx, r.progress, log, codec)
	if err != nil && ctx.Err() != nil {
		err = ctx.Err() // whatever it broke
	}
	if err != nil {
		err = fmt.Errorf("rebuild the views: %w", err)
	}
	r.of.mu.Lock()
	defer r.of.mu.Unlock()
	r.progress.done, r.progress.err = true, err
	return err
}

// Rebuild begins a rebuild and does it.
func (v *Views) Rebuild(ctx context.Context, log eventstore.Log, codec eventstore.Codec[domain.Event], tell func(at eventstore.Position),
	names ...string) error {
	r, err := v.BeginRebuild(names...)
	if err != nil {
		return err
	}
	return r.Do(ctx, log, codec, tell)
}

// chosen returns the names of the views to rebuild.
func (v *Views) chosen(names []string) (chosen []string, err error) {
	known := make([]string, len(v.options.views))
	for i, one := range v.options.views {
		known[i] = one.name
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, domain.Refusef(domain.NotFound, "no view is called %q: there are %s", name, strings.Join(known, ", "))
		}
	}
	stale, asked := v.Stale()
	if len(names) == 0 || !asked {
		return known, nil
	}
	for _, name := range known { // in their order, each once
		if slices.Contains(names, name) || slices.Contains(stale, name) {
			chosen = append(chosen, name)
		}
	}
	return chosen, nil
}

// A progress says how far a rebuild has come, or how the last one ended. A nil progress is that of none.
type progress struct {
	views   []string
	reached atomic.Int64
	tell    func(eventstore.Position)
	done    bool  // guarded by the views' mu
	err     error // why it did not come to its end
}

// show tells it of a view. The caller holds the views' mu.
func (p *progress) show(v *View) {
	switch {
	case p == nil || !slices.Contains(p.views, v.Name):
	case !p.done:
		v.Rebuilding, v.Rebuilt = true, eventstore.Position(p.reached.Load())
	case p.err != nil:
		v.RebuildError = p.err.Error()
	}
}

func (p *progress) arrived(at eventstore.Position) {
	p.reached.Store(int64(at))
	if p.tell != nil {
		p.tell(at)
	}
}

// near is how few events a round must have folded for the new views to be about to take over.
const near = 2000

func (v *Views) rebuildAs(ctx context.Context, p *progress, log eventstore.Log, codec eventstore.Codec[domain.Event]) error {
	beside, err := v.makeBeside(ctx, p.views)
	if err != nil {
		return err
	}
	for folded := near + 1; err == nil && folded > near; {
		before := beside.folded
		var head eventstore.Position
		if head, err = log.Head(ctx); err == nil {
			err = beside.catchUp(ctx, log, codec, head, bulkBatch, p.arrived)
		}
		folded = beside.folded - before
	}
	if err = errors.Join(err, beside.settle(err == nil)); err != nil {
		return errors.Join(err, Remove(beside.file))
	}
	return v.serve(ctx, p, beside.file, log, codec)
}

// serve opens the file that was built, lets it catch up, and has it take over.
func (v *Views) serve(ctx context.Context, p *progress, file string, log eventstore.Log, codec eventstore.Codec[domain.Event]) error {
	next, err := openServed(ctx, file, v.options)
	if err != nil {
		return errors.Join(err, Remove(file))
	}
	t := &takeover{log: log, codec: codec, next: next, done: make(chan error, 1)}
	if err = t.catchUp(ctx, 0, p.arrived); err == nil {
		err = v.takeOver(ctx, t)
	}
	if err != nil {
		return errors.Join(err, next.close(), Remove(file))
	}
	return v.discard(t.before)
}

// discard closes an edition that is no longer served, after the last who reads it, and removes its file. A file by which
// the views were known is gone already: a link has taken its name.
func (v *Views) discard(before *edition) error {
	err := before.close()
	if before.file != v.path {
		err = errors.Join(err, removeAll(before.file))
	}
	return errors.Join(err, removeAll(companions(before.file)...))
}
