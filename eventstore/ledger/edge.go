package ledger

import (
	"crypto/sha256"
	"fmt"
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"
)

// An Edge is the right edge of a growing tree: all that is needed to add a leaf, and to tell the root. The zero
// value is the edge of the empty tree.
type Edge struct {
	size  int64
	roots [64]tlog.Hash // of the full subtree of 2^i leaves, where bit i of size is set
}

// ReadEdge reads the edge of a tree of the given size.
func ReadEdge(size int64, r tlog.HashReader) (Edge, error) {
	e := Edge{size: size}
	var indexes []int64
	for level := range 63 {
		if size>>level&1 == 1 {
			indexes = append(indexes, tlog.StoredHashIndex(level, size>>level-1))
		}
	}
	hashes, err := r.ReadHashes(indexes)
	if err != nil {
		return Edge{}, fmt.Errorf("read the edge of the tree of %d events: %w", size, err)
	}
	for level := range 63 {
		if size>>level&1 == 1 {
			e.roots[level], hashes = hashes[0], hashes[1:]
		}
	}
	return e, nil
}

// Size returns how many leaves the tree has.
func (e *Edge) Size() int64 { return e.size }

// Append adds a leaf. It appends to stored the hashes that are to be kept from now on, in the order of
// tlog.StoredHashes.
func (e *Edge) Append(stored []tlog.Hash, leaf tlog.Hash) []tlog.Hash {
	h, level := leaf, 0
	stored = append(stored, h)
	for ; e.size>>level&1 == 1; level++ {
		h = tlog.NodeHash(e.roots[level], h)
		stored = append(stored, h)
	}
	e.roots[level] = h
	e.size++
	return stored
}

// Root returns the tree's root.
func (e *Edge) Root() tlog.Hash {
	if e.size == 0 {
		return sha256.Sum256(nil)
	}
	level := bits.TrailingZeros64(uint64(e.size))
	h := e.roots[level]
	for level++; e.size>>level > 0; level++ {
		if e.size>>level&1 == 1 {
			h = tlog.NodeHash(e.roots[level], h)
		}
	}
	return h
}
