package esdb

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	client "github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// Follow yields all events after a position; see eventstore.Log. While the server is away it waits, for ever,
// and goes on after the last event that it has seen. It ends with an error if the server does not let it in.
func (l *Log) Follow(ctx context.Context, after eventstore.Position) iter.Seq2[[]eventstore.Envelope, error] {
	return func(yield func([]eventstore.Envelope, error) bool) {
		ctx, cancel := l.pool.bind(ctx)
		defer cancel()
		for f := l.feed(after); ; {
			batch, err := f.next(ctx)
			switch {
			case ctx.Err() != nil && !errors.Is(err, eventstore.ErrClosed):
				return
			case err != nil:
				yield(nil, fmt.Errorf("follow the log: %w", err))
				return
			case !yield(batch, nil):
				return
			}
		}
	}
}

// ReadAll yields all events after a position, up to the head at the time of the call; see eventstore.Log. The
// connection may be lost meanwhile.
func (l *Log) ReadAll(ctx context.Context, after eventstore.Position) iter.Seq2[eventstore.Envelope, error] {
	return func(yield func(eventstore.Envelope, error) bool) {
		if err := l.readAll(ctx, after, yield); err != nil {
			yield(eventstore.Envelope{}, fmt.Errorf("read the log: %w", err))
		}
	}
}

func (l *Log) readAll(ctx context.Context, after eventstore.Position, yield func(eventstore.Envelope, error) bool) error {
	head, err := l.Head(ctx)
	if err != nil || head <= after {
		return err
	}
	ctx, cancel := l.pool.bind(ctx)
	defer cancel()
	f := l.feed(after)
	f.patience = l.options.Patience
	for {
		batch, err := f.next(ctx)
		if err != nil {
			return err
		}
		for _, e := range batch {
			if e.Position > head || !yield(e, nil) {
				return nil
			}
			if e.Position == head {
				return nil
			}
		}
	}
}

// A feed is a subscription that does not end with its connection.
type feed struct {
	log      *Log
	at       client.Position     // the last event that was seen, of whomever: it goes on after it
	last     eventstore.Position // our last event that was given out
	in       <-chan arrival      // nil while there is no connection
	lost     error               // why the connection ended, to be looked at after what it brought
	pause    backoff
	patience time.Duration // how long to wait for the server; for ever if zero
	since    time.Time     // when something came last
}

// An arrival is what a subscription brought: an event, or the reason of its end.
type arrival struct {
	event *client.RecordedEvent
	err   error
}

// largestBatch is how many events a follower gets at once, at most.
const largestBatch = 500

func (l *Log) feed(after eventstore.Position) *feed {
	at := client.Position{Commit: uint64(after), Prepare: uint64(after)} // ours commit themselves: both are one
	return &feed{log: l, at: at, last: after, since: time.Now()}
}

// next returns the next events of ours. It waits for them.
func (f *feed) next(ctx context.Context) ([]eventstore.Envelope, error) {
	for {
		if err := f.log.pool.over(ctx); err != nil {
			return nil, err
		}
		if f.lost != nil {
			if err := f.recover(ctx); err != nil {
				return nil, err
			}
		}
		if f.in == nil {
			in, err := f.log.subscribe(ctx, f.at)
			if err != nil {
				return nil, err
			}
			f.in = in
		}
		batch, err := f.collect(ctx)
		if err != nil || len(batch) > 0 {
			return batch, err
		}
	}
}

// recover forgets a lost connection, and pauses before the next, unless it is in vain.
func (f *feed) recover(ctx context.Context) error {
	err := f.lost
	f.in, f.lost = nil, nil
	if final(err) {
		return err
	}
	f.log.trouble(err)
	if f.patience > 0 && time.Since(f.since) > f.patience {
		return fmt.Errorf("EventStoreDB is not there, after %s: %w", f.patience, err)
	}
	f.pause.wait(ctx, f.log)
	return nil
}

// collect waits for an arrival and takes what came with it.
func (f *feed) collect(ctx context.Context) (batch []eventstore.Envelope, err error) {
	select {
	case a := <-f.in:
		if batch, err = f.take(batch, a); err != nil {
			return nil, err
		}
	case <-ctx.Done():
		return nil, nil
	}
	for len(batch) < largestBatch && f.lost == nil {
		select {
		case a := <-f.in:
			if batch, err = f.take(batch, a); err != nil {
				return nil, err
			}
		default:
			return batch, nil
		}
	}
	return batch, nil
}

// take adds an arrival to the batch, if it is ours and new.
func (f *feed) take(batch []eventstore.Envelope, a arrival) ([]eventstore.Envelope, error) {
	if a.err != nil {
		f.lost = a.err
		return batch, nil
	}
	f.log.trouble(nil)
	f.at, f.since, f.pause = a.event.Position, time.Now(), backoff{}
	e, ours, err := decode(a.event)
	if err != nil || !ours || e.Position <= f.last {
		return batch, err
	}
	f.last = e.Position
	f.log.note(e.Position)
	return append(batch, e), nil
}
