package embedded

import (
	"context"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/ledger"
)

// confirmed is how many of the last leaves Confirm compares with the log.
const confirmed = 256

// Confirm makes sure that the log still ends as the index knows it, or goes on from there. An error means that the log
// has lost or changed events since, or that it is another one. It looks at the last events only: a fold of the whole
// log into another index compares all.
func (r *IndexReader) Confirm(ctx context.Context, log Source) error {
	size, err := r.Leaves(ctx)
	if err != nil || size == 0 {
		return err
	}
	first := max(0, size-confirmed)
	want, err := r.leaves(ctx, first, size)
	if err != nil {
		return err
	}
	from, err := r.position(ctx, first)
	if err != nil {
		return err
	}
	var leaves ledger.Leaves
	place := first
	for env, err := range log.ReadAll(ctx, from) {
		if err != nil {
			return fmt.Errorf("compare the log with the ledger: %w", err)
		}
		position := env.Position
		env.Position = eventstore.Position(place + 1)
		if known, err := r.position(ctx, place+1); err != nil || known != position || leaves.Hash(&env) != want[place-first] {
			return fmt.Errorf("the log is not the one that the ledger knows: event %d at position %d was another, at position %d", place+1, position, known)
		}
		if place++; place == size {
			return nil
		}
	}
	return fmt.Errorf("the log has lost events: it ends with event %d, and the ledger knows %d", place, size)
}

// leaves returns the leaf hashes from one up to another, without it.
func (r *IndexReader) leaves(ctx context.Context, from, to int64) ([]tlog.Hash, error) {
	var indexes []int64
	for leaf := from; leaf < to; leaf++ {
		indexes = append(indexes, tlog.StoredHashIndex(0, leaf))
	}
	return r.ReadHashes(ctx, indexes)
}
