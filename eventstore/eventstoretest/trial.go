package eventstoretest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// patience is how long a law waits for what must come.
const patience = 30 * time.Second

// A trial is one law at work on one log.
type trial struct {
	*testing.T
	Subject
	place string
	log   eventstore.Log
	start eventstore.Position // the head before the trial
}

type envelopes = []eventstore.Envelope

func (tr *trial) open() {
	tr.Helper()
	tr.log = tr.Open(tr.T, tr.place)
	tr.Cleanup(func() { tr.log.Close() })
	tr.start = tr.head()
}

func (tr *trial) must(err error) {
	tr.Helper()
	if err != nil {
		tr.Fatal(err)
	}
}

func (tr *trial) head() eventstore.Position {
	tr.Helper()
	head, err := tr.log.Head(tr.Context())
	tr.must(err)
	return head
}

// stream returns the name of a stream that nobody has used.
func (tr *trial) stream() eventstore.Stream {
	return eventstore.Stream{Kind: "device", ID: eventstore.NewUUID().String()}
}

// event returns an event with something in every field.
func event(n int) eventstore.Envelope {
	return eventstore.Envelope{
		ID: eventstore.NewUUID(), Type: "device.command-queued",
		Time:        time.Date(2026, 11, 22, 9, 30, n%60, 123456000, time.UTC),
		Actor:       eventstore.Actor{Kind: eventstore.ByOperator, ID: "ada", Name: "Ada Löwe", Role: "operator"},
		Correlation: eventstore.NewUUID(), Causation: eventstore.NewUUID(),
		Data:     json.RawMessage(fmt.Sprintf(`{"n":%d}`, n)),
		Personal: []byte{1, byte(n)}, Secret: []byte{2, byte(n)}, Evidence: []byte{3, byte(n)},
	}
}

func some(n int) envelopes {
	events := make(envelopes, n)
	for i := range events {
		events[i] = event(i)
	}
	return events
}

// append appends n new events.
func (tr *trial) append(s eventstore.Stream, expected int64, n int) envelopes {
	tr.Helper()
	events := some(n)
	tr.must(tr.log.Append(tr.Context(), s, expected, events))
	return events
}

// conflict appends and wants a conflict.
func (tr *trial) conflict(s eventstore.Stream, expected int64, events envelopes) {
	tr.Helper()
	if err := tr.log.Append(tr.Context(), s, expected, events); !errors.Is(err, eventstore.ErrConflict) {
		tr.Errorf("append %d events at %d: %v, want a conflict", len(events), expected, err)
	}
}

func (tr *trial) read(s eventstore.Stream, from int64, direction eventstore.Direction) envelopes {
	tr.Helper()
	return tr.collect(tr.log.ReadStream(tr.Context(), s, from, direction))
}

// all reads what the trial appended.
func (tr *trial) all() envelopes {
	tr.Helper()
	return tr.collect(tr.log.ReadAll(tr.Context(), tr.start))
}

func (tr *trial) collect(seq iter.Seq2[eventstore.Envelope, error]) (events envelopes) {
	tr.Helper()
	for e, err := range seq {
		tr.must(err)
		events = append(events, e)
	}
	return events
}

// follow collects n events after a position.
func (tr *trial) follow(after eventstore.Position, n int) (events envelopes) {
	tr.Helper()
	ctx, cancel := context.WithTimeout(tr.Context(), patience)
	defer cancel()
	for batch, err := range tr.log.Follow(ctx, after) {
		if err != nil {
			tr.Error(err)
			return events
		}
		if events = append(events, batch...); len(events) >= n {
			return events
		}
	}
	tr.Errorf("the follower saw %d events, want %d", len(events), n)
	return events
}

// same compares events, and where they stand.
func (tr *trial) same(what string, got, want envelopes) {
	tr.Helper()
	if len(got) != len(want) {
		tr.Fatalf("%s: %d events, want %d", what, len(got), len(want))
	}
	for i := range got {
		if g, w := plain(got[i]), plain(want[i]); g != w {
			tr.Fatalf("%s: event %d is\n%s, want\n%s", what, i, g, w)
		}
	}
}

// plain writes all that an envelope says; what is empty and what is absent look the same.
func plain(e eventstore.Envelope) string {
	return fmt.Sprintf("%s %q/%q@%d #%d %s %s %+v %s %s data %q personal %x secret %x evidence %x",
		e.ID, e.Stream.Kind, e.Stream.ID, e.Version, e.Position, e.Type, e.Time.Format(time.RFC3339Nano), e.Actor,
		e.Correlation, e.Causation, e.Data, e.Personal, e.Secret, e.Evidence)
}

// ordered checks that positions grow, and by one if they are dense.
func (tr *trial) ordered(after eventstore.Position, events envelopes) {
	tr.Helper()
	for _, e := range events {
		if e.Position <= after || !tr.Sparse && e.Position != after+1 {
			tr.Fatalf("position %d follows position %d", e.Position, after)
		}
		after = e.Position
	}
}

// dense checks that a stream's versions count from 0.
func (tr *trial) dense(events envelopes) {
	tr.Helper()
	for i, e := range events {
		if e.Version != int64(i) {
			tr.Fatalf("event %d of the stream has version %d", i, e.Version)
		}
	}
}

func reversed(events envelopes) envelopes {
	events = slices.Clone(events)
	slices.Reverse(events)
	return events
}

// next appends one event at the end of the stream, however often others are faster. It returns an error that
// is not a conflict.
func (tr *trial) next(ctx context.Context, s eventstore.Stream, e eventstore.Envelope) error {
	for {
		last := eventstore.NoStream
		for e, err := range tr.log.ReadStream(ctx, s, -1, eventstore.Backward) {
			if err != nil {
				return err
			}
			last = e.Version
			break
		}
		err := tr.log.Append(ctx, s, last, envelopes{e})
		if !errors.Is(err, eventstore.ErrConflict) {
			return err
		}
	}
}
