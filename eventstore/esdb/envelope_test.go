package esdb

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"testing"
	"time"

	client "github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"pgregory.net/rapid"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// stored plays the database: it keeps an event and reads it back.
func stored(e eventstore.Envelope, d client.EventData) *client.RecordedEvent {
	return &client.RecordedEvent{
		EventID: d.EventID, EventType: d.EventType, StreamID: e.Stream.String(), EventNumber: uint64(e.Version),
		Position: client.Position{Commit: uint64(e.Position), Prepare: uint64(e.Position)}, Data: d.Data, UserMetadata: d.Metadata,
	}
}

func drawn(t *rapid.T) eventstore.Envelope {
	some := rapid.SliceOfN(rapid.Byte(), 0, 40)
	return eventstore.Envelope{
		ID:       eventstore.NewUUID(),
		Stream:   eventstore.Stream{Kind: rapid.StringMatching(`[a-z]+`).Draw(t, "kind"), ID: rapid.String().Draw(t, "id")},
		Version:  rapid.Int64Min(0).Draw(t, "version"),
		Position: eventstore.Position(rapid.Int64Min(1).Draw(t, "position")),
		Type:     rapid.StringMatching(`[a-z]+\.[a-z]+`).Draw(t, "type"),
		Time:     time.UnixMicro(rapid.Int64Range(-1e12, 1e15).Draw(t, "time")).UTC(),
		Actor: eventstore.Actor{
			Kind: eventstore.ActorKind(rapid.SampledFrom([]string{"", "device", "token"}).Draw(t, "actor")),
			ID:   rapid.String().Draw(t, "who"), Name: rapid.String().Draw(t, "name"), Role: rapid.String().Draw(t, "role"),
		},
		Correlation: rapid.SampledFrom([]eventstore.UUID{{}, eventstore.NewUUID()}).Draw(t, "correlation"),
		Causation:   rapid.SampledFrom([]eventstore.UUID{{}, eventstore.NewUUID()}).Draw(t, "causation"),
		Data:        some.Draw(t, "data"), Personal: some.Draw(t, "personal"), Secret: some.Draw(t, "secret"), Evidence: some.Draw(t, "evidence"),
	}
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawn(t)
		for _, pack := range []bool{false, true} {
			d, err := encode(&want, pack)
			if err != nil {
				t.Fatal(err)
			}
			got, ours, err := decode(stored(want, d))
			if err != nil || !ours {
				t.Fatalf("decode: ours %t, %v", ours, err)
			}
			sameEnvelope(t, got, want)
			if valid := json.Valid(want.Data); (d.ContentType == client.ContentTypeJson) != valid && d.ContentType != client.ContentTypeBinary {
				t.Errorf("the content is called %d", d.ContentType)
			}
		}
	})
}

func sameEnvelope(t *rapid.T, got, want eventstore.Envelope) {
	for what, parts := range map[string][2][]byte{
		"data": {got.Data, want.Data}, "personal": {got.Personal, want.Personal},
		"secret": {got.Secret, want.Secret}, "evidence": {got.Evidence, want.Evidence},
	} {
		if !bytes.Equal(parts[0], parts[1]) {
			t.Errorf("%s is %x, want %x", what, parts[0], parts[1])
		}
	}
	if got.ID != want.ID || got.Stream != want.Stream || got.Version != want.Version || got.Position != want.Position || got.Type != want.Type {
		t.Errorf("the event is %+v, want %+v", got, want)
	}
	if !got.Time.Equal(want.Time) || got.Actor != want.Actor || got.Correlation != want.Correlation || got.Causation != want.Causation {
		t.Errorf("its making is %+v, want %+v", got, want)
	}
}

// TestStoredForm keeps the form in which events lie in databases: never change it, add to it.
func TestStoredForm(t *testing.T) {
	e := eventstore.Envelope{
		ID: eventstore.UUID{1, 2}, Type: "device.seen", Time: time.Date(2026, 11, 22, 9, 30, 0, 123456789, time.UTC),
		Actor:       eventstore.Actor{Kind: eventstore.ByOperator, ID: "ada", Name: "Ada", Role: "viewer", Address: "192.0.2.7"},
		Correlation: eventstore.UUID{3}, Causation: eventstore.UUID{4},
		Data: json.RawMessage(`{"n":1}`), Personal: []byte("p"), Secret: []byte("s"), Evidence: []byte("e"),
	}
	for pack, want := range map[bool][2]string{
		false: {`{"n":1}`, `{"rollcall":1,"time":"2026-11-22T09:30:00.123456Z","actor":{"kind":"operator","id":"ada","name":"Ada","role":"viewer"},` +
			`"$correlationId":"03000000-0000-0000-0000-000000000000","$causationId":"04000000-0000-0000-0000-000000000000",` +
			`"personal":"cA==","secret":"cw==","evidence":"ZQ=="}`},
		true: {`{"n":1}pse`, `{"rollcall":1,"time":"2026-11-22T09:30:00.123456Z","actor":{"kind":"operator","id":"ada","name":"Ada","role":"viewer"},` +
			`"$correlationId":"03000000-0000-0000-0000-000000000000","$causationId":"04000000-0000-0000-0000-000000000000",` +
			`"packed":{"data":7,"personal":1,"secret":1,"evidence":1}}`},
	} {
		d, err := encode(&e, pack)
		if err != nil {
			t.Fatal(err)
		}
		if string(d.Data) != want[0] || string(d.Metadata) != want[1] || d.EventID != [16]byte{1, 2} || d.EventType != "device.seen" {
			t.Errorf("packed %t: stored as\n%s %s, want\n%s %s", pack, d.Data, d.Metadata, want[0], want[1])
		}
	}
}

func TestNoPosition(t *testing.T) {
	r := &client.RecordedEvent{StreamID: "device-x", EventType: "device.seen", UserMetadata: []byte(`{"rollcall":1}`)}
	r.Position.Commit = math.MaxUint64 // what servers before 22.10 say in a stream
	if _, ours, err := decode(r); !ours || err == nil {
		t.Errorf("an event without a position: ours %t, %v", ours, err)
	}
}

func TestPropose(t *testing.T) {
	events := []eventstore.Envelope{{ID: eventstore.NewUUID(), Type: "a.b", Evidence: make([]byte, 900)}, {ID: eventstore.NewUUID(), Type: "a.b"}}
	for limit, want := range map[int]error{2000: nil, 1200: nil, 900: ErrTooLarge} {
		if _, err := propose(events, limit); !errors.Is(err, want) {
			t.Errorf("limit %d: %v, want %v", limit, err, want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("device-x", "device.seen", []byte(`{"rollcall":1,"time":"2026-11-22T00:00:00Z","packed":{"data":1,"secret":1}}`), []byte("{}"))
	f.Add("$stats", "$x", []byte(nil), []byte(nil))
	f.Add("x", "y", []byte(`{"rollcall":1,"actor":7}`), []byte(nil))
	f.Fuzz(func(t *testing.T, stream, kind string, about, data []byte) {
		e, ours, err := decode(&client.RecordedEvent{StreamID: stream, EventType: kind, UserMetadata: about, Data: data})
		if ours && err == nil && e.Stream.String() != stream {
			t.Errorf("%q was read as %q", stream, e.Stream)
		}
		if n := len(e.Data); n > len(data) {
			t.Errorf("%d bytes were read from %d", n, len(data))
		}
	})
}
