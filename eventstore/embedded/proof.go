package embedded

import (
	"context"

	"golang.org/x/mod/sumdb/tlog"
)

// Leaves returns how many events the log's Merkle tree has: all that are durable. With ReadHashes it makes the log
// a ledger.Tree.
func (l *Log) Leaves(ctx context.Context) (int64, error) {
	head, err := l.Head(ctx)
	return int64(head), err
}

// ReadHashes returns hashes of the tree, by their indexes in the layout of tlog.StoredHashes.
func (l *Log) ReadHashes(ctx context.Context, indexes []int64) ([]tlog.Hash, error) {
	return l.readers.treeHashes(ctx, indexes)
}

func (rs *readers) treeHashes(ctx context.Context, indexes []int64) ([]tlog.Hash, error) {
	r, err := rs.borrow(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { rs.idle <- r }()
	blocks, err := r.conn.Prepare(readBlock) // from the connection's cache, but for the first time
	if err != nil {
		return nil, err
	}
	leaves, err := r.conn.Prepare(readLeaf)
	if err != nil {
		return nil, err
	}
	return (&blockReader{blocks: blocks, leaves: leaves}).ReadHashes(indexes)
}
