package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/ledger"
)

// A stored tree is one in memory.
type storedTree struct {
	leaves int64
	hashes []tlog.Hash
}

func (s *storedTree) Leaves(context.Context) (int64, error) { return s.leaves, nil }

func (s *storedTree) ReadHashes(_ context.Context, indexes []int64) (list []tlog.Hash, err error) {
	for _, i := range indexes {
		list = append(list, s.hashes[i])
	}
	return list, nil
}

// grown returns a number of events and the tree over them.
func grown(n int) (events []eventstore.Envelope, tree *storedTree) {
	tree = &storedTree{leaves: int64(n)}
	var edge ledger.Edge
	for i := range n {
		env := eventstore.Envelope{ID: eventstore.UUID{byte(i), byte(i >> 8)}, Position: eventstore.Position(i + 1), Type: "t", Data: []byte(`{}`)}
		events = append(events, env)
		tree.hashes = edge.Append(tree.hashes, ledger.Leaf(env))
	}
	return events, tree
}

// rechecked returns what a recheck finds.
func rechecked(t *testing.T, events []eventstore.Envelope, tree *storedTree, signed ledger.Checkpoint) (found []string) {
	t.Helper()
	r := &ledger.Recheck{Tree: tree, Found: func(at eventstore.Position, problem string) {
		found = append(found, fmt.Sprintf("%d: %s", at, problem))
	}}
	if err := r.Begin(t.Context(), signed.Size); err != nil {
		t.Fatal(err)
	}
	for i := range events {
		if err := r.Add(t.Context(), &events[i]); err != nil {
			t.Fatal(err)
		}
	}
	r.End(events[len(events)-1].Position)
	if problem := r.Confirm(signed); problem != "" {
		found = append(found, problem)
	}
	return found
}

func checkpointOf(t *testing.T, tree *storedTree, size int64) ledger.Checkpoint {
	t.Helper()
	edge, err := ledger.ReadEdge(size, tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) { return tree.ReadHashes(t.Context(), indexes) }))
	if err != nil {
		t.Fatal(err)
	}
	return ledger.Checkpoint{Size: size, Root: edge.Root()}
}

func TestARecheckFindsEachHashThatIsWrongOnce(t *testing.T) {
	events, tree := grown(77)
	if found := rechecked(t, events, tree, checkpointOf(t, tree, 50)); len(found) != 0 {
		t.Fatalf("of a sound tree: %q", found)
	}
	for i := range tree.hashes {
		level, n := tlog.SplitStoredHashIndex(int64(i))
		tree.hashes[i][7] ^= 1
		// whatever is above it was stored before it was changed: it is the parents that no longer follow
		found := rechecked(t, events, tree, ledger.Checkpoint{Size: 0, Root: checkpointOf(t, &storedTree{}, 0).Root})
		want := fmt.Sprintf("%d: ", (n+1)<<level)
		if len(found) == 0 || len(found) > 2 || !strings.HasPrefix(found[0], want) {
			t.Fatalf("hash %d of level %d: %q", n, level, found)
		}
		tree.hashes[i][7] ^= 1
	}
}

func TestARecheckFindsWhatWasChangedSinceItWasSigned(t *testing.T) {
	events, tree := grown(40)
	signed := checkpointOf(t, tree, 30)
	for name, tt := range map[string]struct {
		change func() ([]eventstore.Envelope, *storedTree)
		want   string
	}{
		"an event, and not its hash": {func() ([]eventstore.Envelope, *storedTree) {
			changed, same := grown(40)
			changed[9].Data = []byte(`{"a":1}`)
			return changed, same
		}, "10: the event is not the one"},
		"an event, with all hashes": {func() ([]eventstore.Envelope, *storedTree) {
			changed, _ := grown(40)
			changed[9].Data = []byte(`{"a":1}`)
			other := &storedTree{leaves: 40}
			var edge ledger.Edge
			for _, env := range changed {
				other.hashes = edge.Append(other.hashes, ledger.Leaf(env))
			}
			return changed, other
		}, "the checkpoint of 30 events has another root"},
		"the end is gone":          {func() ([]eventstore.Envelope, *storedTree) { return grown(29) }, "was signed, and the log has 29"},
		"the last events are gone": {func() ([]eventstore.Envelope, *storedTree) { return events[:38], tree }, "38: the ledger has leaves for 2 events more"},
		"events have no leaf":      {func() ([]eventstore.Envelope, *storedTree) { _, short := grown(35); return events, short }, "36: the ledger has no leaf"},
		"two events have swapped": {func() ([]eventstore.Envelope, *storedTree) {
			e, same := grown(40)
			e[3], e[4] = e[4], e[3]
			return e, same
		}, "the event is not the one"},
	} {
		changed, other := tt.change()
		if found := rechecked(t, changed, other, signed); len(found) == 0 || !strings.Contains(strings.Join(found, "\n"), tt.want) {
			t.Errorf("%s: %q, want %q", name, found, tt.want)
		}
	}
}

// Over a log whose positions have gaps the leaves are hashed with places, and findings tell positions.
func TestARecheckOfALogWithGaps(t *testing.T) {
	events, tree := grown(40)
	for i := range events {
		events[i].Position *= 1000
	}
	var found []eventstore.Position
	check := func() error {
		r := &ledger.Recheck{Tree: tree, Sparse: true, Found: func(at eventstore.Position, _ string) { found = append(found, at) }}
		err := r.Begin(t.Context(), 40)
		for i := range events {
			err = errors.Join(err, r.Add(t.Context(), &events[i]))
		}
		if problem := r.Confirm(checkpointOf(t, tree, 40)); problem != "" {
			t.Error(problem)
		}
		return err
	}
	if err := check(); err != nil || len(found) != 0 {
		t.Fatalf("of a sound tree: %v, %v", found, err)
	}
	events[16].Data = []byte(`{"changed":1}`)
	if err := check(); err != nil || len(found) != 1 || found[0] != 17_000 {
		t.Errorf("a change at 17000 is found at %v, %v", found, err)
	}
}
