package esdb_test

import (
	"log/slog"
	"net/url"
	"os"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/esdb"
	"github.com/rollcall-mdm/rollcall/eventstore/esdb/esdbtest"
	"github.com/rollcall-mdm/rollcall/eventstore/eventstoretest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve starts a make-believe EventStoreDB for the length of the test.
func serve(t *testing.T, options esdbtest.Options) *esdbtest.Server {
	t.Helper()
	s, err := esdbtest.Start(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func open(t *testing.T, connectionString string, options esdb.Options) *esdb.Log {
	t.Helper()
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	l, err := esdb.Open(t.Context(), connectionString, options)
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

// places gives each place of a law a server of its own, and the same to who comes again.
func places(options esdbtest.Options) func(*testing.T, string) *esdbtest.Server {
	var mu sync.Mutex
	servers := map[string]*esdbtest.Server{}
	return func(t *testing.T, place string) *esdbtest.Server {
		mu.Lock()
		defer mu.Unlock()
		if servers[place] == nil {
			servers[place] = serve(t, options)
		}
		return servers[place]
	}
}

func TestLaws(t *testing.T) {
	for name, c := range map[string]struct {
		server esdbtest.Options
		log    esdb.Options
	}{
		"alone":                  {},
		"among noisy neighbours": {server: esdbtest.Options{Noise: 3}, log: esdb.Options{Connections: 4}},
	} {
		t.Run(name, func(t *testing.T) {
			at := places(c.server)
			eventstoretest.Run(t, eventstoretest.Subject{Sparse: true, Open: func(t *testing.T, place string) eventstore.Log {
				return open(t, at(t, place).URL(), c.log)
			}, Restart: func(t *testing.T, place string) {
				at(t, place).Stop()
				if err := at(t, place).Restart(); err != nil {
					t.Fatal(err)
				}
			}})
		})
	}
}

// TestLawsOverARealServer holds the log to the laws over the database that ROLLCALL_ESDB_URL names.
func TestLawsOverARealServer(t *testing.T) {
	real := os.Getenv("ROLLCALL_ESDB_URL")
	if real == "" {
		t.Log("ROLLCALL_ESDB_URL names no EventStoreDB: the laws were NOT checked over a real one, only over the make-believe")
		return
	}
	if u, err := url.Parse(real); err == nil {
		t.Logf("the laws are checked over the EventStoreDB at %s", u.Host)
	}
	eventstoretest.Run(t, eventstoretest.Subject{Sparse: true, Open: func(t *testing.T, _ string) eventstore.Log {
		return open(t, real, esdb.Options{})
	}})
}
