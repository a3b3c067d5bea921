package embedded_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/embedded"
	"github.com/rollcall-mdm/rollcall/eventstore/ledger"
)

// A file from before there were hashes is given them, and they are the same.
func TestFileOfVersion1(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, embedded.Options{})
	for i := range 10 {
		if err := l.Append(t.Context(), eventstore.Stream{Kind: "d", ID: fmt.Sprint(i)}, eventstore.NoStream, many(150)); err != nil {
			t.Fatal(err)
		}
	}
	appendAwkward(t, l)
	root := fits(t, l)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	script(t, dir, "DROP TABLE hashes; ALTER TABLE events DROP COLUMN leaf; PRAGMA user_version = 1")
	if _, err := embedded.OpenReadOnly(t.Context(), filepath.Join(dir, "log.db")); err == nil || !strings.Contains(err.Error(), "start the server") {
		t.Errorf("an old file that is only read: %v", err)
	}
	l = open(t, dir, embedded.Options{})
	if got := fits(t, l); got != root {
		t.Errorf("the root became %s, was %s", got, root)
	}
	if err := l.Append(t.Context(), eventstore.Stream{Kind: "d", ID: "new"}, eventstore.NoStream, many(3)); err != nil {
		t.Fatal(err)
	}
	fits(t, l)
	if got := sqlite3(t, dir, "PRAGMA user_version"); got != "3" {
		t.Errorf("its version is %s", got)
	}
}

// age makes a closed file what version 2 would have made of it: the last hashes in a block, no leaves beside events.
func age(t *testing.T, dir string, tail []tlog.Hash, block int64) {
	t.Helper()
	var hex strings.Builder
	for _, h := range tail {
		fmt.Fprintf(&hex, "%x", h[:])
	}
	if hex.Len() > 0 {
		script(t, dir, fmt.Sprintf("INSERT INTO hashes VALUES (%d, x'%s')", block, &hex))
	}
	script(t, dir, "ALTER TABLE events DROP COLUMN leaf; PRAGMA user_version = 2")
}

// aged makes a file of version 2 with n events, and returns the root of its tree.
func aged(t *testing.T, dir string, n int) tlog.Hash {
	t.Helper()
	l := open(t, dir, embedded.Options{})
	if err := l.Append(t.Context(), eventstore.Stream{Kind: "d", ID: "a"}, eventstore.NoStream, many(n)); err != nil {
		t.Fatal(err)
	}
	root := fits(t, l)
	count := tlog.StoredHashCount(int64(n))
	var last []int64
	for i := count / 32 * 32; i < count; i++ {
		last = append(last, i)
	}
	tail, err := l.ReadHashes(t.Context(), last)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	age(t, dir, tail, count/32)
	return root
}

// A file of version 2 keeps its hashes, whatever its size, and goes on.
func TestFileOfVersion2(t *testing.T) {
	for _, n := range []int{0, 1, 2, 15, 16, 17, 31, 32, 33, 70, 1000} {
		dir := t.TempDir()
		root := aged(t, dir, n)
		l := open(t, dir, embedded.Options{})
		if got := fits(t, l); got != root {
			t.Errorf("%d events: the root became %s, was %s", n, got, root)
		}
		if err := l.Append(t.Context(), eventstore.Stream{Kind: "d", ID: "new"}, eventstore.NoStream, many(40)); err != nil {
			t.Fatal(err)
		}
		fits(t, l)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		fits(t, open(t, dir, embedded.Options{}))
	}
}

// What somebody did to a file of version 2 is not made good by bringing it to today's.
func TestFileOfVersion2WithOtherEventsThanHashes(t *testing.T) {
	for what, text := range map[string]string{
		"the last event was deleted": "DELETE FROM events WHERE position = 70",
		"the last hashes are gone":   "DELETE FROM hashes WHERE block = (SELECT max(block) FROM hashes)",
		"the last block was cut":     "UPDATE hashes SET hashes = substr(hashes, 1, 32) WHERE block = (SELECT max(block) FROM hashes)",
	} {
		dir := t.TempDir()
		aged(t, dir, 70)
		script(t, dir, text)
		for range 2 {
			if l, err := embedded.Open(t.Context(), filepath.Join(dir, "log.db"), embedded.Options{}); err == nil {
				t.Errorf("%s: it was opened", what)
				l.Close()
			}
		}
	}
	dir := t.TempDir()
	root := aged(t, dir, 70)
	script(t, dir, "UPDATE events SET type = 99 WHERE position = 70; INSERT INTO types VALUES (99, 'forged')")
	l := open(t, dir, embedded.Options{})
	hash, err := l.ReadHashes(t.Context(), []int64{tlog.StoredHashIndex(0, 69)})
	if err != nil {
		t.Fatal(err)
	}
	for env, err := range l.ReadAll(t.Context(), 69) {
		if err != nil || ledger.Leaf(env) == hash[0] {
			t.Errorf("the altered event was given a hash that fits it: %s (%v)", env.Type, err)
		}
	}
	if got, err := (&ledger.Ledger{Tree: l}).Root(t.Context(), 70); err != nil || got != root {
		t.Errorf("the root became %s, was %s: %v", got, root, err)
	}
}
