package embedded_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/embedded"
	"github.com/rollcall-mdm/rollcall/eventstore/eventstoretest"
)

func open(t *testing.T, dir string, options embedded.Options) *embedded.Log {
	t.Helper()
	l, err := embedded.Open(t.Context(), filepath.Join(dir, "log.db"), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func TestLaws(t *testing.T) {
	for name, options := range map[string]embedded.Options{
		"as it is":             {},
		"forgetting all":       {Streams: 1, Recent: -1, Readers: 1},
		"remembering a little": {Streams: 4, Recent: 8 << 10},
	} {
		t.Run(name, func(t *testing.T) {
			eventstoretest.Run(t, eventstoretest.Subject{Open: func(t *testing.T, place string) eventstore.Log {
				return open(t, place, options)
			}})
		})
	}
}

func TestNothingIsLeftBesideTheFileAfterAClose(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.db")
	log, err := embedded.Open(t.Context(), path, embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	stream := eventstore.Stream{Kind: "device", ID: "one"}
	if err := log.Append(t.Context(), stream, eventstore.NoStream, []eventstore.Envelope{{ID: eventstore.NewUUID(), Type: "t", Time: time.Now()}}); err != nil {
		t.Fatal(err)
	}
	for _, err := range log.ReadAll(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path + "-wal"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the write-ahead log is still there: %v", err)
	}
}
