package embedded_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/embedded"
)

var _ eventstore.Log = (*embedded.Reader)(nil)

// appended appends n events to a stream that has some already.
func appended(t *testing.T, l eventstore.Log, s eventstore.Stream, version int64, n int) {
	t.Helper()
	for i := range n {
		e := []eventstore.Envelope{{ID: eventstore.NewUUID(), Type: fmt.Sprint("t", version+int64(i)), Data: []byte(`{}`)}}
		if err := l.Append(t.Context(), s, version+int64(i), e); err != nil {
			t.Fatal(err)
		}
	}
}

func TestALogIsReadBesideTheOneWhoWritesIt(t *testing.T) {
	dir := t.TempDir()
	log := open(t, dir, embedded.Options{})
	one, other := eventstore.Stream{Kind: "device", ID: "one"}, eventstore.Stream{Kind: "device", ID: "other"}
	appended(t, log, one, eventstore.NoStream, 300)
	appended(t, log, other, eventstore.NoStream, 1)
	r, err := embedded.OpenReader(t.Context(), filepath.Join(dir, "log.db"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	followed := make(chan eventstore.Envelope, 1000)
	go func() {
		defer close(followed)
		for batch, err := range r.Follow(ctx, 250) {
			if err != nil {
				t.Error(err)
				return
			}
			for _, env := range batch {
				followed <- env
			}
		}
	}()
	appended(t, log, one, 299, 50)
	for want := eventstore.Position(251); want <= 351; want++ {
		if env := <-followed; env.Position != want {
			t.Fatalf("followed %d, want %d", env.Position, want)
		}
	}
	if head, err := r.Head(ctx); err != nil || head != 351 {
		t.Errorf("head %d, %v", head, err)
	}
	if n, err := r.Leaves(ctx); err != nil || n != 351 {
		t.Errorf("%d leaves, %v", n, err)
	}
	var all, back int
	for env, err := range r.ReadAll(ctx, 0) {
		if all++; err != nil || int(env.Position) != all {
			t.Fatalf("%d is at %d, %v", all, env.Position, err)
		}
	}
	for env, err := range r.ReadStream(ctx, one, -1, eventstore.Backward) {
		if back++; err != nil || int(env.Version) != 350-back {
			t.Fatalf("version %d, %v", env.Version, err)
		}
	}
	if all != 351 || back != 350 {
		t.Errorf("%d events, %d of one", all, back)
	}
	if err := r.Append(ctx, one, 349, nil); !errors.Is(err, embedded.ErrReadOnly) {
		t.Errorf("it took an event: %v", err)
	}
	stop()
	for range followed { // until it ends
		t.Error("an event was followed that nobody appended")
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}
