package embedded_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/embedded"
)

// sqlite3 asks the file as an auditor would, and returns the rows with their columns between bars.
func sqlite3(t *testing.T, dir, query string) string {
	t.Helper()
	conn, err := sqlite.OpenConn(filepath.Join(dir, "log.db"), sqlite.OpenReadOnly)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var rows []string
	err = sqlitex.ExecuteTransient(conn, query, &sqlitex.ExecOptions{ResultFunc: func(stmt *sqlite.Stmt) error {
		var columns []string
		for i := range stmt.ColumnCount() {
			columns = append(columns, stmt.ColumnText(i))
		}
		rows = append(rows, strings.Join(columns, "|"))
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(rows, "\n")
}

func uuid(t *testing.T, s string) eventstore.UUID {
	t.Helper()
	u, err := eventstore.ParseUUID(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// An auditor opens the file while the log is open, and can read it.
func TestHistory(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, embedded.Options{})
	at := time.Date(2026, 11, 22, 9, 30, 0, 5000, time.UTC)
	events := []eventstore.Envelope{
		{ID: uuid(t, "00000000-0000-4000-8000-00000000000A"), Type: "device.authenticated", Time: at, Actor: eventstore.Actor{Kind: eventstore.ByDevice, ID: "d1"}, Data: []byte(`{"Topic":"t"}`), Personal: make([]byte, 7)},
		{ID: uuid(t, "00000000-0000-4000-8000-00000000000B"), Type: "device.command-queued", Time: at, Actor: eventstore.Actor{Kind: eventstore.ByOperator, ID: "ada", Name: "Ada", Role: "operator"}, Correlation: uuid(t, "00000000-0000-4000-8000-00000000000C"), Secret: make([]byte, 9)},
		{ID: uuid(t, "00000000-0000-4000-8000-00000000000D"), Type: "device.seen", Time: at},
	}
	if err := l.Append(t.Context(), eventstore.Stream{Kind: "device", ID: "d1"}, eventstore.NoStream, events); err != nil {
		t.Fatal(err)
	}
	want := `1|2026-11-22T09:30:00.000005Z|device-d1|0|device.authenticated|device d1||{"Topic":"t"}|0000000000004000800000000000000A|||7||
2|2026-11-22T09:30:00.000005Z|device-d1|1|device.command-queued|operator ada Ada|operator||0000000000004000800000000000000B|0000000000004000800000000000000C|||9|
3|2026-11-22T09:30:00.000005Z|device-d1|2|device.seen||||0000000000004000800000000000000D|||||`
	if got := sqlite3(t, dir, "SELECT * FROM history"); got != want {
		t.Errorf("history is\n%s\nwant\n%s", got, want)
	}
	if got := sqlite3(t, dir, "SELECT * FROM heads"); got != "device-d1|2" {
		t.Errorf("heads is %s", got)
	}
}

func TestFilesAreTheOwnersAlone(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, embedded.Options{})
	fill(t, l, 1)
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 4 {
		t.Fatalf("%d files, want the log, two beside it, and the lock (%v)", len(files), err)
	}
	for _, f := range files {
		if info, err := f.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v (%v)", f.Name(), info.Mode(), err)
		}
	}
}

// fill appends n events of 100 kB and returns how long the slowest took.
func fill(t *testing.T, l *embedded.Log, n int) (slowest time.Duration) {
	t.Helper()
	s := eventstore.Stream{Kind: "device", ID: eventstore.NewUUID().String()}
	for i := range n {
		e := []eventstore.Envelope{{ID: eventstore.NewUUID(), Type: "t", Evidence: make([]byte, 100_000)}}
		start := time.Now()
		if err := l.Append(t.Context(), s, int64(i-1), e); err != nil {
			t.Fatal(err)
		}
		slowest = max(slowest, time.Since(start))
	}
	return slowest
}

func TestSecondProcess(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, embedded.Options{})
	_, err := embedded.Open(t.Context(), filepath.Join(dir, "log.db"), embedded.Options{})
	if err == nil || !strings.Contains(err.Error(), "stop that process, or choose another data directory") {
		t.Errorf("a second Open: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, dir, embedded.Options{})
}

func TestOpenRefuses(t *testing.T) {
	newer, strange := filepath.Join(t.TempDir(), "log.db"), filepath.Join(t.TempDir(), "log.db")
	conn, err := sqlite.OpenConn(newer)
	if err != nil {
		t.Fatal(err)
	}
	if err := sqlitex.ExecuteTransient(conn, "PRAGMA user_version = 1000", nil); err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(strange, []byte(strings.Repeat("this is no database. ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	for what, path := range map[string]string{
		"a file of a newer program":       newer,
		"a file that is no database":      strange,
		"a directory that does not exist": filepath.Join(t.TempDir(), "none", "log.db"),
	} {
		for range 2 { // the lock is given back
			l, err := embedded.Open(t.Context(), path, embedded.Options{})
			if err == nil || strings.Contains(err.Error(), "uses it") {
				t.Errorf("%s was opened (%v)", what, err)
			}
			if err == nil {
				l.Close()
			}
		}
	}
}

// walBytes returns the size of the write-ahead log.
func walBytes(t *testing.T, dir string) int64 {
	t.Helper()
	info, err := os.Stat(filepath.Join(dir, "log.db-wal"))
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// The write-ahead log is copied into the file now and then, so that it does not grow with history.
func TestWriteAheadLogStaysSmall(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, embedded.Options{})
	fill(t, l, 400)
	if n := walBytes(t, dir); n > 24<<20 {
		t.Errorf("the write-ahead log has %d MiB after 40 MB of events", n>>20)
	}
	if info, err := os.Stat(filepath.Join(dir, "log.db")); err != nil || info.Size() < 20<<20 {
		t.Errorf("the file has %d MiB after 40 MB of events (%v)", info.Size()>>20, err)
	}
}

// Somebody who reads the file for long makes the write-ahead log grow, but no append wait. It is cut when they
// are done.
func TestLongReader(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir, embedded.Options{})
	fill(t, l, 1)
	auditor, err := sqlite.OpenConn(filepath.Join(dir, "log.db"), sqlite.OpenReadOnly)
	if err != nil {
		t.Fatal(err)
	}
	defer auditor.Close()
	for _, q := range []string{"BEGIN", "SELECT count(*) FROM events"} {
		if err := sqlitex.ExecuteTransient(auditor, q, nil); err != nil {
			t.Fatal(err)
		}
	}
	slowest := fill(t, l, 700) // 64 MiB and more
	if n := walBytes(t, dir); n < 64<<20 {
		t.Errorf("the write-ahead log has %d MiB: the reader was in nobody's way", n>>20)
	}
	if err := sqlitex.ExecuteTransient(auditor, "COMMIT", nil); err != nil {
		t.Fatal(err)
	}
	fill(t, l, 40)
	if n := walBytes(t, dir); n > 24<<20 {
		t.Errorf("the write-ahead log has %d MiB after the reader is done", n>>20)
	}
	if slowest > 4*time.Second { // SQLite itself would wait for 5
		t.Errorf("an append waited %s for a reader", slowest)
	}
}

func TestObserve(t *testing.T) {
	var mu sync.Mutex
	var sum embedded.Commit
	commits := 0
	l := open(t, t.TempDir(), embedded.Options{Observe: func(c embedded.Commit) {
		mu.Lock()
		defer mu.Unlock()
		commits++
		sum.Appends += c.Appends
		sum.Conflicts += c.Conflicts
		sum.Events += c.Events
		sum.Bytes += c.Bytes
		sum.Err = c.Err
		if c.Took <= 0 || c.Sync <= 0 || c.Sync > c.Took {
			t.Errorf("a commit took %s, %s of it for the disk", c.Took, c.Sync)
		}
	}})
	fill(t, l, 3)
	s := eventstore.Stream{Kind: "device", ID: "a"}
	if err := l.Append(t.Context(), s, 5, []eventstore.Envelope{{ID: eventstore.NewUUID()}}); err == nil {
		t.Error("there was no conflict")
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if commits != 4 || (sum != embedded.Commit{Appends: 4, Conflicts: 1, Events: 3, Bytes: 300_000}) {
		t.Errorf("%d commits, together %+v", commits, sum)
	}
}
