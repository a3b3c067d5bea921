package eventstoretest_test

import (
	"errors"
	"path/filepath"
	"slices"
	"testing"

	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/embedded"
	"github.com/rollcall-mdm/rollcall/eventstore/eventstoretest"
)

var stream = eventstore.Stream{Kind: "device", ID: "a"}

func open(t *testing.T) eventstore.Log {
	t.Helper()
	log, err := embedded.Open(t.Context(), filepath.Join(t.TempDir(), "log.db"), embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	return log
}

// fates appends until n appends are written, and tells how each try ended.
func fates(t *testing.T, f *eventstoretest.Flaky, n int) (fates []string) {
	t.Helper()
	for version := int64(-1); version < int64(n-1); {
		err := f.Append(t.Context(), stream, version, []eventstore.Envelope{{ID: eventstore.NewUUID(), Type: "t"}})
		head, headErr := f.Head(t.Context())
		if headErr != nil {
			t.Fatal(headErr)
		}
		written := int64(head)-1 > version
		version = int64(head) - 1
		switch {
		case err == nil && written:
			fates = append(fates, "written")
		case errors.Is(err, eventstore.ErrConflict) && !written:
			fates = append(fates, "conflict")
		case errors.Is(err, eventstoretest.ErrBadLuck) && written:
			fates = append(fates, "lost")
		case errors.Is(err, eventstoretest.ErrBadLuck):
			fates = append(fates, "failed")
		default:
			t.Fatalf("written: %v, and %v", written, err)
		}
	}
	return fates
}

func TestFlakyAppends(t *testing.T) {
	flaky := func(seed uint64) []string {
		return fates(t, &eventstoretest.Flaky{Log: open(t), Seed: seed, Conflicts: 5, Failures: 5, Losses: 5}, 100)
	}
	first := flaky(1)
	for _, fate := range []string{"written", "conflict", "lost", "failed"} {
		if !slices.Contains(first, fate) {
			t.Errorf("no append was %s", fate)
		}
	}
	if !slices.Equal(first, flaky(1)) {
		t.Error("the same seed brought other luck")
	}
	if slices.Equal(first, flaky(2)) {
		t.Error("another seed brought the same luck")
	}
	for _, fate := range fates(t, &eventstoretest.Flaky{Log: open(t)}, 50) {
		if fate != "written" {
			t.Errorf("without bad luck an append was %s", fate)
		}
	}
}

func TestFlakyReads(t *testing.T) {
	f := &eventstoretest.Flaky{Log: open(t), Breaks: 2}
	fates(t, f, 10)
	whole, broken := 0, 0
	for range 50 {
		n := 0
		var last error
		for e, err := range f.ReadStream(t.Context(), stream, 0, eventstore.Forward) {
			if last = err; err == nil {
				if e.Version != int64(n) {
					t.Fatalf("event %d has version %d", n, e.Version)
				}
				n++
			}
		}
		switch {
		case last == nil && n == 10:
			whole++
		case errors.Is(last, eventstoretest.ErrBadLuck) && n < 10:
			broken++
		default:
			t.Fatalf("%d events, and %v", n, last)
		}
	}
	if whole == 0 || broken == 0 {
		t.Errorf("%d reads were whole and %d broken", whole, broken)
	}
}
