package eventstoretest

import (
	"context"
	"fmt"
	"iter"
	"sync"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// A Fault is what happens to one call of a Faulty log.
type Fault int

// The faults. A read that is Lost yields its first event, and then fails.
const (
	Refused  Fault = iota // nothing is written or read, and the call fails
	Lost                  // an append is written, and the call fails all the same
	Conflict              // an append writes nothing and conflicts for no reason; a read fails
)

// A Faulty is a log of which one call goes wrong, or every one from some moment on: so that each call that something makes can
// be made to fail, one after the other. Without a fault it does as the log that it wraps.
type Faulty struct {
	eventstore.Log

	mu    sync.Mutex
	left  int // calls until the fault; 0 if none is to come
	fault Fault
	met   bool
	down  bool
}

// Arm makes the n-th call from now go wrong, counted from 1.
func (f *Faulty) Arm(n int, fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left, f.fault, f.met = n, fault, false
}

// Met reports whether the fault has happened since Arm.
func (f *Faulty) Met() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.met
}

// Down makes all calls fail, or none any more.
func (f *Faulty) Down(down bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = down
}

// strikes reports whether this call goes wrong, and how.
func (f *Faulty) strikes() (Fault, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down {
		return Refused, true
	}
	if f.left == 0 {
		return 0, false
	}
	f.left--
	if f.left > 0 {
		return 0, false
	}
	f.met = true
	return f.fault, true
}

// Append appends, if it does not go wrong.
func (f *Faulty) Append(ctx context.Context, stream eventstore.Stream, expected int64, events []eventstore.Envelope) error {
	fault, strikes := f.strikes()
	switch {
	case !strikes:
		return f.Log.Append(ctx, stream, expected, events)
	case fault == Conflict:
		return fmt.Errorf("append to %s for no reason: %w", stream, eventstore.ErrConflict)
	case fault == Lost:
		if err := f.Log.Append(ctx, stream, expected, events); err != nil {
			return err
		}
	}
	return fmt.Errorf("append to %s: %w", stream, ErrBadLuck)
}

// ReadStream reads a stream, if it does not go wrong.
func (f *Faulty) ReadStream(ctx context.Context, stream eventstore.Stream, from int64, direction eventstore.Direction) iter.Seq2[eventstore.Envelope, error] {
	fault, strikes := f.strikes()
	return spoiled(f.Log.ReadStream(ctx, stream, from, direction), fault, strikes)
}

// ReadAll reads the log, if it does not go wrong.
func (f *Faulty) ReadAll(ctx context.Context, after eventstore.Position) iter.Seq2[eventstore.Envelope, error] {
	fault, strikes := f.strikes()
	return spoiled(f.Log.ReadAll(ctx, after), fault, strikes)
}

// Head returns the log's head, if it does not go wrong.
func (f *Faulty) Head(ctx context.Context) (eventstore.Position, error) {
	if _, strikes := f.strikes(); strikes {
		return 0, fmt.Errorf("read the head: %w", ErrBadLuck)
	}
	return f.Log.Head(ctx)
}

func spoiled(seq iter.Seq2[eventstore.Envelope, error], fault Fault, strikes bool) iter.Seq2[eventstore.Envelope, error] {
	if !strikes {
		return seq
	}
	return func(yield func(eventstore.Envelope, error) bool) {
		if fault == Lost {
			for env, err := range seq {
				if !yield(env, err) {
					return
				}
				break
			}
		}
		yield(eventstore.Envelope{}, fmt.Errorf("read: %w", ErrBadLuck))
	}
}
