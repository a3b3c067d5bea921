package embedded

import (
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
	"zombiezen.com/go/sqlite"

	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/ledger"
)

// blockHashes is how many hashes stand in a row. A row is written once, when it is full: until then its hashes follow
// from the leaves, which stand in the rows of their events. So a commit of few events writes no row for the tree.
const blockHashes = 32

const (
	readLeaf   = "SELECT leaf FROM events WHERE position = ?"
	readBlock  = "SELECT hashes FROM hashes WHERE block = ?"
	lastBlock  = "SELECT coalesce(max(block), -1) FROM hashes"
	writeBlock = "INSERT INTO hashes VALUES (?, ?)"
)

// A tree is the Merkle tree over the events, as the committer knows it: its right edge, and the hashes that are not
// in a block yet. Leaves and blocks are committed with their events, or not at all.
type tree struct {
	read        blockReader
	last, write *sqlite.Stmt
	edge        ledger.Edge
	leaves      ledger.Leaves
	block       int64       // of the first of tail
	tail        []tlog.Hash // that follow the last block in the file
	buf         []byte
}

func (t *tree) prepare(conn *sqlite.Conn) error {
	return prepare(conn, map[**sqlite.Stmt]string{
		&t.read.blocks: readBlock, &t.read.leaves: readLeaf, &t.last: lastBlock, &t.write: writeBlock,
	})
}

// recover reads the edge of the tree over what is durable: size events.
func (t *tree) recover(size int64) (err error) {
	t.read.forget()
	count := tlog.StoredHashCount(size)
	t.block = count / blockHashes
	var last int64
	if err := one(t.last, func() { last = t.last.ColumnInt64(0) }); err != nil {
		return fmt.Errorf("read the last of the log's hashes: %w", err)
	}
	if last != t.block-1 {
		return fmt.Errorf("the log has hashes of other events than its %d", size)
	}
	if t.edge, err = ledger.ReadEdge(size, &t.read); err == nil {
		t.tail, err = t.read.ReadHashes(indexes(t.block*blockHashes, count))
	}
	if err != nil {
		return fmt.Errorf("the log's hashes do not fit its %d events: %w", size, err)
	}
	return nil
}

// indexes returns those from one to before another.
func indexes(from, to int64) (all []int64) {
	for i := from; i < to; i++ {
		all = append(all, i)
	}
	return all
}

// add adds an event, which is complete, and returns its leaf.
func (t *tree) add(e *eventstore.Envelope) tlog.Hash {
	leaf := t.leaves.Hash(e)
	t.tail = t.edge.Append(t.tail, leaf)
	return leaf
}

// flush writes the blocks that are full.
func (t *tree) flush() error {
	for len(t.tail) >= blockHashes {
		t.buf = t.buf[:0]
		for i := range t.tail[:blockHashes] {
			t.buf = append(t.buf, t.tail[i][:]...)
		}
		t.write.BindInt64(1, t.block)
		t.write.BindBytes(2, t.buf)
		if err := run(t.write); err != nil {
			return err
		}
		t.block++
		t.tail = t.tail[:copy(t.tail, t.tail[blockHashes:])]
	}
	return nil
}

// A blockReader reads hashes: from blocks, or made of the leaves after the last block. It remembers the block that it
// read last.
type blockReader struct {
	blocks, leaves *sqlite.Stmt
	known          bool
	block          int64
	row            []byte
}

// ReadHashes implements tlog.HashReader.
func (b *blockReader) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		var err error
		if hashes[i], err = b.hash(index); err != nil {
			return nil, err
		}
	}
	return hashes, nil
}

func (b *blockReader) hash(index int64) (h tlog.Hash, err error) {
	row, err := b.get(index / blockHashes)
	switch at := int(index % blockHashes * tlog.HashSize); {
	case err != nil:
		return h, err
	case len(row) == blockHashes*tlog.HashSize:
		copy(h[:], row[at:])
		return h, nil
	case len(row) != 0:
		return h, fmt.Errorf("block %d of the hashes is damaged", index/blockHashes)
	}
	level, n := tlog.SplitStoredHashIndex(index)
	if level == 0 {
		return b.leaf(n)
	}
	left, err := b.hash(tlog.StoredHashIndex(level-1, 2*n))
	if err != nil {
		return h, err
	}
	right, err := b.hash(tlog.StoredHashIndex(level-1, 2*n+1))
	return tlog.NodeHash(left, right), err
}

// leaf returns the leaf of the event at position n+1.
func (b *blockReader) leaf(n int64) (h tlog.Hash, err error) {
	var size int
	b.leaves.BindInt64(1, n+1)
	err = one(b.leaves, func() {
		if size = b.leaves.ColumnLen(0); size == len(h) {
			b.leaves.ColumnBytes(0, h[:])
		}
	})
	if err == nil && size != len(h) {
		err = fmt.Errorf("the hash of the event at position %d is missing", n+1)
	}
	return h, err
}

// get returns a block's hashes; none if there is no such block.
func (b *blockReader) get(block int64) ([]byte, error) {
	if b.known && b.block == block {
		return b.row, nil
	}
	b.known, b.row = false, b.row[:0]
	b.blocks.BindInt64(1, block)
	err := one(b.blocks, func() {
		b.row = append(b.row, make([]byte, b.blocks.ColumnLen(0))...)
		b.blocks.ColumnBytes(0, b.row)
	})
	b.known, b.block = err == nil, block
	return b.row, err
}

func (b *blockReader) forget() { b.known = false }
