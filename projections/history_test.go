package projections

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"iter"
	"log/slog"
	"path/filepath"
	"reflect"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/catalog"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/eventstoretest"
)

// TestMain lets rapid check less often than it would: each check opens files. Under the race detector it checks least: that
// looks for two who use one thing at the same time, whatever is in the histories. -rapid.checks goes before it.
func TestMain(m *testing.M) {
	checks := "40"
	if eventstoretest.Raced {
		checks = "8"
	}
	_ = flag.Set("rapid.checks", checks)
	goleak.VerifyTestMain(m)
}

// noon is when test histories begin.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// A history is a log in memory.
type history struct {
	mu      sync.Mutex
	events  []eventstore.Envelope
	changed chan struct{}
}

func newHistory() *history { return &history{changed: make(chan struct{})} }

var errNotHere = errors.New("the history does not do that")

func (h *history) Append(_ context.Context, stream eventstore.Stream, _ int64, events []eventstore.Envelope) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	version := int64(-1)
	for _, e := range h.events {
		if e.Stream == stream {
			version = e.Version
		}
	}
	for i := range events {
		version++
		events[i].Stream, events[i].Version = stream, version
		events[i].Position = eventstore.Position(len(h.events) + 1)
		h.events = append(h.events, events[i])
	}
	close(h.changed)
	h.changed = make(chan struct{})
	return nil
}

func (h *history) ReadStream(context.Context, eventstore.Stream, int64, eventstore.Direction) iter.Seq2[eventstore.Envelope, error] {
	return func(yield func(eventstore.Envelope, error) bool) { yield(eventstore.Envelope{}, errNotHere) }
}

func (h *history) ReadAll(_ context.Context, after eventstore.Position) iter.Seq2[eventstore.Envelope, error] {
	h.mu.Lock()
	events := h.events[after:]
	h.mu.Unlock()
	return func(yield func(eventstore.Envelope, error) bool) {
		for _, env := range events {
			if !yield(env, nil) {
				return
			}
		}
	}
}

func (h *history) Follow(ctx context.Context, after eventstore.Position) iter.Seq2[[]eventstore.Envelope, error] {
	return func(yield func([]eventstore.Envelope, error) bool) {
		for ctx.Err() == nil {
			h.mu.Lock()
			batch, changed := h.events[after:], h.changed
			h.mu.Unlock()
			if len(batch) == 0 {
				select {
				case <-changed:
				case <-ctx.Done():
				}
				continue
			}
			after += eventstore.Position(len(batch))
			if !yield(batch, nil) {
				return
			}
		}
	}
}

func (h *history) Head(context.Context) (eventstore.Position, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return eventstore.Position(len(h.events)), nil
}

func (h *history) Close() error { return nil }

// upTo is the history as it was at a position.
func (h *history) upTo(pos eventstore.Position) *history {
	return &history{events: h.events[:pos:pos], changed: make(chan struct{})}
}

// add appends events to a device's stream, caused by the device itself.
func (h *history) add(id string, at time.Time, events ...domain.Event) eventstore.Position {
	return h.by(eventstore.Actor{Kind: eventstore.ByDevice, ID: id}, eventstore.Stream{Kind: device.Kind, ID: id}, at, events...)
}

func (h *history) by(actor eventstore.Actor, stream eventstore.Stream, at time.Time, events ...domain.Event) eventstore.Position {
	envelopes := make([]eventstore.Envelope, len(events))
	for i, e := range events {
		env := eventstore.Envelope{ID: eventstore.NewUUID(), Stream: stream, Time: at, Actor: actor}
		envelopes[i], _ = inClear{}.Encode(env, e)
	}
	_ = h.Append(context.Background(), stream, 0, envelopes)
	return eventstore.Position(len(h.events))
}

var ada = eventstore.Actor{Kind: eventstore.ByToken, ID: "t1", Name: "Ada", Role: "operator"}

// order appends events to a device's stream, caused by Ada.
func (h *history) order(id string, at time.Time, events ...domain.Event) eventstore.Position {
	return h.by(ada, eventstore.Stream{Kind: device.Kind, ID: id}, at, events...)
}

// inClear is a codec that seals nothing.
type inClear struct{}

var byType = func() map[string]reflect.Type {
	m := map[string]reflect.Type{}
	for _, e := range catalog.Events() {
		m[e.EventType()] = reflect.TypeOf(e)
	}
	return m
}()

func (inClear) Encode(env eventstore.Envelope, e domain.Event) (_ eventstore.Envelope, err error) {
	env.Type = e.EventType()
	env.Data, err = json.Marshal(e)
	return env, err
}

func (inClear) Decode(env eventstore.Envelope) (domain.Event, error) {
	t, known := byType[env.Type]
	if !known {
		return nil, fmt.Errorf("no event is called %q", env.Type)
	}
	e := reflect.New(t)
	if err := json.Unmarshal(env.Data, e.Interface()); err != nil {
		return nil, err
	}
	return e.Elem().Interface().(domain.Event), nil
}

// open opens views in a new directory.
func open(t testing.TB) *Views { return openAt(t, filepath.Join(t.TempDir(), "views.db")) }

func openAt(t testing.TB, path string) *Views {
	t.Helper()
	v, err := Open(t.Context(), path, Options{Pause: -1, Readers: 2, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := v.Close(); err != nil {
			t.Error(err)
		}
	})
	return v
}

// follow folds the whole history and stops.
func follow(t testing.TB, v *Views, h *history) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- v.Run(ctx, h, inClear{}) }()
	head, _ := h.Head(ctx)
	waiting, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := v.Wait(waiting, head); err != nil {
		t.Error(err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

// folded opens views over a history.
func folded(t testing.TB, h *history) *Views {
	t.Helper()
	v := open(t)
	follow(t, v, h)
	return v
}

// must returns a value, or fails the test.
func must[T any](t testing.TB) func(T, error) T {
	return func(value T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

// Events that tests are made of.

func authenticated(generation int) device.Authenticated {
	return device.Authenticated{
		Generation: generation, Topic: "com.apple.mgmt.test", Certificate: "c0ffee", OSVersion: "17.1", BuildVersion: "21B74",
		ProductName: "iPad13,4", Model: "MHQR3", ModelName: "iPad Pro",
		Identity: device.Identity{UDID: "UDID-1", SerialNumber: "SERIAL1", DeviceName: "iPad 7"},
	}
}

func token(enrolled bool) device.TokenUpdated {
	return device.TokenUpdated{Topic: "com.apple.mgmt.test", Enrolled: enrolled, Token: []byte("token"), PushMagic: "magic"}
}

func queued(uuid, requestType string) device.CommandQueued {
	return device.CommandQueued{UUID: uuid, RequestType: requestType}
}

func delivered(uuid, requestType string, attempt int, newSession bool) device.CommandDelivered {
	return device.CommandDelivered{UUID: uuid, RequestType: requestType, Attempt: attempt, NewSession: newSession}
}

func answered(uuid, requestType, result string) device.CommandAcknowledged {
	return device.CommandAcknowledged{UUID: uuid, RequestType: requestType, Result: json.RawMessage(result)}
}

// told is a whole round trip of a question.
func (h *history) told(id, uuid, requestType, result string, at time.Time) eventstore.Position {
	h.order(id, at, queued(uuid, requestType))
	h.add(id, at.Add(time.Second), delivered(uuid, requestType, 1, true))
	return h.add(id, at.Add(2*time.Second), answered(uuid, requestType, result))
}
