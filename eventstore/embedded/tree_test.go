package embedded_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/rollcall-mdm/rollcall/domain/catalog"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/embedded"
	"github.com/rollcall-mdm/rollcall/eventstore/ledger"
)

// A tree is what is asked of a log and of a file that is only read.
type tree interface {
	ledger.Tree
	ledger.Events
}

// fits makes sure that the leaves are those of the events as they are read back, and the tree that of the leaves.
func fits(t *testing.T, log tree) tlog.Hash {
	t.Helper()
	l := &ledger.Ledger{Tree: log}
	var edge ledger.Edge
	for env, err := range log.ReadAll(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		n := edge.Size()
		stored, err := log.ReadHashes(t.Context(), []int64{tlog.StoredHashIndex(0, n)})
		if err != nil || stored[0] != ledger.Leaf(env) {
			t.Fatalf("the leaf of %s at %d is not that of what is read (%v)", env.Type, env.Position, err)
		}
		edge.Append(nil, ledger.Leaf(env))
	}
	n, err := log.Leaves(t.Context())
	if err != nil || n != edge.Size() {
		t.Fatalf("the tree has %d leaves, want %d (%v)", n, edge.Size(), err)
	}
	root, err := l.Root(t.Context(), n)
	if err != nil || root != edge.Root() {
		t.Fatalf("the root is %s, want %s (%v)", root, edge.Root(), err)
	}
	return root
}

// awkward returns events of all types of the catalogue, with values that a careless log would change.
func awkward() (all []eventstore.Envelope) {
	texts := []string{"", "a", "ü", "u\u0308", "\x00", "a\x00b", "\xff\xfe", " ", "a\nb", "👩‍👩‍👧‍👦", strings.Repeat("x", 5000)}
	kinds := []eventstore.ActorKind{"", eventstore.ByDevice, eventstore.ByOperator, eventstore.ByToken, eventstore.ByWorker, eventstore.ByApple}
	times := []time.Time{
		{}, time.UnixMicro(-1), time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC),
		time.Date(2026, 11, 22, 10, 0, 0, 123456789, time.FixedZone("CET", 3600)), time.Date(1969, 12, 31, 23, 59, 59, 999999999, time.UTC),
	}
	types := []string{"", "ü"}
	for _, e := range catalog.Events() {
		types = append(types, e.EventType())
	}
	for i := range 40 + len(types) {
		text := func(n int) string { return texts[(i*n+n)%len(texts)] }
		e := eventstore.Envelope{
			ID: eventstore.NewUUID(), Type: types[i%len(types)], Time: times[i%len(times)],
			Actor: eventstore.Actor{Kind: kinds[i%len(kinds)], ID: text(3), Name: text(5), Role: text(7), Address: "192.0.2.1"},
			Data:  []byte(text(2)), Personal: []byte(text(9)), Secret: []byte(text(4)), Evidence: []byte(text(8)),
		}
		if i%3 == 0 {
			e.Correlation, e.Causation = eventstore.NewUUID(), eventstore.NewUUID()
		}
		if i%4 == 0 {
			e.Actor = eventstore.Actor{Kind: eventstore.ByDevice, ID: "own"} // of a stream of that name
		}
		if i%5 == 0 {
			e.Correlation = eventstore.UUID{15: 1}
		}
		all = append(all, e)
	}
	return all
}

func appendAwkward(t *testing.T, l *embedded.Log) {
	t.Helper()
	for _, id := range []string{"own", "", "a\x00", "-", "\xff", "ü"} {
		if err := l.Append(t.Context(), eventstore.Stream{Kind: "device", ID: id}, eventstore.NoStream, awkward()); err != nil {
			t.Fatal(err)
		}
	}
}

// What is hashed when it is appended is what is read back, whatever it is.
func TestLeavesAreOfWhatIsRead(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, embedded.Options{})
	appendAwkward(t, l)
	root := fits(t, l)
	only, err := embedded.OpenReadOnly(t.Context(), filepath.Join(dir, "log.db"))
	if err != nil {
		t.Fatal(err)
	}
	if got := fits(t, only); got != root {
		t.Errorf("the file that is only read has root %s, want %s", got, root)
	}
	if err := l.Append(t.Context(), eventstore.Stream{Kind: "device", ID: "new"}, eventstore.NoStream, awkward()[:1]); err != nil {
		t.Fatal(err)
	}
	if got := fits(t, only); got != root {
		t.Error("the file that is only read has grown")
	}
	if err := only.Close(); err != nil {
		t.Error(err)
	}
	fits(t, l)
}

// The tree goes on where it was after every opening, whatever the size.
func TestTreeAfterOpening(t *testing.T) {
	dir := t.TempDir()
	for i := range 40 {
		l := open(t, dir, embedded.Options{})
		s := eventstore.Stream{Kind: "device", ID: fmt.Sprint(i)}
		if err := l.Append(t.Context(), s, eventstore.NoStream, awkward()[:1+i%3]); err != nil {
			t.Fatal(err)
		}
		if err := l.Append(t.Context(), s, 7, awkward()[:2]); err == nil {
			t.Fatal("no conflict")
		}
		fits(t, l)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func script(t *testing.T, dir, text string) {
	t.Helper()
	conn, err := sqlite.OpenConn(filepath.Join(dir, "log.db"), sqlite.OpenReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := sqlitex.ExecuteScript(conn, text, nil); err != nil {
		t.Fatal(err)
	}
}

func many(n int) []eventstore.Envelope {
	events := make([]eventstore.Envelope, n)
	for i := range events {
		events[i] = eventstore.Envelope{ID: eventstore.NewUUID(), Type: "t", Time: time.Now()}
	}
	return events
}

// A file whose hashes are not those of as many events is not opened: somebody was at it.
func TestFileWithOtherEventsThanHashes(t *testing.T) {
	for what, text := range map[string]string{
		"the last hashes are gone":          "DELETE FROM hashes WHERE block = (SELECT max(block) FROM hashes)",
		"an event was put in":               "INSERT INTO events SELECT 71, stream, 70, id, type, time, actor, NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM events WHERE position = 1",
		"the last block was cut":            "UPDATE hashes SET hashes = substr(hashes, 1, 32) WHERE block = (SELECT max(block) FROM hashes)",
		"the last events are deleted":       "DELETE FROM events WHERE position > 3",
		"the hash of the last event is cut": "UPDATE events SET leaf = substr(leaf, 1, 31) WHERE position = 70",
	} {
		dir := t.TempDir()
		l := open(t, dir, embedded.Options{})
		if err := l.Append(t.Context(), eventstore.Stream{Kind: "d", ID: "a"}, eventstore.NoStream, many(70)); err != nil {
			t.Fatal(err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		script(t, dir, text)
		if l, err := embedded.Open(t.Context(), filepath.Join(dir, "log.db"), embedded.Options{}); err == nil {
			t.Errorf("%s: it was opened", what)
			l.Close()
		}
	}
}

// A last event that was deleted, its hash with it, leaves no gap behind. The checkpoint that was signed of it knows.
func TestLastEventDeletedIsMissedByTheCheckpoint(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, embedded.Options{})
	if err := l.Append(t.Context(), eventstore.Stream{Kind: "d", ID: "a"}, eventstore.NoStream, many(70)); err != nil {
		t.Fatal(err)
	}
	key, err := ledger.OpenKey(dir, "test")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "checkpoint")
	err = (&ledger.Ledger{Tree: l, Key: key, File: file}).Tick(t.Context())
	if err := errors.Join(err, l.Close()); err != nil {
		t.Fatal(err)
	}
	resume := func() error {
		l := open(t, dir, embedded.Options{})
		defer l.Close()
		return (&ledger.Ledger{Tree: l, Key: key, File: file}).Resume(t.Context())
	}
	if err := resume(); err != nil {
		t.Fatal(err)
	}
	script(t, dir, "DELETE FROM events WHERE position = 70")
	if err := resume(); !errors.Is(err, ledger.ErrBeyond) {
		t.Errorf("the last event was deleted: %v", err)
	}
}
