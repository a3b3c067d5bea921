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

// The most events that are folded in one transaction: of a log that is read to its end, and of one that is followed,
// where they are kept open beside everything else that a server does.
const (
	maxBatch  = 1000
	liveBatch = 250
)

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
		began := time.Now()
		for chunk := range slices.Chunk(batch, liveBatch) {
			if err := v.foldChunk(chunk, codec); err != nil {
				return fmt.Errorf("fold the views: %w", err)
			}
		}
		if following.Err() != nil {
			break
		}
		v.pause(following, v.rest(batch[len(batch)-1].Time, time.Since(began)))
	}
	if following.Err() == nil {
		return fmt.Errorf("fold the views: the log ended: %w", eventstore.ErrClosed)
	}
	return v.takeNext(ctx)
}

// mayLag is how far behind the log the views may fall for the sake of devices.
const mayLag = 2 * time.Second

// rest is how long events may gather, so that they share a transaction: as long as it took to fold those before, so
// that devices have the better half of a busy machine, but for views that lag already.
func (v *Views) rest(last time.Time, took time.Duration) time.Duration {
	if v.options.Pause < 0 || time.Since(last) > mayLag {
		return 0
	}
	return max(v.options.Pause, took)
}

// pause waits, unless somebody waits for the views.
func (v *Views) pause(ctx context.Context, rest time.Duration) {
	if rest == 0 {
		return
	}
	timer := time.NewTimer(rest)
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
