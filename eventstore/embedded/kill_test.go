package embedded_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/embedded"
	"github.com/rollcall-mdm/rollcall/eventstore/eventstoretest"
	"github.com/rollcall-mdm/rollcall/eventstore/ledger"
)

// childEnv names the part that this test binary plays in a process of its own, and childDir its directory.
const (
	childEnv = "EMBEDDED_TEST_CHILD"
	childDir = "EMBEDDED_TEST_DIR"
)

var children = map[string]func(dir string) error{"writers": writers, "squeezed": squeezed}

func TestMain(m *testing.M) {
	part, ok := children[os.Getenv(childEnv)]
	if !ok {
		goleak.VerifyTestMain(m)
		return
	}
	if err := part(os.Getenv(childDir)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// child returns this test binary as a process that plays a part.
func child(part, dir string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+part, childDir+"="+dir)
	cmd.Stderr = os.Stderr
	return cmd
}

func writerStream(w int) eventstore.Stream {
	return eventstore.Stream{Kind: "device", ID: fmt.Sprintf("writer-%d", w)}
}

// writers appends from 64 goroutines for ever, and prints each event that is acknowledged.
func writers(dir string) error {
	ctx := context.Background()
	l, err := embedded.Open(ctx, filepath.Join(dir, "log.db"), embedded.Options{})
	if err != nil {
		return err
	}
	failed := make(chan error)
	for w := range 64 {
		go func() { failed <- write(ctx, l, w) }()
	}
	return <-failed
}

func write(ctx context.Context, l *embedded.Log, w int) error {
	version := eventstore.NoStream
	for e, err := range l.ReadStream(ctx, writerStream(w), -1, eventstore.Backward) {
		if err != nil {
			return err
		}
		version = e.Version
		break
	}
	for {
		events := make([]eventstore.Envelope, 1+rand.IntN(3))
		for i := range events {
			n := version + 1 + int64(i)
			events[i] = eventstore.Envelope{ID: eventstore.NewUUID(), Type: "written", Data: strconv.AppendInt(nil, n, 10), Evidence: make([]byte, rand.IntN(2000))}
		}
		if err := l.Append(ctx, writerStream(w), version, events); err != nil {
			return err
		}
		version += int64(len(events))
		for _, e := range events {
			if _, err := fmt.Printf("%d %d %d %s\n", w, e.Version, e.Position, e.ID); err != nil {
				return err
			}
		}
	}
}

// A place is where an acknowledged event stands.
type place struct {
	writer   int
	version  int64
	position eventstore.Position
}

// What was acknowledged before the process was killed is there, where it was said to be, once. The tree goes on from where it
// was: what was signed before a kill holds after it.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	acknowledged := map[eventstore.UUID]place{}
	roots := map[int64]tlog.Hash{}
	kills := 20
	if eventstoretest.Raced {
		kills = 4 // a process that was killed has no races to tell of
	}
	for range kills {
		killDuringLoad(t, dir, 100+rand.IntN(900), acknowledged)
		l := open(t, dir, embedded.Options{})
		checkAcknowledged(t, l, acknowledged)
		root := fits(t, l)
		for size, before := range roots {
			if now, err := (&ledger.Ledger{Tree: l}).Root(t.Context(), size); err != nil || now != before {
				t.Errorf("the root over the first %d events became %s, was %s (%v)", size, now, before, err)
			}
		}
		head, err := l.Leaves(t.Context())
		roots[head] = root
		if err := errors.Join(err, l.Close()); err != nil {
			t.Fatal(err)
		}
	}
	if n := sqlite3(t, dir, "PRAGMA integrity_check"); n != "ok" {
		t.Errorf("the file is damaged: %s", n)
	}
	t.Logf("%d events were acknowledged", len(acknowledged))
}

// killDuringLoad lets a process write, kills it after some acknowledgements, and collects all that it gave.
func killDuringLoad(t *testing.T, dir string, after int, acknowledged map[eventstore.UUID]place) {
	t.Helper()
	cmd := child("writers", dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	for n := 0; ; n++ {
		if n == after {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
		line, err := lines.ReadString('\n')
		if err != nil { // the last line may be torn
			if !errors.Is(err, io.EOF) {
				t.Error(err)
			}
			break
		}
		var p place
		var id string
		if _, err := fmt.Sscan(line, &p.writer, &p.version, &p.position, &id); err != nil {
			t.Fatalf("the process printed %q: %v", line, err)
		}
		uuid, err := eventstore.ParseUUID(id)
		if err != nil {
			t.Fatal(err)
		}
		acknowledged[uuid] = p
	}
	if err := cmd.Wait(); cmd.ProcessState.Exited() {
		t.Fatalf("the process ended by itself: %v", err)
	}
}

func checkAcknowledged(t *testing.T, l *embedded.Log, acknowledged map[eventstore.UUID]place) {
	t.Helper()
	versions := map[eventstore.Stream]int64{}
	found := map[eventstore.UUID]bool{}
	last := eventstore.Position(0)
	for e, err := range l.ReadAll(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Position != last+1 || e.Version != versions[e.Stream] || string(e.Data) != strconv.FormatInt(e.Version, 10) || found[e.ID] {
			t.Fatalf("after position %d and version %d stands %s: %s", last, versions[e.Stream]-1, e.Data, e.ID)
		}
		if p, ok := acknowledged[e.ID]; ok && (p != place{p.writer, e.Version, e.Position} || e.Stream != writerStream(p.writer)) {
			t.Fatalf("%s stands at %s@%d #%d, but was acknowledged at %+v", e.ID, e.Stream, e.Version, e.Position, p)
		}
		found[e.ID] = true
		versions[e.Stream]++
		last = e.Position
	}
	for id, p := range acknowledged {
		if !found[id] {
			t.Errorf("%s was acknowledged at %+v, and is gone", id, p)
		}
	}
}
