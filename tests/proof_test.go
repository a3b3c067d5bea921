package tests

import (
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	proofs "github.com/rollcall-mdm/rollcall/eventstore/ledger"
)

// witnessed has the host send its checkpoints to a witness outside of its data directory, and returns the witness' file.
func (h *host) witnessed() string {
	file := filepath.Join(filepath.Dir(h.data), "witness")
	h.more = append(h.more, "--witness", "file:"+file)
	return file
}

// wantProven wants every leaf of the log to be that of its event, and every checkpoint that the witness was sent to hold
// still: the log of today continues each of them. There must be some of them.
func (v *vault) wantProven(witness string, some int) {
	v.t.Helper()
	key, err := proofs.OpenKey(v.data, "")
	if err != nil {
		v.t.Fatal(err)
	}
	public, err := proofs.ParsePublic(key.Public())
	if err != nil {
		v.t.Fatal(err)
	}
	l := &proofs.Ledger{Tree: v.log, Key: key, File: v.path(proofs.CheckpointFile)}
	if err := l.Resume(v.t.Context()); err != nil {
		v.t.Error(err)
	}
	size, root := v.wantLeaves(l)
	text, err := os.ReadFile(witness)
	if err != nil {
		v.t.Fatal(err)
	}
	lines := strings.SplitAfter(string(text), "\n")
	checkpoints := 0
	for ; len(lines) >= 6; lines = lines[6:] { // origin, size, root, nothing, signature, nothing
		c, err := proofs.OpenCheckpoint([]byte(strings.Join(lines[:5], "")), public)
		if err != nil {
			v.t.Fatal(err)
		}
		checkpoints++
		if c.Size == 0 {
			continue
		}
		proof, err := l.Consistency(v.t.Context(), c.Size, size)
		if err != nil {
			v.t.Fatal(err)
		}
		if err := tlog.CheckTree(proof, size, root, c.Size, c.Root); err != nil {
			v.t.Errorf("the witness was told of %d events with another root: %v", c.Size, err)
		}
	}
	if checkpoints < some {
		v.t.Errorf("the witness was sent %d checkpoints, want %d at least", checkpoints, some)
	}
}

// wantLeaves wants the leaf of each event to be that of what is read, and returns the tree over them.
func (v *vault) wantLeaves(l *proofs.Ledger) (int64, tlog.Hash) {
	v.t.Helper()
	var edge proofs.Edge
	for env, err := range v.log.ReadAll(v.t.Context(), 0) {
		if err != nil {
			v.t.Fatal(err)
		}
		leaf := proofs.Leaf(env)
		stored, err := l.Tree.ReadHashes(v.t.Context(), []int64{tlog.StoredHashIndex(0, edge.Size())})
		if err != nil || stored[0] != leaf {
			v.t.Fatalf("the leaf at position %d is not that of its event (%v)", env.Position, err)
		}
		edge.Append(nil, leaf)
	}
	root, err := l.Root(v.t.Context(), edge.Size())
	if err != nil || root != edge.Root() {
		v.t.Errorf("the root over %d events is %s, want %s (%v)", edge.Size(), root, edge.Root(), err)
	}
	return edge.Size(), root
}
