package embedded_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/embedded"
	"github.com/rollcall-mdm/rollcall/eventstore/ledger"
)

// gappy is a log of the same events at positions with gaps. spoil, if there is one, changes what it yields, or leaves
// it out.
type gappy struct {
	*embedded.Log
	spoil func(*eventstore.Envelope) (keep bool)
}

const gap = 1000

func (g gappy) apart(env eventstore.Envelope) (eventstore.Envelope, bool) {
	env.Position *= gap
	return env, g.spoil == nil || g.spoil(&env)
}

func (g gappy) ReadAll(ctx context.Context, after eventstore.Position) iter.Seq2[eventstore.Envelope, error] {
	return func(yield func(eventstore.Envelope, error) bool) {
		if after%gap != 0 {
			yield(eventstore.Envelope{}, errors.New("no event stands there"))
			return
		}
		for env, err := range g.Log.ReadAll(ctx, after/gap) {
			if env, keep := g.apart(env); keep && !yield(env, err) {
				return
			}
		}
	}
}

func (g gappy) Follow(ctx context.Context, after eventstore.Position) iter.Seq2[[]eventstore.Envelope, error] {
	return func(yield func([]eventstore.Envelope, error) bool) {
		for batch, err := range g.Log.Follow(ctx, after/gap) {
			apart := make([]eventstore.Envelope, len(batch))
			for i := range batch {
				apart[i], _ = g.apart(batch[i])
			}
			if !yield(apart, err) {
				return
			}
		}
	}
}

func openIndex(t *testing.T, path string) *embedded.Index {
	t.Helper()
	x, err := embedded.OpenIndex(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = x.Close() })
	return x
}

// filled returns a log with n events in two streams.
func filled(t *testing.T, n int) *embedded.Log {
	t.Helper()
	log := open(t, t.TempDir(), embedded.Options{})
	grow(t, log, 0, n)
	return log
}

func grow(t *testing.T, log *embedded.Log, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		e := []eventstore.Envelope{{ID: eventstore.NewUUID(), Type: "t", Time: time.Now(), Data: fmt.Appendf(nil, "%d", i), Personal: []byte{1}}}
		if err := log.Append(t.Context(), eventstore.Stream{Kind: "device", ID: fmt.Sprint(i % 2)}, int64(i/2-1), e); err != nil {
			t.Fatal(err)
		}
	}
}

func rootOf(t *testing.T, tree ledger.Tree) tlog.Hash {
	t.Helper()
	n, err := tree.Leaves(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	root, err := (&ledger.Ledger{Tree: tree}).Root(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func TestAnIndexHasTheRootsOfTheEmbeddedLog(t *testing.T) {
	log, path := filled(t, 300), filepath.Join(t.TempDir(), "ledger.db")
	sparse := gappy{Log: log}
	x := openIndex(t, path)
	for range 2 { // the second time there is nothing new
		if err := x.CatchUp(t.Context(), sparse, nil); err != nil {
			t.Fatal(err)
		}
		if got, want := rootOf(t, x), rootOf(t, log); got != want {
			t.Fatalf("the root is %s, want the embedded log's, %s", got, want)
		}
	}
	fits(t, numbered{x, x.Numbered(sparse)})

	grow(t, log, 300, 600)
	if err := errors.Join(x.Close(), openIndex(t, path).CatchUp(t.Context(), sparse, nil)); err != nil {
		t.Fatal(err)
	}
	again := openIndex(t, filepath.Join(t.TempDir(), "ledger.db")) // made anew from the log
	if err := again.CatchUp(t.Context(), sparse, nil); err != nil {
		t.Fatal(err)
	}
	if got, want := rootOf(t, again), rootOf(t, log); got != want {
		t.Errorf("made again, the root is %s, want %s", got, want)
	}
}

type numbered struct {
	ledger.Tree
	ledger.Events
}

func TestAnIndexFollowsItsLog(t *testing.T) {
	log := filled(t, 3)
	x := openIndex(t, filepath.Join(t.TempDir(), "ledger.db"))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- x.Run(ctx, gappy{Log: log}) }()
	grow(t, log, 3, 90)
	for deadline := time.Now().Add(20 * time.Second); ; {
		if n, err := x.Leaves(t.Context()); err != nil || n == 90 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the index did not follow")
		}
		<-time.After(5 * time.Millisecond)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if got, want := rootOf(t, x), rootOf(t, log); got != want {
		t.Errorf("the root is %s, want %s", got, want)
	}
}

func TestAnIndexCounts(t *testing.T) {
	log, path := filled(t, 5), filepath.Join(t.TempDir(), "ledger.db")
	x := openIndex(t, path)
	if err := x.CatchUp(t.Context(), gappy{Log: log}, nil); err != nil {
		t.Fatal(err)
	}
	r, err := embedded.OpenIndexReadOnly(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for at, want := range map[eventstore.Position]int64{0: 0, gap - 1: 0, gap: 1, gap + 1: 1, 5 * gap: 5, 900 * gap: 5} {
		for _, counter := range []eventstore.Counter{x, r} {
			if n, err := counter.Count(t.Context(), at); err != nil || n != want {
				t.Errorf("up to %d stand %d events, want %d (%v)", at, n, want, err)
			}
		}
	}
	if rootOf(t, r) != rootOf(t, x) {
		t.Error("a reader knows another root")
	}
	var places []eventstore.Position
	for env, err := range r.Numbered(gappy{Log: log}).ReadAll(t.Context(), 2) {
		if err != nil {
			t.Fatal(err)
		}
		places = append(places, env.Position)
	}
	if fmt.Sprint(places) != "[3 4 5]" {
		t.Errorf("after the second come %v", places)
	}
}

func TestOneProcessHasAnIndex(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	openIndex(t, path)
	if _, err := embedded.OpenIndex(t.Context(), path); err == nil || !strings.Contains(err.Error(), "stop that process") {
		t.Errorf("it was opened twice: %v", err)
	}
}

// A log that lost or changed what an index has is found out when it is confirmed, or when it is read.
func TestALogThatIsNotTheIndexedOneIsRefused(t *testing.T) {
	const size, spoiled = 400, 390
	log := filled(t, size)
	x := openIndex(t, filepath.Join(t.TempDir(), "ledger.db"))
	if err := errors.Join(x.CatchUp(t.Context(), gappy{Log: log}, nil), x.Confirm(t.Context(), gappy{Log: log})); err != nil {
		t.Fatal(err)
	}
	at := func(e *eventstore.Envelope) bool { return e.Position == spoiled*gap }
	for name, c := range map[string]struct {
		spoil func(*eventstore.Envelope) (keep bool)
		want  string
	}{
		"its last events are gone":     {func(e *eventstore.Envelope) bool { return e.Position < spoiled*gap }, "it ends with event 389, and the ledger knows 400"},
		"one of them is gone":          {func(e *eventstore.Envelope) bool { return !at(e) }, "event 390 at position 391000 was another, at position 390000"},
		"one of them was changed":      {func(e *eventstore.Envelope) bool { e.Evidence = change(at(e)); return true }, "event 390 at"},
		"all of them are gone":         {func(*eventstore.Envelope) bool { return false }, "it ends with event 144"},
		"it is another one altogether": {func(e *eventstore.Envelope) bool { e.ID = eventstore.NewUUID(); return true }, "event 145 at"},
	} {
		if err := x.Confirm(t.Context(), gappy{log, c.spoil}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	moved := gappy{log, func(e *eventstore.Envelope) bool {
		if at(e) {
			e.Position-- // nothing stood there
		}
		return true
	}}
	var last error
	for _, err := range x.Numbered(moved).ReadAll(t.Context(), 0) {
		last = err
	}
	if last == nil || !strings.Contains(last.Error(), "position 389999 that was not there") {
		t.Errorf("an event where none was: %v", last)
	}
}

// change returns something if it is to be changed.
func change(it bool) []byte {
	if it {
		return []byte("!")
	}
	return nil
}
