package embedded

import (
	"context"
	"errors"
	"iter"
	"math"
	"time"

	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// A Reader is a log's file that is only read, while another process may append to it: an eventstore.Log that takes no
// events. Unlike ReadOnly it sees what is appended after it was opened.
type Reader struct{ *ReadOnly }

// ErrReadOnly says that events were to be appended to a log that was opened for reading.
var ErrReadOnly = errors.New("the log was opened for reading")

// lookEvery is how often a follower looks whether another process has appended something.
const lookEvery = 200 * time.Millisecond

// OpenReader opens the file at path for reading. It takes no lock, makes nothing and disturbs nobody.
func OpenReader(ctx context.Context, path string) (*Reader, error) {
	r, err := OpenReadOnly(ctx, path)
	if err != nil {
		return nil, err
	}
	return &Reader{r}, nil
}

// Append refuses.
func (r *Reader) Append(context.Context, eventstore.Stream, int64, []eventstore.Envelope) error {
	return ErrReadOnly
}

// Head returns the position of the last event that is durable.
func (r *Reader) Head(ctx context.Context) (eventstore.Position, error) {
	one, err := r.readers.borrow(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { r.readers.idle <- one }()
	head, err := sqlitex.ResultInt64(one.conn.Prep("SELECT coalesce(max(position), 0) FROM events"))
	return eventstore.Position(head), err
}

// Leaves returns how many events the tree has now.
func (r *Reader) Leaves(ctx context.Context) (int64, error) {
	head, err := r.Head(ctx)
	return int64(head), err
}

// ReadStream yields a stream's events; see eventstore.Log.
func (r *Reader) ReadStream(ctx context.Context, stream eventstore.Stream, from int64, direction eventstore.Direction) iter.Seq2[eventstore.Envelope, error] {
	return r.readers.eachOf(ctx, stream, from, direction)
}

// ReadAll yields all events after a position, up to the head at the time of the call; see eventstore.Log.
func (r *Reader) ReadAll(ctx context.Context, after eventstore.Position) iter.Seq2[eventstore.Envelope, error] {
	return r.readers.each(ctx, after, func() (eventstore.Position, error) { return r.Head(ctx) })
}

// Follow yields all events after a position, and those that another process appends, soon after it has; see
// eventstore.Log.
func (r *Reader) Follow(ctx context.Context, after eventstore.Position) iter.Seq2[[]eventstore.Envelope, error] {
	return func(yield func([]eventstore.Envelope, error) bool) {
		look := time.NewTicker(lookEvery)
		defer look.Stop()
		for {
			p, err := r.readers.all(ctx, after, math.MaxInt64)
			switch {
			case ctx.Err() != nil:
				return
			case err != nil:
				yield(nil, err)
				return
			case len(p.events) > 0:
				if after = p.events[len(p.events)-1].Position; !yield(p.events, nil) {
					return
				}
				continue
			}
			select {
			case <-look.C:
			case <-ctx.Done():
				return
			}
		}
	}
}
