package embedded

import (
	"fmt"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// What is acknowledged is on disk only if SQLite is told to wait for it.
func TestFileWaitsForTheDisk(t *testing.T) {
	conn, err := openFile(filepath.Join(t.TempDir(), "log.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for query, want := range map[string]string{
		"PRAGMA synchronous":        "2",
		"PRAGMA journal_mode":       "wal",
		"PRAGMA wal_autocheckpoint": "0",
	} {
		err := sqlitex.ExecuteTransient(conn, query, &sqlitex.ExecOptions{ResultFunc: func(stmt *sqlite.Stmt) error {
			if got := stmt.ColumnText(0); got != want {
				t.Errorf("%s is %s, want %s", query, got, want)
			}
			return nil
		}})
		if err != nil {
			t.Error(err)
		}
	}
}

func TestRecent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 8).Draw(t, "limit")
		r := newRecent[int, int](limit)
		var used []int // most recent last
		for _, k := range rapid.SliceOf(rapid.IntRange(0, 20)).Draw(t, "keys") {
			if v, ok := r.get(k); ok && v != 10*k {
				t.Fatalf("%d is %d", k, v)
			}
			r.put(k, 10*k)
			used = append(used, k)
			if n := len(r.young) + len(r.old); n > 2*limit {
				t.Fatalf("%d are remembered, want at most %d", n, 2*limit)
			}
		}
		lately := map[int]bool{}
		for i := len(used) - 1; i >= 0 && len(lately) < limit; i-- {
			lately[used[i]] = true
		}
		for k := range lately {
			if _, ok := r.get(k); !ok {
				t.Fatalf("%d was used lately and is forgotten", k)
			}
		}
		r.forget()
		if len(r.young)+len(r.old) != 0 {
			t.Fatal("something is remembered")
		}
	})
}

// The ring holds the newest events within its bound, and gives any of them out in order.
func TestRing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := newRing(10*(envelopeBytes+100), 0)
		head := eventstore.Position(0)
		for range rapid.IntRange(1, 20).Draw(t, "commits") {
			p := &pending{}
			p.state.Store(taken)
			for range rapid.IntRange(1, 6).Draw(t, "events") {
				head++
				p.events = append(p.events, eventstore.Envelope{Position: head, Data: make([]byte, 100)})
			}
			again := &pending{repeated: true, events: []eventstore.Envelope{{Position: 1}}}
			again.state.Store(taken)
			r.publish([]*pending{{events: p.events}, p, again}, head) // the first was withdrawn
		}
		if r.used > r.bound {
			t.Fatalf("the ring uses %d bytes of %d", r.used, r.bound)
		}
		after := eventstore.Position(rapid.IntRange(0, int(head)-1).Draw(t, "after"))
		limit := rapid.IntRange(1, 12).Draw(t, "limit")
		batch, changed, err := r.after(after, limit)
		if err != nil || changed != nil {
			t.Fatalf("after %d of %d: wait, or %v", after, head, err)
		}
		if held := len(r.appends) > 0 && r.appends[0][0].Position <= after+1; held && len(batch) != min(limit, int(head-after)) {
			t.Fatalf("after %d of %d: %d events", after, head, len(batch))
		}
		for i, e := range batch {
			if e.Position != after+1+eventstore.Position(i) {
				t.Fatalf("after %d: event %d is %d", after, i, e.Position)
			}
		}
	})
}

func TestRingWakes(t *testing.T) {
	r := newRing(1<<20, 5)
	_, changed, err := r.after(5, 10)
	if err != nil || changed == nil {
		t.Fatal("nothing to wait for", err)
	}
	p := &pending{events: []eventstore.Envelope{{Position: 6}}}
	p.state.Store(taken)
	r.publish([]*pending{p}, 6)
	<-changed
	_, changed, _ = r.after(6, 10)
	r.close()
	<-changed
	if _, _, err := r.after(6, 10); err != eventstore.ErrClosed {
		t.Errorf("after the end: %v", err)
	}
}

// What was withdrawn before the committer took it is not written, and disturbs nobody in its group.
func TestWithdrawn(t *testing.T) {
	l, err := Open(t.Context(), filepath.Join(t.TempDir(), "log.db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	group := make([]*pending, 3)
	for i := range group {
		group[i] = &pending{
			stream: eventstore.Stream{Kind: "device", ID: fmt.Sprint(i)}, expected: eventstore.NoStream,
			events: []eventstore.Envelope{{ID: eventstore.NewUUID(), Type: "t"}}, done: make(chan error, 1),
		}
	}
	group[1].withdraw()
	for _, p := range group {
		if err := l.queue.put(p); err != nil {
			t.Fatal(err)
		}
	}
	for i, p := range group {
		if err := <-p.done; err != nil {
			t.Error(err)
		}
		n := 0
		for range l.ReadStream(t.Context(), p.stream, 0, eventstore.Forward) {
			n++
		}
		if want := 1 - i%2; n != want {
			t.Errorf("stream %d has %d events, want %d", i, n, want)
		}
	}
	if head, err := l.Head(t.Context()); head != 2 {
		t.Errorf("the head is %d (%v), want 2", head, err)
	}
}
