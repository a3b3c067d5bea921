package esdb_test

import (
	"context"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/esdb"
	"github.com/rollcall-mdm/rollcall/eventstore/esdb/esdbtest"
)

// A follower sees each event once, whatever happens to its subscriptions and to the server.
func TestFollowThroughFaults(t *testing.T) {
	const events = 300
	server := serve(t, esdbtest.Options{Noise: 4})
	l := open(t, server.URL(), esdb.Options{})
	for i := range 40 {
		server.Inject(esdbtest.Fault{Kind: []esdbtest.Kind{esdbtest.Drop, esdbtest.Strange, esdbtest.Drop, esdbtest.Refuse}[i%4], Method: "Read", After: i % 7})
	}
	written := make(chan []eventstore.Envelope, 1)
	go func() {
		var all []eventstore.Envelope
		defer func() { written <- all }()
		for i := range events {
			e := some(1)
			if err := l.Append(t.Context(), stream, int64(i-1), e); err != nil {
				t.Error(err)
				return
			}
			if all = append(all, e...); i%100 == 50 {
				server.Stop()
				if err := server.Restart(); err != nil {
					t.Error(err)
				}
			}
		}
	}()
	got := follow(t, l, 0, events)
	same(t, "the follower", got, <-written)
}

func follow(t *testing.T, l *esdb.Log, after eventstore.Position, n int) (got []eventstore.Envelope) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for batch, err := range l.Follow(ctx, after) {
		if err != nil {
			t.Fatal(err)
		}
		if got = append(got, batch...); len(got) >= n {
			return got
		}
	}
	t.Fatalf("the follower saw %d events, want %d", len(got), n)
	return nil
}

// A follower waits while there is no server, for longer than calls are patient.
func TestFollowWaits(t *testing.T) {
	server := serve(t, esdbtest.Options{})
	l := open(t, server.URL(), hasty)
	want := appendTo(t, l, -1, 1)
	following, seen := make(chan struct{}), make(chan eventstore.UUID, 10)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		defer close(seen)
		for batch, err := range l.Follow(ctx, 0) {
			if err != nil {
				t.Error(err)
			}
			for _, e := range batch {
				seen <- e.ID
			}
		}
	}()
	go func() {
		defer close(following)
		if id := <-seen; id != want[0].ID {
			t.Errorf("the follower saw %s first", id)
		}
	}()
	<-following
	server.Stop()
	for range 3 { // each as long as a call is patient
		if _, err := l.Head(t.Context()); err == nil {
			t.Error("there is a head, but no server")
		}
	}
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	next := appendTo(t, l, 0, 1)
	if id := <-seen; id != next[0].ID {
		t.Errorf("the follower saw %s, want %s", id, next[0].ID)
	}
	cancel()
	if id, more := <-seen; more {
		t.Errorf("the follower saw %s, too", id)
	}
}

// A follower that the server does not let in is told so.
func TestFollowRefused(t *testing.T) {
	server := serve(t, esdbtest.Options{})
	l := open(t, server.URL(), esdb.Options{})
	server.Inject(esdbtest.Fault{Kind: esdbtest.Refuse, Method: "Read", Code: codes.PermissionDenied})
	for batch, err := range l.Follow(t.Context(), 0) {
		if err == nil {
			t.Fatalf("the follower saw %d events", len(batch))
		}
		return
	}
	t.Error("the follower ended without an error")
}
