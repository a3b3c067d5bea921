package esdb

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	client "github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// Append adds events to the stream; see eventstore.Log. If the connection is lost it is tried again with the
// same event ids, so that the events are written once. If ctx ends before the server has answered, the outcome
// is unknown. ErrTooLarge: the server would refuse so many bytes.
func (l *Log) Append(ctx context.Context, stream eventstore.Stream, expected int64, events []eventstore.Envelope) error {
	if len(events) == 0 {
		return nil
	}
	if err := l.pool.over(ctx); err != nil {
		return err
	}
	began := time.Now()
	err := l.append(ctx, stream, expected, events)
	if err != nil {
		err = fmt.Errorf("append to %s: %w", stream, err)
	}
	if l.options.Observe != nil {
		l.options.Observe(Appended{len(events), bytesOf(events), time.Since(began), err})
	}
	return err
}

// bytesOf returns how many bytes of data events carry.
func bytesOf(events []eventstore.Envelope) (n int) {
	for i := range events {
		e := &events[i]
		n += len(e.Data) + len(e.Personal) + len(e.Secret) + len(e.Evidence)
	}
	return n
}

func (l *Log) append(ctx context.Context, stream eventstore.Stream, expected int64, events []eventstore.Envelope) error {
	if err := check(stream, expected, events); err != nil {
		return err
	}
	proposed, err := propose(events, l.options.LargestAppend)
	if err != nil {
		return err
	}
	name, options := stream.String(), client.AppendToStreamOptions{ExpectedRevision: client.NoStream{}}
	if expected >= 0 {
		options.ExpectedRevision = client.Revision(uint64(expected))
	}
	last, err := again(ctx, l, func(ctx context.Context, c *client.Client, tried int) (*client.WriteResult, error) {
		result, err := c.AppendToStream(ctx, name, options, proposed...)
		if code(err) == client.ErrorCodeWrongExpectedVersion {
			return nil, overtaken{tried: tried > 0}
		}
		return result, err
	})
	if lost, ok := errors.AsType[overtaken](err); ok {
		return l.overtaken(ctx, lost, stream, expected, events)
	}
	if err != nil {
		return err
	}
	first := int64(last.NextExpectedVersion) + 1 - int64(len(events))
	if len(events) == 1 && last.CommitPosition > 0 {
		l.place(&events[0], stream, first, eventstore.Position(last.CommitPosition))
		return nil
	}
	return l.find(ctx, stream, first, events) // the answer tells only where the last one stands
}

// check refuses what could not be kept, or not be found again.
func check(stream eventstore.Stream, expected int64, events []eventstore.Envelope) error {
	if s, err := eventstore.ParseStream(stream.String()); err != nil || s != stream || strings.HasPrefix(stream.Kind, "$") {
		return fmt.Errorf("%q is no kind of stream: want lower-case letters", stream.Kind)
	}
	if expected < eventstore.NoStream {
		return fmt.Errorf("no stream can have version %d", expected)
	}
	for i := range events {
		if events[i].ID.IsZero() {
			return errors.New("an event has no id")
		}
		if t := events[i].Type; t == "" || strings.HasPrefix(t, "$") {
			return fmt.Errorf("%q is no type of event", t)
		}
	}
	return nil
}

// overtaken says whether somebody else was faster, or an earlier try of ours whose answer was lost.
func (l *Log) overtaken(ctx context.Context, lost overtaken, stream eventstore.Stream, expected int64, events []eventstore.Envelope) error {
	if !lost.tried {
		return eventstore.ErrConflict
	}
	return l.find(ctx, stream, expected+1, events)
}

// find looks where events that were appended stand, and conflicts if others stand there.
func (l *Log) find(ctx context.Context, stream eventstore.Stream, first int64, events []eventstore.Envelope) error {
	var found []*client.RecordedEvent
	for next := first; len(found) < len(events); next = first + int64(len(found)) {
		p, err := l.readPage(ctx, stream.String(), client.Revision(uint64(next)), client.Forwards, len(events)-len(found))
		if err != nil {
			return err
		}
		if len(p.events) == 0 {
			return eventstore.ErrConflict
		}
		found = append(found, p.events...)
	}
	for i, r := range found {
		if eventstore.UUID(r.EventID) != events[i].ID {
			return eventstore.ErrConflict
		}
	}
	for i, r := range found {
		l.place(&events[i], stream, int64(r.EventNumber), eventstore.Position(r.Position.Commit))
	}
	return nil
}

// place tells an event where it stands.
func (l *Log) place(e *eventstore.Envelope, stream eventstore.Stream, version int64, at eventstore.Position) {
	e.Stream, e.Version, e.Position = stream, version, at
	l.note(at)
}
