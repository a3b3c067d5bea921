package ledger

import (
	"context"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// A Recheck goes over all events of a log and compares the tree that is stored, every hash of every level, with the one
// that follows from them. What differs is told once, at the event with which it should have been stored: a hash further
// up that differs only because of one below is no finding of its own.
type Recheck struct {
	Tree   Tree
	Found  func(at eventstore.Position, problem string)
	Sparse bool // the log's positions have gaps: leaves are hashed with the events' places, from 1 without gaps

	edge   Edge
	leaves Leaves
	count  int64                // of the stored tree's leaves
	stored []tlog.Hash          // read ahead
	from   int64                // index of the first of them
	next   int64                // index of the hash that comes next
	roots  map[int64]*tlog.Hash // that are asked for; nil as long as they are not known
}

// ahead is how many hashes are read at once.
const ahead = 4096

// Begin reads how large the stored tree is. The roots over the given numbers of events can be asked for at the end.
func (r *Recheck) Begin(ctx context.Context, sizes ...int64) (err error) {
	r.roots = map[int64]*tlog.Hash{}
	for _, size := range sizes {
		r.roots[size] = nil
	}
	r.note()
	r.count, err = r.Tree.Leaves(ctx)
	return err
}

func (r *Recheck) note() {
	if _, asked := r.roots[r.edge.size]; asked {
		root := r.edge.Root()
		r.roots[r.edge.size] = &root
	}
}

// Add compares what should have been stored with an event.
func (r *Recheck) Add(ctx context.Context, env *eventstore.Envelope) error {
	if r.edge.size >= r.count {
		if r.edge.size == r.count {
			r.Found(env.Position, "the ledger has no leaf for it, nor for any after it")
		}
		r.edge.size++ // the edge is of no use from here on
		return nil
	}
	placed := *env
	if r.Sparse {
		placed.Position = eventstore.Position(r.edge.size + 1)
	}
	h, err := r.compare(ctx, env.Position, 0, r.leaves.Hash(&placed))
	level := 0
	for ; err == nil && r.edge.size>>level&1 == 1; level++ {
		h, err = r.compare(ctx, env.Position, level+1, tlog.NodeHash(r.edge.roots[level], h))
	}
	if err != nil {
		return err
	}
	r.edge.roots[level] = h
	r.edge.size++
	r.note()
	return nil
}

// compare compares the next stored hash with the one that should be there, and returns the stored one.
func (r *Recheck) compare(ctx context.Context, at eventstore.Position, level int, want tlog.Hash) (tlog.Hash, error) {
	has, err := r.read(ctx)
	if err != nil || has == want {
		return has, err
	}
	if level == 0 {
		r.Found(at, "the event is not the one whose hash the ledger has")
	} else {
		last := r.edge.size + 1
		r.Found(at, fmt.Sprintf("the ledger's hash of events %d to %d (level %d of its tiles' tree) is not the one of those below it", last-(1<<level)+1, last, level))
	}
	return has, nil
}

// read returns the stored hash that comes next.
func (r *Recheck) read(ctx context.Context) (tlog.Hash, error) {
	if i := r.next - r.from; i >= int64(len(r.stored)) {
		end := min(r.next+ahead, tlog.StoredHashCount(r.count))
		indexes := make([]int64, 0, ahead)
		for index := r.next; index < end; index++ {
			indexes = append(indexes, index)
		}
		stored, err := r.Tree.ReadHashes(ctx, indexes)
		if err != nil {
			return tlog.Hash{}, fmt.Errorf("read the ledger's hashes from %d on: %w", r.next, err)
		}
		r.stored, r.from = stored, r.next
	}
	r.next++
	return r.stored[r.next-1-r.from], nil
}

// End tells what the ledger has that no event stands for.
func (r *Recheck) End(last eventstore.Position) {
	if r.edge.size < r.count {
		r.Found(last, fmt.Sprintf("the ledger has leaves for %d events more than the log has", r.count-r.edge.size))
	}
}

// Confirm compares a signed checkpoint with the tree that was gone over: the root, which Begin was told
// to note. It returns what is wrong, nothing if nothing is.
func (r *Recheck) Confirm(c Checkpoint) string {
	root := r.roots[c.Size]
	switch {
	case root == nil:
		return fmt.Sprintf("a checkpoint of %d events was signed, and the log has %d", c.Size, r.edge.size)
	case *root != c.Root:
		return fmt.Sprintf("the checkpoint of %d events has another root than these have now: the log was changed since it was signed", c.Size)
	}
	return ""
}
