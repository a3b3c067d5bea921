package projections

import (
	"context"
	"fmt"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

// A takeover is an edition that waits to be served in the place of the one before.
type takeover struct {
	log    eventstore.Log
	codec  eventstore.Codec[domain.Event]
	next   *edition
	before *edition   // once it has taken over
	done   chan error // told when it has, or why it could not
}

// catchUp folds what the log has now, and at least up to a position, into the edition that waits.
func (t *takeover) catchUp(ctx context.Context, least eventstore.Position, tell func(eventstore.Position)) error {
	head, err := t.log.Head(ctx)
	if err != nil {
		return err
	}
	return t.next.catchUp(ctx, t.log, t.codec, max(head, least), maxBatch, tell)
}

// takeOver has an edition served. Whoever writes the views does it, between two batches; if nobody does, it is done here.
func (v *Views) takeOver(ctx context.Context, t *takeover) error {
	v.mu.Lock()
	v.next = t
	if v.breakOff != nil {
		v.breakOff()
	}
	v.mu.Unlock()
	select {
	case v.writing <- struct{}{}:
		defer func() { <-v.writing }()
		if err := v.takeNext(ctx); err != nil {
			return err
		}
	case err := <-t.done:
		return err
	case <-ctx.Done():
		v.mu.Lock()
		waits := v.next == t
		if waits {
			v.next = nil
		}
		v.mu.Unlock()
		if waits {
			return ctx.Err()
		}
	}
	return <-t.done // somebody has taken it on
}

// waits reports whether an edition waits to be served. If none does, breakOff is called when one comes.
func (v *Views) waits(breakOff context.CancelFunc) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.breakOff = breakOff
	return v.next != nil
}

// takeNext lets the edition that waits take over, if there is one. The caller has the right to write. What goes wrong
// with it is the business of whoever made it: the one before is served on.
func (v *Views) takeNext(ctx context.Context) error {
	v.mu.Lock()
	t := v.next
	v.next = nil
	v.mu.Unlock()
	if t == nil {
		return nil
	}
	err := t.catchUp(ctx, v.furthest(), func(eventstore.Position) {})
	if at := eventstore.Position(t.next.slowest()); err == nil && at < v.furthest() {
		err = fmt.Errorf("the log ends at position %d, and the views stand at %d already", at, v.furthest())
	}
	if err == nil {
		err = link(v.path, t.next.file)
	}
	if err == nil {
		t.before = v.edition
		v.mu.Lock()
		v.edition = t.next
		v.wake()
		v.mu.Unlock()
		v.arrived(eventstore.Position(v.slowest()))
	}
	t.done <- err
	return nil
}
