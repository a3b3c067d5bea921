package eventstoretest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"sync"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// ErrBadLuck is the error of a Flaky log.
var ErrBadLuck = errors.New("bad luck")

// A Flaky is a log with bad days: it wraps a good one and does now and then what a log may do, but seldom does.
// A field says one in how many calls, on average, meets that fate; none does if it is zero. The same seed
// and the same calls one after the other bring the same luck.
type Flaky struct {
	eventstore.Log
	Seed      uint64
	Conflicts int // appends that conflict for no reason, and write nothing
	Failures  int // appends that fail with ErrBadLuck, and write nothing
	Losses    int // appends that write, and fail with ErrBadLuck: the answer was lost
	Breaks    int // reads that end with ErrBadLuck after some events

	mu   sync.Mutex
	luck *rand.Rand
}

// unlucky reports whether this one of n calls is the one.
func (f *Flaky) unlucky(n int) bool { return n > 0 && f.roll(n) == 0 }

func (f *Flaky) roll(n int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.luck == nil {
		f.luck = rand.New(rand.NewPCG(f.Seed, 0))
	}
	return f.luck.IntN(n)
}

// Append appends, or does not, or does and says that it did not.
func (f *Flaky) Append(ctx context.Context, stream eventstore.Stream, expected int64, events []eventstore.Envelope) error {
	switch {
	case f.unlucky(f.Conflicts):
		return fmt.Errorf("append to %s for no reason: %w", stream, eventstore.ErrConflict)
	case f.unlucky(f.Failures):
		return fmt.Errorf("append to %s: %w", stream, ErrBadLuck)
	}
	err := f.Log.Append(ctx, stream, expected, events)
	if err == nil && f.unlucky(f.Losses) {
		return fmt.Errorf("hear the answer of an append to %s: %w", stream, ErrBadLuck)
	}
	return err
}

// ReadStream reads a stream, or some of it.
func (f *Flaky) ReadStream(ctx context.Context, stream eventstore.Stream, from int64, direction eventstore.Direction) iter.Seq2[eventstore.Envelope, error] {
	return broken(f, f.Log.ReadStream(ctx, stream, from, direction))
}

// ReadAll reads the log, or some of it.
func (f *Flaky) ReadAll(ctx context.Context, after eventstore.Position) iter.Seq2[eventstore.Envelope, error] {
	return broken(f, f.Log.ReadAll(ctx, after))
}

// Follow follows the log, until luck ends it.
func (f *Flaky) Follow(ctx context.Context, after eventstore.Position) iter.Seq2[[]eventstore.Envelope, error] {
	return broken(f, f.Log.Follow(ctx, after))
}

// broken yields what seq does, or only the first few and an error.
func broken[V any](f *Flaky, seq iter.Seq2[V, error]) iter.Seq2[V, error] {
	return func(yield func(V, error) bool) {
		left := -1
		if f.unlucky(f.Breaks) {
			left = f.roll(4)
		}
		for v, err := range seq {
			if left == 0 {
				var none V
				yield(none, fmt.Errorf("read on: %w", ErrBadLuck))
				return
			}
			left--
			if !yield(v, err) {
				return
			}
		}
	}
}
