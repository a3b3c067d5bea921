package embedded_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/embedded"
	"github.com/rollcall-mdm/rollcall/eventstore/eventstoretest"
)

// signed is a signature as good as any where nobody asks whose it is.
func signed(size int64, root tlog.Hash) ([]byte, error) {
	return fmt.Appendf(nil, "%d %s", size, root), nil
}

// An old is a log with a past: streams of two kinds, their events all mixed.
type old struct {
	t    *testing.T
	dir  string
	next map[eventstore.Stream]int64
	all  []eventstore.Envelope
	root tlog.Hash
}

func newOld(t *testing.T, events int) *old {
	o := &old{t: t, dir: t.TempDir(), next: map[eventstore.Stream]int64{}}
	o.grow(events)
	return o
}

func (o *old) path() string { return filepath.Join(o.dir, "log.db") }

func (o *old) archive(n int) string { return filepath.Join(o.dir, fmt.Sprintf("archive-%d.db", n)) }

func (o *old) open() *embedded.Log {
	o.t.Helper()
	l, err := embedded.Open(o.t.Context(), o.path(), embedded.Options{})
	o.ok(err)
	return l
}

func (o *old) ok(err error) {
	o.t.Helper()
	if err != nil {
		o.t.Fatal(err)
	}
}

// grow appends events, and remembers them.
func (o *old) grow(events int) {
	o.t.Helper()
	l := o.open()
	for i := range events {
		s := eventstore.Stream{Kind: []string{"device", "device", "device", "token"}[i%4], ID: fmt.Sprint(i % 7)}
		version, known := o.next[s]
		if !known {
			version = eventstore.NoStream
		}
		e := []eventstore.Envelope{{ID: eventstore.NewUUID(), Type: "thing.happened", Data: fmt.Appendf(nil, `{"n":%d}`, i), Secret: make([]byte, 200)}}
		o.ok(l.Append(o.t.Context(), s, version, e))
		o.next[s] = version + 1
	}
	o.all, o.root = o.readAll(l, 0), o.treeRoot(l)
	o.ok(l.Close())
}

func (o *old) readAll(l *embedded.Log, after eventstore.Position) (all []eventstore.Envelope) {
	o.t.Helper()
	for e, err := range l.ReadAll(o.t.Context(), after) {
		o.ok(err)
		all = append(all, e)
	}
	return all
}

func (o *old) treeRoot(l *embedded.Log) tlog.Hash {
	o.t.Helper()
	n, err := l.Leaves(o.t.Context())
	o.ok(err)
	root, err := tlog.TreeHash(n, tlog.HashReaderFunc(func(i []int64) ([]tlog.Hash, error) { return l.ReadHashes(o.t.Context(), i) }))
	o.ok(err)
	return root
}

func (o *old) putAway(n int, last eventstore.Position) {
	o.t.Helper()
	_, err := embedded.WriteArchive(o.t.Context(), o.path(), o.archive(n), last, signed)
	o.ok(err)
	o.ok(embedded.TakeOut(o.t.Context(), o.path(), o.archive(n), "device"))
}

// same checks that the log reads as if nothing had been archived: all of it, each stream from anywhere, both ways, and
// what a follower sees.
func (o *old) same() {
	o.t.Helper()
	l := o.open()
	defer l.Close()
	if got := o.readAll(l, 0); !reflect.DeepEqual(got, o.all) {
		o.t.Fatalf("%d events are read, there were %d, or others", len(got), len(o.all))
	}
	if o.treeRoot(l) != o.root {
		o.t.Error("the tree has another root")
	}
	for _, after := range []int{1, 99, 100, 101, 250, len(o.all) - 1} {
		if got := o.readAll(l, eventstore.Position(after)); !reflect.DeepEqual(got, o.all[after:]) {
			o.t.Errorf("after %d other events are read", after)
		}
	}
	for s := range o.next {
		o.sameStream(l, s)
	}
	o.sameStream(l, eventstore.Stream{Kind: "device", ID: "none"})
	o.sameToFollowers(l)
}

func (o *old) sameStream(l *embedded.Log, s eventstore.Stream) {
	o.t.Helper()
	var want []eventstore.Envelope
	for _, e := range o.all {
		if e.Stream == s {
			want = append(want, e)
		}
	}
	step := 1
	if eventstoretest.Raced {
		step = 9
	}
	for from := 0; from <= len(want); from += step {
		var ahead, back []eventstore.Envelope
		for e, err := range l.ReadStream(o.t.Context(), s, int64(from), eventstore.Forward) {
			o.ok(err)
			ahead = append(ahead, e)
		}
		if !reflect.DeepEqual(ahead, append([]eventstore.Envelope(nil), want[from:]...)) {
			o.t.Fatalf("%s from %d: %d events, want %d", s, from, len(ahead), len(want)-from)
		}
		for e, err := range l.ReadStream(o.t.Context(), s, int64(from)-1, eventstore.Backward) {
			o.ok(err)
			back = append([]eventstore.Envelope{e}, back...)
		}
		upTo := from
		if from == 0 {
			upTo = len(want) // from the end
		}
		if len(back) != upTo || upTo > 0 && !reflect.DeepEqual(back, want[:upTo]) {
			o.t.Fatalf("%s back from %d: %d events, want %d", s, from-1, len(back), upTo)
		}
	}
}

func (o *old) sameToFollowers(l *embedded.Log) {
	o.t.Helper()
	ctx, stop := context.WithCancel(o.t.Context())
	defer stop()
	var got []eventstore.Envelope
	for batch, err := range l.Follow(ctx, 0) {
		o.ok(err)
		if got = append(got, batch...); len(got) >= len(o.all) {
			break
		}
	}
	if !reflect.DeepEqual(got, o.all) {
		o.t.Error("a follower sees something else")
	}
}

func TestALogWithArchivesReadsAsBefore(t *testing.T) {
	o := newOld(t, 500)
	before, err := os.Stat(o.path())
	o.ok(err)
	o.putAway(1, 100)
	o.same()
	o.grow(3)
	o.putAway(2, 430)
	o.same()
	after, err := os.Stat(o.path())
	o.ok(err)
	o.grow(200)
	o.same()
	if after.Size() > before.Size()*3/4 {
		t.Errorf("the log has %d bytes after it was archived, and had %d", after.Size(), before.Size())
	}
	list, err := embedded.Archives(t.Context(), o.path())
	o.ok(err)
	if len(list) != 2 || list[0].First != 1 || list[0].Last != 100 || list[1].First != 101 || list[1].Last != 430 {
		t.Errorf("the log's archives are %+v", list)
	}
}

func TestAnArchiveProvesItselfAlone(t *testing.T) {
	o := newOld(t, 300)
	o.putAway(1, 60)
	o.putAway(2, 200)
	for n, want := range map[int][2]eventstore.Position{1: {1, 60}, 2: {61, 200}} {
		a, err := embedded.CheckArchive(t.Context(), o.archive(n))
		o.ok(err)
		if a.First != want[0] || a.Last != want[1] || string(a.Checkpoint) != fmt.Sprintf("%d %s", a.Last, a.Root) {
			t.Errorf("archive %d: %+v", n, a)
		}
	}
	for name, forgery := range map[string]string{
		"altered": `UPDATE events SET data = '{"n":"x"}' WHERE position = 150`, "lost": "DELETE FROM events WHERE position = 150",
		"lost at the end": "DELETE FROM events WHERE position = 200", "moved": "UPDATE events SET time = time + 1 WHERE position = 61",
		"another root": "UPDATE archive SET root = zeroblob(32)", "another past": "UPDATE archive SET edge = zeroblob(length(edge))",
		"unfinished": "DELETE FROM archive", "no archive": "DROP TABLE archive",
	} {
		t.Run(name, func(t *testing.T) {
			copied := filepath.Join(t.TempDir(), "archive.db")
			text, err := os.ReadFile(o.archive(2))
			o.ok(err)
			o.ok(os.WriteFile(copied, text, 0o600))
			edit(t, copied, forgery)
			if _, err := embedded.CheckArchive(t.Context(), copied); err == nil {
				t.Error("nothing was found")
			}
		})
	}
}

func edit(t *testing.T, path, query string) {
	t.Helper()
	conn, err := sqlite.OpenConn(path, sqlite.OpenReadWrite)
	if err == nil {
		err = errors.Join(sqlitex.ExecuteTransient(conn, query, nil), conn.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestAnArchiveThatIsAwayIsNamed(t *testing.T) {
	o := newOld(t, 300)
	o.putAway(1, 200)
	elsewhere := filepath.Join(t.TempDir(), "away.db")
	o.ok(os.Rename(o.archive(1), elsewhere))
	l := o.open() // a log opens without its archives, and goes on
	defer l.Close()
	for s, version := range o.next {
		o.ok(l.Append(t.Context(), s, version, []eventstore.Envelope{{ID: eventstore.NewUUID(), Type: "thing.happened"}}))
		for _, err := range l.ReadStream(t.Context(), s, version, eventstore.Forward) {
			o.ok(err)
		}
	}
	var err error
	for _, err = range l.ReadAll(t.Context(), 0) {
		break
	}
	if !errors.Is(err, embedded.ErrArchiveAway) {
		t.Errorf("the past was read from nowhere, or: %v", err)
	}
	for _, err = range l.ReadStream(t.Context(), eventstore.Stream{Kind: "device", ID: "0"}, 0, eventstore.Forward) {
		break
	}
	if !errors.Is(err, embedded.ErrArchiveAway) {
		t.Errorf("a stream's past was read from nowhere, or: %v", err)
	}
	for _, err := range l.ReadStream(t.Context(), eventstore.Stream{Kind: "token", ID: "3"}, 0, eventstore.Forward) {
		o.ok(err) // what is not of the kinds that were taken out is still there
	}
	o.ok(os.Rename(elsewhere, o.archive(1)))
	if got := o.readAll(l, 0); len(got) != 300+len(o.next) {
		t.Errorf("%d events are there when it is back", len(got))
	}
}

// Nothing is taken out but what the log's own hashes vouch for, in order, and only once.
func TestOnlyTheRightArchiveIsTakenOut(t *testing.T) {
	o, other := newOld(t, 300), newOld(t, 300)
	_, err := embedded.WriteArchive(t.Context(), other.path(), o.archive(9), 200, signed)
	o.ok(err)
	if err := embedded.TakeOut(t.Context(), o.path(), o.archive(9), "device"); err == nil {
		t.Error("another log's archive was taken for this one's")
	}
	_, err = embedded.WriteArchive(t.Context(), o.path(), o.archive(1), 200, signed)
	o.ok(err)
	edit(t, o.archive(1), `UPDATE events SET data = '{}' WHERE position = 7`)
	if err := embedded.TakeOut(t.Context(), o.path(), o.archive(1), "device"); err == nil {
		t.Error("an archive that was altered was taken for good")
	}
	if _, err := embedded.WriteArchive(t.Context(), o.path(), o.archive(1), 100, signed); err == nil {
		t.Error("a file was written over")
	}
	if _, err := embedded.WriteArchive(t.Context(), o.path(), o.archive(2), 299, signed); err == nil {
		t.Error("the newest events were archived")
	}
	o.same()
	o.ok(os.Remove(o.archive(1)))
	o.putAway(1, 200)
	o.ok(embedded.TakeOut(t.Context(), o.path(), o.archive(1), "device")) // again: nothing happens
	l := o.open()
	if err := embedded.TakeOut(t.Context(), o.path(), o.archive(1), "device"); err == nil {
		t.Error("events were taken out under a running server")
	}
	o.ok(l.Close())
	o.same()
}
