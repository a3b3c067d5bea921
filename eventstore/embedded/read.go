package embedded

import (
	"context"
	"errors"
	"iter"
	"math"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// What a reader takes from the file at once. Between two pages it holds nothing there.
const (
	pageEvents  = 256
	batchEvents = 1000
	pageBytes   = 4 << 20
)

// ReadStream yields a stream's events; see eventstore.Log.
func (l *Log) ReadStream(ctx context.Context, stream eventstore.Stream, from int64, direction eventstore.Direction) iter.Seq2[eventstore.Envelope, error] {
	return l.readers.eachOf(ctx, stream, from, direction)
}

// ReadAll yields all events after a position; see eventstore.Log.
func (l *Log) ReadAll(ctx context.Context, after eventstore.Position) iter.Seq2[eventstore.Envelope, error] {
	return l.readers.each(ctx, after, l.recent.position)
}

// eachOf yields a stream's events.
func (rs *readers) eachOf(ctx context.Context, stream eventstore.Stream, from int64, direction eventstore.Direction) iter.Seq2[eventstore.Envelope, error] {
	step := int64(1)
	if direction == eventstore.Backward {
		step = -1
		if from < 0 {
			from = math.MaxInt64
		}
	}
	return events(func(last *eventstore.Envelope) (page, error) {
		if last != nil {
			return rs.stream(ctx, stream, last.Version+step, direction)
		}
		return rs.stream(ctx, stream, from, direction)
	})
}

// each yields all events after a position, up to the head as it is when the first of them is wanted.
func (rs *readers) each(ctx context.Context, after eventstore.Position, where func() (eventstore.Position, error)) iter.Seq2[eventstore.Envelope, error] {
	var head eventstore.Position
	return events(func(last *eventstore.Envelope) (_ page, err error) {
		pos := after
		if last != nil {
			pos = last.Position
		} else if head, err = where(); err != nil {
			return page{}, err
		}
		return rs.all(ctx, pos, head)
	})
}

// events yields the events of page after page. A page is asked for with the last event of the page before it.
func events(next func(last *eventstore.Envelope) (page, error)) iter.Seq2[eventstore.Envelope, error] {
	return func(yield func(eventstore.Envelope, error) bool) {
		var last *eventstore.Envelope
		for {
			p, err := next(last)
			if err != nil {
				yield(eventstore.Envelope{}, err)
				return
			}
			for i := range p.events {
				if !yield(p.events[i], nil) {
					return
				}
			}
			if p.end {
				return
			}
			last = &p.events[len(p.events)-1]
		}
	}
}

// Follow yields all events after a position, in batches of at most 1,000; see eventstore.Log.
func (l *Log) Follow(ctx context.Context, after eventstore.Position) iter.Seq2[[]eventstore.Envelope, error] {
	return func(yield func([]eventstore.Envelope, error) bool) {
		for pos := after; ; {
			batch, err := l.batch(ctx, pos)
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(batch, nil) {
				return
			}
			pos = batch[len(batch)-1].Position
		}
	}
}

// batch waits for events after a position: from memory if they are new, else from the file.
func (l *Log) batch(ctx context.Context, pos eventstore.Position) ([]eventstore.Envelope, error) {
	for {
		batch, changed, err := l.recent.after(pos, batchEvents)
		if err != nil || len(batch) > 0 {
			return batch, err
		}
		if changed == nil {
			return l.old(ctx, pos)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (l *Log) old(ctx context.Context, pos eventstore.Position) ([]eventstore.Envelope, error) {
	head, err := l.recent.position()
	if err != nil {
		return nil, err
	}
	p, err := l.readers.all(ctx, pos, head)
	if err == nil && len(p.events) == 0 {
		err = errors.New("events are missing from the log's file")
	}
	return p.events, err
}
