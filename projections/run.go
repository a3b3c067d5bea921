package projections

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"zombiezen.com/go/sqlite"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

// maxBatch is the most events that are folded in one transaction.
const maxBatch = 1000

// A folding is a view on its way through the log.
type folding struct {
	view
	folder
	position int64
	time     int64           // the latest up to position
	parked   map[string]bool // streams
}

// Run follows the log and folds it into all views until ctx ends, which is no error. One Run at a time.
//
// A view that cannot digest an event parks its stream and goes on with the others; List shows it. Run returns
// only what is nobody's event's fault: the log or the file failed. It may then be run again.
func (v *Views) Run(ctx context.Context, log eventstore.Log, codec eventstore.Codec[domain.Event]) error {
	select {
	case v.writing <- struct{}{}:
		defer func() { <-v.writing }()
	default:
		return errors.New("the views are written already, or closed")
	}
	if err := v.restore(); err != nil { // where an earlier Run failed, memory may be ahead of the file
		return fmt.Errorf("read where the views stand: %w", err)
	}
	v.mu.Lock()
	v.log = log
	v.mu.Unlock()
	for batch, err := range log.Follow(ctx, eventstore.Position(v.slowest())) {
		if err != nil {
			return fmt.Errorf("follow the log: %w", err)
		}
		for chunk := range slices.Chunk(batch, maxBatch) {
			if err := v.foldChunk(chunk, codec); err != nil {
				return fmt.Errorf("fold the views: %w", err)
			}
		}
		v.pause(ctx, batch)
	}
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("fold the views: the log ended: %w", eventstore.ErrClosed)
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

// foldChunk folds events in one transaction: all together, or, if one of them is trouble, each on its own.
func (v *Views) foldChunk(chunk []eventstore.Envelope, codec eventstore.Codec[domain.Event]) error {
	err := v.transact(chunk, codec, v.foldAll)
	if err != nil && !failed(err) {
		v.options.Logger.Warn("an event is not easily digested: folding with care", "error", err)
		err = v.transact(chunk, codec, v.foldEach)
	}
	if err != nil {
		return err
	}
	v.arrived(eventstore.Position(v.slowest()))
	return nil
}

func (v *Views) transact(chunk []eventstore.Envelope, codec eventstore.Codec[domain.Event],
	fold func([]eventstore.Envelope, eventstore.Codec[domain.Event]) error) (err error) {
	if err := v.writer.Exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	if err = fold(chunk, codec); err == nil {
		err = v.checkpoint()
	}
	if err = v.end(err); err != nil {
		return errors.Join(err, v.restore())
	}
	return nil
}

// foldAll folds events into all views, and stops at the first trouble.
func (v *Views) foldAll(chunk []eventstore.Envelope, codec eventstore.Codec[domain.Event]) error {
	for _, env := range chunk {
		r, err := v.open(env, codec)
		if err != nil {
			return err
		}
		for _, f := range v.folders {
			if err := f.take(v.writer, r); err != nil {
				return fmt.Errorf("view %s, position %d: %w", f.name, env.Position, err)
			}
		}
	}
	for _, f := range v.folders {
		if err := guard(func() error { return f.flush(v.writer) }); err != nil {
			return fmt.Errorf("view %s: %w", f.name, err)
		}
	}
	return nil
}

// foldEach folds events one by one, undoing what a view wrote of an event that it could not digest.
func (v *Views) foldEach(chunk []eventstore.Envelope, codec eventstore.Codec[domain.Event]) error {
	for _, env := range chunk {
		r, openErr := v.open(env, codec)
		if openErr != nil && failed(openErr) {
			return openErr
		}
		for _, f := range v.folders {
			if r.position <= f.position {
				continue
			}
			if err := v.foldOne(f, r, openErr); err != nil {
				return err
			}
		}
	}
	return nil
}

func (v *Views) foldOne(f *folding, r *record, openErr error) error {
	if err := v.writer.Exec("SAVEPOINT event"); err != nil {
		return err
	}
	var err error
	if openErr != nil && f.name != "timeline" { // which shows the envelope of what cannot be opened
		err = openErr
	} else if err = f.take(v.writer, r); err == nil {
		err = guard(func() error { return f.flush(v.writer) })
	}
	if err == nil {
		return v.writer.Exec("RELEASE event")
	}
	if failed(err) {
		return err
	}
	if err := errors.Join(v.writer.Exec("ROLLBACK TO event"), v.writer.Exec("RELEASE event")); err != nil {
		return err
	}
	f.forget()
	v.names.forget()
	f.step(r)
	return v.park(f, r, err)
}

// take folds one event into the view, unless the view has had it or has parked its stream.
func (f *folding) take(tx Tx, r *record) error {
	if r.position <= f.position {
		return nil
	}
	if len(f.parked) == 0 || !f.parked[r.env.Stream.String()] {
		if err := guard(func() error { return f.apply(tx, r) }); err != nil {
			return err
		}
	}
	f.step(r)
	return nil
}

func (f *folding) step(r *record) { f.position, f.time = r.position, r.at }

// guard turns a panic into an error: one odd event must not end the program.
func guard(do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return do()
}

// failed reports whether an error is the database's own trouble, for which no event can be blamed.
func failed(err error) bool {
	switch sqlite.ErrCode(err).ToPrimary() {
	case sqlite.ResultOK, sqlite.ResultError, sqlite.ResultConstraint, sqlite.ResultMismatch, sqlite.ResultRange,
		sqlite.ResultTooBig:
		return false
	}
	return true
}

// open opens an event for all views.
func (v *Views) open(env eventstore.Envelope, codec eventstore.Codec[domain.Event]) (*record, error) {
	r := &record{env: env, position: int64(env.Position), at: max(env.Time.UnixMicro(), v.latest(int64(env.Position)))}
	var err error
	if env.Stream.Kind == device.Kind {
		if r.device, err = v.names.id(devices, env.Stream.ID); err != nil {
			return r, err
		}
	}
	if r.event, err = codec.Decode(env); err != nil {
		return r, fmt.Errorf("open %s at position %d: %w", env.Type, env.Position, err)
	}
	r.spoken = r.device != 0 && v.names.speaks[env.Type]
	if r.revived, err = v.names.revived(r); err != nil {
		return r, err
	}
	if r.uuid = uuidOf(r.event); r.uuid == "" {
		return r, nil
	}
	if _, queued := r.event.(device.CommandQueued); queued {
		r.command = r.position
		v.names.queued(r.device, r.uuid, r.position)
		return r, nil
	}
	r.command, err = v.names.command(r.device, r.uuid, r.position)
	if ends(r.event) != "" {
		v.names.settled(r.device, r.uuid)
	}
	return r, err
}

// latest returns the latest time of all events before a position, as the slowest view knows it.
func (v *Views) latest(position int64) int64 {
	best := int64(math.MinInt64)
	for _, f := range v.folders {
		if f.position < position {
			best = max(best, f.time)
		}
	}
	return best
}

func (v *Views) slowest() int64 {
	slowest := int64(math.MaxInt64)
	for _, f := range v.folders {
		slowest = min(slowest, f.position)
	}
	return slowest
}
