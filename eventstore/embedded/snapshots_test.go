package embedded_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/embedded"
)

type state struct {
	Name  string
	At    time.Time
	Some  *bool
	Queue []*item
}

type item struct {
	Body []byte
	More map[string]int
}

// Another shape: the same fields, but one means something else.
type stateAfter struct {
	Name  string
	At    time.Time
	Some  *bool
	Queue []*itemAfter
}

type itemAfter struct {
	Body string
	More map[string]int
}

var device = eventstore.Stream{Kind: "device", ID: "a\x00-ü"}

// flip is as good as a seal here: what was not flipped cannot be opened.
func flip(s eventstore.Stream, b []byte) ([]byte, error) {
	b = bytes.Clone(b)
	for i := range b {
		b[i] ^= 0x55
	}
	return b, nil
}

func openSnapshots[S any](t *testing.T, path, fold string) *embedded.Snapshots[S] {
	t.Helper()
	s, err := embedded.OpenSnapshots[S](path, embedded.SnapshotOptions{Fold: fold, Seal: flip, Open: flip, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func kept() state {
	no := false
	return state{"iPad", time.Date(2026, 1, 2, 3, 4, 5, 678000, time.UTC), &no, []*item{{[]byte("secret"), map[string]int{"a": 1}}}}
}

func TestSnapshots(t *testing.T) {
	path := filepath.Join(t.TempDir(), "snapshots.db")
	s := openSnapshots[state](t, path, "1")
	if _, _, found := s.Load(device); found {
		t.Error("a state was found in an empty file")
	}
	if err := s.Save(device, 199, kept()); err != nil {
		t.Fatal(err)
	}
	if err := s.Save(device, 100, state{Name: "older"}); err != nil {
		t.Fatal(err)
	}
	check := func(s *embedded.Snapshots[state]) {
		t.Helper()
		got, version, found := s.Load(device)
		if !found || version != 199 || !reflect.DeepEqual(got, kept()) {
			t.Errorf("found %v@%d (%v), want %v@199", got, version, found, kept())
		}
	}
	check(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, found := s.Load(device); found {
		t.Error("closed snapshots found a state")
	}
	if err := s.Save(device, 300, kept()); !errors.Is(err, eventstore.ErrClosed) {
		t.Errorf("closed snapshots saved: %v", err)
	}
	check(openSnapshots[state](t, path, "1"))
}

func TestSnapshotsOfAnotherFold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "snapshots.db")
	s := openSnapshots[state](t, path, "1")
	if err := s.Save(device, 199, kept()); err != nil {
		t.Fatal(err)
	}
	if _, _, found := openSnapshots[stateAfter](t, path, "1").Load(device); found {
		t.Error("a state of another shape was found")
	}
	next := openSnapshots[state](t, path, "2")
	if _, _, found := next.Load(device); found {
		t.Error("a state of another fold was found")
	}
	if err := next.Save(device, 50, state{Name: "new"}); err != nil {
		t.Fatal(err)
	}
	if got, version, found := next.Load(device); !found || version != 50 || got.Name != "new" {
		t.Errorf("found %v@%d (%v): another fold's state stood in the way", got, version, found)
	}
}

func TestSnapshotsAreSealed(t *testing.T) {
	dir := t.TempDir()
	s := openSnapshots[state](t, filepath.Join(dir, "snapshots.db"), "1")
	if err := s.Save(device, 199, kept()); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		content, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(content, []byte("iPad")) {
			t.Errorf("%s holds a state in the clear", f.Name())
		}
		if info, err := f.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v (%v)", f.Name(), info.Mode(), err)
		}
	}
	if _, err := embedded.OpenSnapshots[state](filepath.Join(dir, "other.db"), embedded.SnapshotOptions{Fold: "1"}); err == nil {
		t.Error("snapshots without a seal were opened")
	}
}

func TestSnapshotsThatCannotBeRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "snapshots.db")
	if err := os.WriteFile(path, bytes.Repeat([]byte("no database"), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	s := openSnapshots[state](t, path, "1")
	if err := s.Save(device, 199, kept()); err != nil {
		t.Fatal(err)
	}
	broken, err := embedded.OpenSnapshots[state](filepath.Join(t.TempDir(), "s.db"), embedded.SnapshotOptions{
		Fold: "1", Seal: flip, Logger: quiet, Open: func(eventstore.Stream, []byte) ([]byte, error) { return nil, errors.New("the keys are gone") },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer broken.Close()
	if err := broken.Save(device, 1, kept()); err != nil {
		t.Fatal(err)
	}
	if _, _, found := broken.Load(device); found {
		t.Error("a state was found whose keys are gone")
	}
}
