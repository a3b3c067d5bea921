package ledger_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/ledger"
)

// A parcel is a bundle that can be tampered with.
type parcel struct {
	dir    string
	public note.Verifier
}

func (h *house) export(t *testing.T, q ledger.Question, at eventstore.Position) parcel {
	t.Helper()
	public, err := ledger.ParsePublic(h.Public())
	if err != nil {
		t.Fatal(err)
	}
	p := parcel{filepath.Join(t.TempDir(), "bundle"), public}
	x := &ledger.Export{Ledger: h.Ledger, Log: h.log, Question: q, Position: at, Program: "rollcall test"}
	if _, err := x.Write(t.Context(), p.dir); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p parcel) copy(t *testing.T) parcel {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(to, os.DirFS(p.dir)); err != nil {
		t.Fatal(err)
	}
	return parcel{to, p.public}
}

func (p parcel) verify(t *testing.T) ledger.Verdict {
	t.Helper()
	v, err := ledger.Verify(context.Background(), p.dir, p.public, nil)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// edit changes a file; the change must change something.
func (p parcel) edit(t *testing.T, name string, change func([]byte) []byte) {
	t.Helper()
	file := filepath.Join(p.dir, name)
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	after := change(bytes.Clone(before))
	if bytes.Equal(before, after) {
		t.Fatalf("%s was not changed", name)
	}
	if err := os.WriteFile(file, after, 0o600); err != nil {
		t.Fatal(err)
	}
}

// lines changes the lines of the events.
func (p parcel) lines(t *testing.T, change func([]string) []string) {
	t.Helper()
	p.edit(t, "events.jsonl", func(b []byte) []byte {
		return []byte(strings.Join(change(slices.Collect(strings.Lines(string(b)))), ""))
	})
}

// cover makes the sums fit again, as whoever tampers would.
func (p parcel) cover(t *testing.T) {
	t.Helper()
	var text strings.Builder
	root := os.DirFS(p.dir)
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || name == "SHA256SUMS" {
			return err
		}
		b, err := fs.ReadFile(root, name)
		fmt.Fprintf(&text, "%x  %s\n", sha256.Sum256(b), name)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(p.dir, "SHA256SUMS"), []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}

func on(at int, change func(string) string) func([]string) []string {
	return func(l []string) []string { l[at-1] = change(l[at-1]); return l }
}

func replace(before, after string) func(string) string {
	return func(s string) string { return strings.Replace(s, before, after, 1) }
}

func byteAt(i int) func([]byte) []byte { return func(b []byte) []byte { b[i] ^= 1; return b } }

// forge replaces an event by another one in its tile too, so that both agree.
func forge(t *testing.T, p parcel) {
	p.lines(t, on(20, replace(`"a":1`, `"a":3`)))
	b, err := os.ReadFile(filepath.Join(p.dir, "events.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	env, err := ledger.ParseLine([]byte(strings.Split(string(b), "\n")[19]))
	if err != nil {
		t.Fatal(err)
	}
	leaf := ledger.Leaf(env)
	p.edit(t, "tile/0/000", func(b []byte) []byte { copy(b[19*32:], leaf[:]); return b })
}

// Whatever is tampered with, it is found, and the place is named, whether the sums were made to fit or not.
func TestTampering(t *testing.T) {
	h := newHouse(t)
	h.append(t, 101) // two tiles, and one above them
	whole := h.export(t, ledger.Question{}, 0)
	if v := whole.verify(t); !v.Good || v.Events != 303 || !v.All || !v.KeyGiven || v.Size != 303 {
		t.Fatalf("an honest bundle: %+v", v)
	}
	for _, c := range []struct {
		what     string
		do       func(*testing.T, parcel)
		position eventstore.Position // that must be named first
		says     string              // in some finding
	}{
		{"a byte of data", func(t *testing.T, p parcel) { p.lines(t, on(17, replace(`"a":1`, `"a":2`))) }, 17, "not the one that was appended"},
		{"the time", func(t *testing.T, p parcel) { p.lines(t, on(33, replace("000006Z", "000007Z"))) }, 33, "not the one that was appended"},
		{"the actor", func(t *testing.T, p parcel) { p.lines(t, on(2, replace(`"Ada"`, `"Eve"`))) }, 2, "not the one that was appended"},
		{"ciphertext", func(t *testing.T, p parcel) { p.lines(t, on(300, replace(`"personal":"Bw=="`, `"personal":"Bg=="`))) }, 300, "not the one that was appended"},
		{"ciphertext left out", func(t *testing.T, p parcel) { p.lines(t, on(300, replace(`,"secret":"CAg="`, ``))) }, 300, "not the one that was appended"},
		{"a space", func(t *testing.T, p parcel) { p.lines(t, on(5, replace(`,"time"`, `, "time"`))) }, 5, "not written as the event is"},
		{"rubbish", func(t *testing.T, p parcel) { p.lines(t, on(5, func(string) string { return "x}\n" })) }, 5, "is no event"},
		{"the order", func(t *testing.T, p parcel) {
			p.lines(t, func(l []string) []string { l[6], l[7] = l[7], l[6]; return l })
		}, 7, "missing"},
		{"the last event deleted", func(t *testing.T, p parcel) { p.lines(t, func(l []string) []string { return l[:302] }) }, 303, "missing"},
		{"a middle event deleted", func(t *testing.T, p parcel) {
			p.lines(t, func(l []string) []string { return slices.Delete(l, 149, 150) })
		}, 150, "missing"},
		{"an event doubled", func(t *testing.T, p parcel) {
			p.lines(t, func(l []string) []string { return slices.Insert(l, 50, l[49]) })
		}, 50, "doubled"},
		{"an event put in", func(t *testing.T, p parcel) {
			p.lines(t, func(l []string) []string {
				return append(l, strings.Replace(l[302], `"position":303`, `"position":304`, 1))
			})
		}, 304, "put in"},
		{"swapped streams", func(t *testing.T, p parcel) {
			p.lines(t, func(l []string) []string {
				l[0], l[101] = strings.Replace(l[0], `"d0"`, `"d1"`, 1), strings.Replace(l[101], `"d1"`, `"d0"`, 1)
				return l
			})
		}, 1, "not the one that was appended"},
		{"swapped positions", func(t *testing.T, p parcel) {
			p.lines(t, func(l []string) []string {
				a, b := replace(`"position":10,`, `"position":11,`)(l[9]), replace(`"position":11,`, `"position":10,`)(l[10])
				l[9], l[10] = b, a
				return l
			})
		}, 10, "does not follow"},
		{"the checkpoint's size", func(t *testing.T, p parcel) {
			p.edit(t, "checkpoint", func(b []byte) []byte { return bytes.Replace(b, []byte("\n303\n"), []byte("\n302\n"), 1) })
		}, 0, "not signed by this key"},
		{"the checkpoint's signature", func(t *testing.T, p parcel) {
			p.edit(t, "checkpoint", func(b []byte) []byte { b[len(b)-10] ^= 2; return b })
		}, 0, "not signed by this key"},
		{"the checkpoint of another log", func(t *testing.T, p parcel) {
			other := newHouse(t)
			other.append(t, 101)
			signed, err := other.Checkpoint(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			p.edit(t, "checkpoint", func([]byte) []byte { return signed })
		}, 0, "not signed by this key"},
		{"an older checkpoint", func(t *testing.T, p parcel) {
			signed, err := h.CheckpointAt(t.Context(), 200)
			if err != nil {
				t.Fatal(err)
			}
			p.edit(t, "checkpoint", func([]byte) []byte { return signed })
		}, 201, "put in"},
		{"a tile", func(t *testing.T, p parcel) { p.edit(t, "tile/0/000", byteAt(40*32+5)) }, 41, "the tile's hash of this event was changed"},
		{"a partial tile", func(t *testing.T, p parcel) { p.edit(t, "tile/0/001.p/47", byteAt(0)) }, 257, "the tile's hash of this event was changed"},
		{"a high tile", func(t *testing.T, p parcel) { p.edit(t, "tile/1/000.p/1", byteAt(9)) }, 0, "its hash of positions 1 to 256 is not that"},
		{"a tile cut off", func(t *testing.T, p parcel) { p.edit(t, "tile/0/000", func(b []byte) []byte { return b[:8000] }) }, 0, "has another size than 256 hashes"},
		{"an event and its tile", forge, 0, "its hash of positions 1 to 256 is not that"},
		{"an event and all its tiles", func(t *testing.T, p parcel) {
			forge(t, p)
			p.edit(t, "tile/1/000.p/1", byteAt(0))
		}, 0, "another root than the checkpoint"},
		{"the manifest's count", func(t *testing.T, p parcel) {
			p.edit(t, "manifest.json", func(b []byte) []byte { return bytes.Replace(b, []byte(`"events": 303`), []byte(`"events": 302`), 1) })
		}, 0, "it says 302 events"},
		{"the manifest's question", func(t *testing.T, p parcel) {
			p.edit(t, "manifest.json", func(b []byte) []byte {
				return bytes.Replace(b, []byte(`"question": {}`), []byte(`"question": {"stream":"device-d0"}`), 1)
			})
		}, 1, "proof is missing"},
		{"a file put in", func(t *testing.T, p parcel) {
			if err := os.WriteFile(filepath.Join(p.dir, "notes.txt"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}, 0, "put it in"},
	} {
		t.Run(c.what, func(t *testing.T) {
			p := whole.copy(t)
			c.do(t, p)
			found(t, p.verify(t), c.position, c.says)
			if p.cover(t); c.what != "a file put in" { // which the sums can hide: it says nothing about the log
				found(t, p.verify(t), c.position, c.says)
			}
		})
	}
}

func found(t *testing.T, v ledger.Verdict, at eventstore.Position, says string) {
	t.Helper()
	if v.Good || len(v.Findings) == 0 {
		t.Fatal("nothing was found")
	}
	if v.Findings[0].Position != at {
		t.Errorf("the first finding is %s; want position %d", v.Findings[0], at)
	}
	if !slices.ContainsFunc(v.Findings, func(f ledger.Finding) bool { return strings.Contains(f.Problem, says) }) {
		t.Errorf("found %v; want one that says %q", v.Findings, says)
	}
}

// Without the sums, without the key, or with another key.
func TestVerifyNeedsTheKey(t *testing.T) {
	h := newHouse(t)
	h.append(t, 2)
	p := h.export(t, ledger.Question{}, 0)
	v, err := ledger.Verify(t.Context(), p.dir, nil, nil)
	if err != nil || !v.Good || v.KeyGiven {
		t.Errorf("with the bundle's own key: %+v, %v", v, err)
	}
	other, err := ledger.ParsePublic(newHouse(t).Public())
	if err != nil {
		t.Fatal(err)
	}
	found(t, parcel{p.dir, other}.verify(t), 0, "not signed by this key")
	if err := os.Remove(filepath.Join(p.dir, "SHA256SUMS")); err != nil {
		t.Fatal(err)
	}
	found(t, p.verify(t), 0, "missing")
	if _, err := ledger.Verify(t.Context(), filepath.Join(p.dir, "nowhere"), nil, nil); err == nil {
		t.Error("a directory that is not there was verified")
	}
}

// A bundle with a question holds a proof for each event.
func TestSomeEvents(t *testing.T) {
	h := newHouse(t)
	h.append(t, 20)
	p := h.export(t, ledger.Question{Stream: "device-d1"}, 0)
	if v := p.verify(t); !v.Good || v.Events != 20 || v.All {
		t.Fatalf("%+v", v)
	}
	for what, c := range map[string]struct {
		do       func(p parcel)
		position eventstore.Position
		says     string
	}{
		"data":     {func(p parcel) { p.lines(t, on(4, replace(`"a":1`, `"a":2`))) }, 24, "not the one that was appended"},
		"deleted":  {func(p parcel) { p.lines(t, func(l []string) []string { return slices.Delete(l, 3, 4) }) }, 25, "does not follow"},
		"question": {func(p parcel) { p.lines(t, on(4, replace(`"d1"`, `"d2"`))) }, 24, "no answer to the question"},
		"a proof": {func(p parcel) {
			p.edit(t, "proofs/30.tlog-proof", func(b []byte) []byte { b[45] ^= 2; return b })
		}, 30, "proof"},
		"another's proof": {func(p parcel) {
			b, _ := os.ReadFile(filepath.Join(p.dir, "proofs/31.tlog-proof"))
			p.edit(t, "proofs/30.tlog-proof", func([]byte) []byte { return b })
		}, 30, "another event"},
	} {
		q := p.copy(t)
		c.do(q)
		q.cover(t)
		t.Log(what)
		found(t, q.verify(t), c.position, c.says)
	}
}

// A clock that was set back takes an event out of the middle of a stream and of a question's times. That is no fault.
func TestAClockThatWasSetBack(t *testing.T) {
	h := newHouse(t)
	at := full().Time
	events := make([]eventstore.Envelope, 5)
	for i, after := range []time.Duration{0, 5, -7, 6, 60} {
		events[i] = full()
		events[i].ID, events[i].Time = eventstore.NewUUID(), at.Add(after*time.Minute)
	}
	if err := h.log.Append(t.Context(), eventstore.Stream{Kind: "device", ID: "d"}, eventstore.NoStream, events); err != nil {
		t.Fatal(err)
	}
	p := h.export(t, ledger.Question{From: at, To: at.Add(time.Hour), Stream: "device-d"}, 0)
	if v := p.verify(t); !v.Good || v.Events != 3 {
		t.Errorf("%+v", v)
	}
}

// The same question up to the same position gives the same bytes, even when the log has grown.
func TestTheSameBytes(t *testing.T) {
	h := newHouse(t)
	h.append(t, 5)
	for _, q := range []ledger.Question{{}, {Stream: "device-d0"}, {From: full().Time, To: full().Time.Add(1)}} {
		a := h.export(t, q, 15)
		h.append(t, 2)
		b := h.export(t, q, 15)
		for _, p := range []parcel{a, b} {
			if v := p.verify(t); !v.Good {
				t.Errorf("%+v: %v", q, v.Findings)
			}
		}
		if x, y := contents(t, a), contents(t, b); x != y {
			t.Errorf("%+v: two bundles differ:\n%s\n%s", q, x, y)
		}
	}
	if v := newHouse(t).export(t, ledger.Question{}, 0).verify(t); !v.Good || v.Events != 0 {
		t.Errorf("an empty log: %+v", v)
	}
}

func contents(t *testing.T, p parcel) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(p.dir, "SHA256SUMS"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Who changes the log's own file is found by the export already.
func TestExportChecksTheLog(t *testing.T) {
	h := newHouse(t)
	h.append(t, 5)
	x := &ledger.Export{Ledger: h.Ledger, Log: liar{h.log}}
	if _, err := x.Write(t.Context(), filepath.Join(t.TempDir(), "b")); err == nil || !strings.Contains(err.Error(), "position 4 ") {
		t.Errorf("an event that was changed: %v", err)
	}
	if _, err := x.Write(t.Context(), h.dir); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("a directory that is full: %v", err)
	}
}
