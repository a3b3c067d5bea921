package esdb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	client "github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// How many events are read at once: a little at first, for most streams are short, and much then. A page ends
// early when it has so many bytes.
const (
	firstPage = 64
	nextPage  = 1000
	heavyPage = 8 << 20
)

// A page is a part of a stream.
type page struct {
	events []*client.RecordedEvent
	more   bool // there may be
}

// ReadStream yields a stream's events; see eventstore.Log. It reads a page at a time, and holds no connection
// in between. The connection may be lost meanwhile.
func (l *Log) ReadStream(ctx context.Context, stream eventstore.Stream, from int64, direction eventstore.Direction) iter.Seq2[eventstore.Envelope, error] {
	return func(yield func(eventstore.Envelope, error) bool) {
		way, step := client.Forwards, int64(1)
		if direction == eventstore.Backward {
			way, step = client.Backwards, -1
		}
		for next, size := start(from, direction), firstPage; ; size = nextPage {
			p, err := l.readPage(ctx, stream.String(), next, way, size)
			if err != nil {
				yield(eventstore.Envelope{}, fmt.Errorf("read %s: %w", stream, err))
				return
			}
			if !deliver(p.events, yield) || !p.more {
				return
			}
			last := int64(p.events[len(p.events)-1].EventNumber)
			if last+step < 0 {
				return
			}
			next = client.Revision(uint64(last + step))
		}
	}
}

func start(from int64, direction eventstore.Direction) client.StreamPosition {
	switch {
	case from >= 0:
		return client.Revision(uint64(from))
	case direction == eventstore.Backward:
		return client.End{}
	}
	return client.Start{}
}

// deliver yields those events that are ours, and says whether to go on.
func deliver(events []*client.RecordedEvent, yield func(eventstore.Envelope, error) bool) bool {
	for _, r := range events {
		e, ours, err := decode(r)
		if err != nil {
			yield(eventstore.Envelope{}, err)
			return false
		}
		if ours && !yield(e, nil) {
			return false
		}
	}
	return true
}

// readPage reads a part of a stream, which is empty if there is no such stream.
func (l *Log) readPage(ctx context.Context, name string, from client.StreamPosition, way client.Direction, count int) (page, error) {
	return again(ctx, l, func(ctx context.Context, c *client.Client, _ int) (page, error) {
		return drain(c.ReadStream(ctx, name, client.ReadStreamOptions{From: from, Direction: way}, uint64(count)))(count)
	})
}

// readBack reads a part of all events, backward.
func (l *Log) readBack(ctx context.Context, from client.AllPosition, count int) (page, error) {
	return again(ctx, l, func(ctx context.Context, c *client.Client, _ int) (page, error) {
		return drain(c.ReadAll(ctx, client.ReadAllOptions{From: from, Direction: client.Backwards}, uint64(count)))(count)
	})
}

// drain takes in what a read brings. That there is no stream is said only by the first event.
func drain(stream *client.ReadStream, err error) func(count int) (page, error) {
	return func(count int) (p page, _ error) {
		if err != nil {
			return page{}, err
		}
		defer stream.Close()
		for bytes := 0; bytes < heavyPage; {
			e, err := receive(stream)
			if errors.Is(err, io.EOF) {
				p.more = len(p.events) >= count
				return p, nil
			}
			if noStream(err) {
				return page{}, nil
			}
			if err != nil {
				return page{}, err
			}
			if e.Event != nil {
				p.events = append(p.events, e.Event)
				bytes += len(e.Event.Data) + len(e.Event.UserMetadata)
			}
		}
		p.more = true
		return p, nil
	}
}

// receive takes in the next event. The client panics when the server says something new to it, and is well
// afterwards: such a message is passed over.
func receive(stream *client.ReadStream) (*client.ResolvedEvent, error) {
	for {
		e, err := guard(stream.Recv)
		if p, ok := errors.AsType[panicked](err); !ok || p.value != "unreachable code" {
			return e, err
		}
	}
}

// Head returns the position of our last event, 0 if there is none. It reads backward past the events of others.
func (l *Log) Head(ctx context.Context) (eventstore.Position, error) {
	known := l.head.Load()
	var from client.AllPosition = client.End{}
	for size := firstPage / 4; ; size = nextPage {
		p, err := l.readBack(ctx, from, size)
		if err != nil {
			return 0, fmt.Errorf("read the head of the log: %w", err)
		}
		for _, r := range p.events {
			if r.Position.Commit <= uint64(known) {
				return eventstore.Position(known), nil
			}
			if _, ours, _ := decode(r); ours { // and if it cannot be read, whoever reads it is told
				l.note(eventstore.Position(r.Position.Commit))
				return eventstore.Position(r.Position.Commit), nil
			}
			from = r.Position
		}
		if !p.more {
			return eventstore.Position(known), nil
		}
	}
}
