package ledger_test

import (
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"

	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/ledger"
)

// full returns an envelope in which every field says something.
func full() eventstore.Envelope {
	id := func(n byte) (u eventstore.UUID) { u[15] = n; return u }
	return eventstore.Envelope{
		ID: id(1), Correlation: id(2), Causation: id(3), Stream: eventstore.Stream{Kind: "device", ID: "d1"}, Version: 4, Position: 5,
		Type: "device.seen", Time: time.UnixMicro(1_700_000_000_000_006).UTC(),
		Actor: eventstore.Actor{Kind: eventstore.ByOperator, ID: "ada", Name: "Ada", Role: "viewer", Address: "192.0.2.1"},
		Data:  []byte(`{"a":1}`), Personal: []byte{7}, Secret: []byte{8, 8}, Evidence: []byte{9, 9, 9},
	}
}

// The canonical form never changes: every proof that was ever given out depends on it.
func TestCanonicalIsGolden(t *testing.T) {
	want := strings.Join([]string{
		"01",
		"00000000000000000000000000000001", "00000000000000000000000000000002", "00000000000000000000000000000003",
		"0000000000000005", "0000000000000004", "00060a24181e4006",
		"00000006646576696365", "000000026431", "0000000b6465766963652e7365656e",
		"000000086f70657261746f72", "00000003616461", "00000003416461", "00000006766965776572",
		"000000077b2261223a317d", "0000000107", "000000020808", "00000003090909",
	}, "")
	if got := hex.EncodeToString(ledger.Canonical(full())); got != want {
		t.Errorf("the canonical form is\n%s, want\n%s", got, want)
	}
	if got := ledger.Leaf(full()); got != tlog.RecordHash(ledger.Canonical(full())) {
		t.Errorf("the leaf is %s, which is not what RFC 6962 says", got)
	}
}

// Every field counts, but the address, which is sealed elsewhere; absent and empty are the same.
func TestCanonicalTellsEveryFieldApart(t *testing.T) {
	seen := map[string]string{string(ledger.Canonical(full())): "nothing"}
	for what, change := range map[string]func(*eventstore.Envelope){
		"id":             func(e *eventstore.Envelope) { e.ID[0]++ },
		"correlation":    func(e *eventstore.Envelope) { e.Correlation[0]++ },
		"causation":      func(e *eventstore.Envelope) { e.Causation[0]++ },
		"kind":           func(e *eventstore.Envelope) { e.Stream.Kind = "devic" },
		"kind and id":    func(e *eventstore.Envelope) { e.Stream = eventstore.Stream{Kind: "deviced", ID: "1"} },
		"version":        func(e *eventstore.Envelope) { e.Version++ },
		"position":       func(e *eventstore.Envelope) { e.Position++ },
		"type":           func(e *eventstore.Envelope) { e.Type += "x" },
		"time":           func(e *eventstore.Envelope) { e.Time = e.Time.Add(time.Microsecond) },
		"actor's kind":   func(e *eventstore.Envelope) { e.Actor.Kind = eventstore.ByToken },
		"actor's id":     func(e *eventstore.Envelope) { e.Actor.ID = "bob" },
		"actor's name":   func(e *eventstore.Envelope) { e.Actor.Name = "" },
		"actor's role":   func(e *eventstore.Envelope) { e.Actor.Role = "auditor" },
		"data":           func(e *eventstore.Envelope) { e.Data = []byte(`{"a":2}`) },
		"personal":       func(e *eventstore.Envelope) { e.Personal = nil },
		"secret":         func(e *eventstore.Envelope) { e.Secret = []byte{8} },
		"evidence":       func(e *eventstore.Envelope) { e.Evidence = []byte{9, 9, 8} },
		"moved by parts": func(e *eventstore.Envelope) { e.Secret, e.Evidence = []byte{8, 8, 9}, []byte{9, 9} },
	} {
		e := full()
		change(&e)
		text := string(ledger.Canonical(e))
		if other, ok := seen[text]; ok {
			t.Errorf("a change of %s gives the same bytes as a change of %s", what, other)
		}
		seen[text] = what
	}
	e := full()
	e.Actor.Address = ""
	if string(ledger.Canonical(e)) != string(ledger.Canonical(full())) {
		t.Error("the address counts")
	}
	e.Personal, e.Time = []byte{}, e.Time.In(time.FixedZone("CET", 3600))
	f := full()
	f.Personal = nil
	if string(ledger.Canonical(e)) != string(ledger.Canonical(f)) {
		t.Error("empty and absent, or two zones of one time, are told apart")
	}
}

// envelopes draws any envelope that a line can hold.
func envelopes(t *rapid.T) eventstore.Envelope {
	bytes := rapid.SliceOfN(rapid.Byte(), 0, 40)
	text := rapid.OneOf(rapid.String(), rapid.Map(bytes, func(b []byte) string { return string(b) }))
	var id [3]eventstore.UUID
	for i := range id {
		copy(id[i][:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
	}
	return eventstore.Envelope{
		ID: id[0], Correlation: id[1], Causation: id[2], Stream: eventstore.Stream{Kind: text.Draw(t, "kind"), ID: text.Draw(t, "stream")},
		Version: rapid.Int64().Draw(t, "version"), Position: eventstore.Position(rapid.Int64().Draw(t, "position")), Type: text.Draw(t, "type"),
		Time: time.UnixMicro(rapid.Int64Range(-62167219200000000, 253402300799999999).Draw(t, "time")).UTC(),
		Actor: eventstore.Actor{
			Kind: eventstore.ActorKind(text.Draw(t, "actor")), ID: text.Draw(t, "actor id"), Name: text.Draw(t, "name"), Role: text.Draw(t, "role"),
		},
		Data: rapid.OneOf(bytes, rapid.SampledFrom([][]byte{
			nil, []byte(`{}`), []byte(`null`), []byte(` {}`), []byte("{\n}"), []byte(`{"a":"<&>\u2028ü"}`), []byte("\"\u2028\""), []byte("\"\xff\""), []byte(`1e400`), []byte(`{"a":1,"a":2}`),
		})).Draw(t, "data"),
		Personal: bytes.Draw(t, "personal"), Secret: bytes.Draw(t, "secret"), Evidence: bytes.Draw(t, "evidence"),
	}
}

// A line gives back the canonical bytes of any event.
func TestLinesKeepEverything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		env := envelopes(t)
		text, err := ledger.Line(env)
		if err != nil {
			t.Fatal(err)
		}
		if strings.ContainsAny(string(text), "\n\r") {
			t.Fatalf("a line has a line's end in it: %q", text)
		}
		back, err := ledger.ParseLine(text)
		if err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		if string(ledger.Canonical(back)) != string(ledger.Canonical(env)) {
			t.Fatalf("%s\ngives %+v, want %+v", text, back, env)
		}
	})
}

func FuzzParseLine(f *testing.F) {
	text, err := ledger.Line(full())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"position":1,"kind":{"base64":"/w=="},"data_base64":"e30="}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		env, err := ledger.ParseLine(text)
		if err != nil {
			return
		}
		again, err := ledger.Line(env)
		if err != nil || string(again) != string(text) {
			t.Errorf("%q was taken, and is written %q (%v)", text, again, err)
		}
	})
}

func FuzzParseProof(f *testing.F) {
	f.Add([]byte("c2sp.org/tlog-proof@v1\nindex 1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\na\n2\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"))
	f.Add([]byte("c2sp.org/tlog-proof@v1\nextra YQ==\nindex 0\n\n"))
	f.Add([]byte("c2sp.org/tlog-proof@v1\nextra YQ==\n\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := ledger.ParseProof(text)
		if err != nil {
			return
		}
		q, err := ledger.ParseProof(p.Text())
		if err != nil || q.Index != p.Index || len(q.Path) != len(p.Path) || string(q.Checkpoint) != string(p.Checkpoint) {
			t.Errorf("%q is read, written and read otherwise (%v)", text, err)
		}
	})
}
