package projections

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

// maxBatch is the most events that are folded in one transaction while readers wait for them.
const maxBatch = 1000

// errBusy says that somebody else writes the views.
var errBusy = errors.New("the views are written already, or closed")

// Run follows the log and folds it into all views until ctx ends, which is no error. One Run at a time.
//
// A view that cannot digest an event parks its stream and goes on with the others; List shows it. Run returns
// only what is nobody's event's fault: the log or the file failed. It may then be run again.
func (v *Views) Run(ctx context.Context, log eventstore.Log, codec eventstore.Codec[domain.Event]) error {
	if !v.write(log) {
		return errBusy
	}
	defer func() { <-v.writing }()
	if !v.unfit {
		if err := v.restore(); err != nil { // where an earlier Run failed, memory may be ahead of the file
			return fmt.Errorf("read where the views stand: %w", err)
		}
	}
	for ctx.Err() == nil {
		if err := v.follow(ctx, log, codec); err != nil {
			return err
		}
	}
	return nil
}

// write takes the right to write, if nobody has it.
func (v *Views) write(log eventstore.Log) bool {
	select {
	case v.writing <- struct{}{}:
	default:
		return false
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.log = log
	return true
}

// follow folds what the log has until ctx ends, or until another edition has taken over.
func (v *Views) follow(ctx context.Context, log eventstore.Log, codec eventstore.Codec[domain.Event]) error {
	following, stop := context.WithCancel(ctx)
	defer stop()
	if v.waits(stop) {
		return v.takeNext(ctx)
	}
	if v.unfit {
		<-following.Done()
		return v.takeNext(ctx)
	}
	for batch, err := range log.Follow(following, eventstore.Position(v.slowest())) {
		if err != nil {
			return fmt.Errorf("follow the log: %w", err)
		}
		for chunk := range slices.Chunk(batch, maxBatch) {
			if err := v.foldChunk(chunk, codec); err != nil {
				return fmt.Errorf("fold the views: %w", err)
			}
		}
		if following.Err() != nil {
			break
		}
		v.pause(following, batch)
	}
	if following.Err() == nil {
		return fmt.Errorf("fold the views: the log ended: %w", eventstore.ErrClosed)
	}
	return v.takeNext(ctx)
}

// pause lets events gather, so that they share a transaction, unless somebody waits for them, or the views lag.
func (v *Views) pause(ctx context.Context, batch []eventstore.Envelope) {
	lags := len(batch) >= maxBatch || time.Since(batch[len(batch)-1].Time) > time.Second
	if v.options.Pause < 0 || lags {
		return
	}
	timer := time.NewTimer(v.options.Pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-v.hurry:
	case <-ctx.Done():
	}
}

// foldChunk folds events into the edition that is served, and tells those who wait.
func (v *Views) foldChunk(chunk []eventstore.Envelope, codec eventstore.Codec[domain.Event]) error {
	p := &page{envs: chunk}
	v.opener(codec).open(p)
	if err := v.fold(p); err != nil {
		return err
	}
	v.arrived(eventstore.Position(v.slowest()))
	return nil
}
