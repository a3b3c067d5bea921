package ledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// TileHeight is the height of tiles: 256 hashes in each.
const TileHeight = 8

// ErrBeyond says that something was asked for that the tree does not have (yet).
var ErrBeyond = errors.New("the tree does not reach that far")

// A Tree keeps the hashes of a log, in the layout of tlog.StoredHashes. Leaf i is the event at Position i+1.
type Tree interface {
	// Leaves returns how many events the tree has: all that are durable.
	Leaves(ctx context.Context) (int64, error)
	// ReadHashes returns the stored hashes with the given indexes.
	ReadHashes(ctx context.Context, indexes []int64) ([]tlog.Hash, error)
}

// A Ledger answers for a log: with checkpoints, proofs and tiles. Tree and Key are needed.
type Ledger struct {
	Tree      Tree
	Key       *Key
	File      string        // where the newest checkpoint is kept; nowhere if empty
	Witnesses []Witness     // who is sent every checkpoint that Run makes
	Every     time.Duration // how often Run makes one, if something was appended; a second if zero
	Logger    *slog.Logger  // slog.Default() if nil

	mu     sync.Mutex
	signed []byte // the newest checkpoint that Run made or found
	size   int64  // of its tree
}

// Reader returns a reader of the tree's hashes.
func (l *Ledger) Reader(ctx context.Context) tlog.HashReader {
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) { return l.Tree.ReadHashes(ctx, indexes) })
}

// Root returns the root over the first size events.
func (l *Ledger) Root(ctx context.Context, size int64) (tlog.Hash, error) {
	if err := l.reaches(ctx, size); err != nil {
		return tlog.Hash{}, err
	}
	e, err := ReadEdge(size, l.Reader(ctx))
	return e.Root(), err
}

func (l *Ledger) reaches(ctx context.Context, size int64) error {
	n, err := l.Tree.Leaves(ctx)
	if err == nil && (size < 0 || size > n) {
		err = fmt.Errorf("%w: %d events of %d", ErrBeyond, size, n)
	}
	return err
}

// Checkpoint returns a signed checkpoint of all that is durable now.
func (l *Ledger) Checkpoint(ctx context.Context) ([]byte, error) {
	n, err := l.Tree.Leaves(ctx)
	if err != nil {
		return nil, err
	}
	return l.CheckpointAt(ctx, n)
}

// CheckpointAt returns a signed checkpoint of the first size events. It is the same whenever it is asked for.
func (l *Ledger) CheckpointAt(ctx context.Context, size int64) ([]byte, error) {
	root, err := l.Root(ctx, size)
	if err != nil {
		return nil, err
	}
	return l.Key.Sign(size, root)
}

// Latest returns the newest checkpoint that was given to the witnesses, or one of now if there is none.
func (l *Ledger) Latest(ctx context.Context) ([]byte, error) {
	l.mu.Lock()
	signed := l.signed
	l.mu.Unlock()
	if signed != nil {
		return signed, nil
	}
	return l.Checkpoint(ctx)
}

// Public returns the public key as text.
func (l *Ledger) Public() string { return l.Key.Public() }

// Prove returns the proof that the event at a position is among the first size events; all of now if size is 0.
func (l *Ledger) Prove(ctx context.Context, at eventstore.Position, size int64) (Proof, error) {
	if size == 0 {
		var err error
		if size, err = l.Tree.Leaves(ctx); err != nil {
			return Proof{}, err
		}
	}
	if at < 1 || int64(at) > size {
		return Proof{}, fmt.Errorf("%w: position %d of %d", ErrBeyond, at, size)
	}
	signed, err := l.CheckpointAt(ctx, size)
	if err != nil {
		return Proof{}, err
	}
	path, err := tlog.ProveRecord(size, int64(at)-1, l.Reader(ctx))
	if err != nil {
		return Proof{}, fmt.Errorf("prove position %d: %w", at, err)
	}
	return Proof{Index: int64(at) - 1, Path: path, Checkpoint: signed}, nil
}

// Consistency returns the proof that the tree of size new begins with the tree of size old: tlog.CheckTree checks it.
func (l *Ledger) Consistency(ctx context.Context, older, newer int64) (tlog.TreeProof, error) {
	if err := l.reaches(ctx, newer); err != nil {
		return nil, err
	}
	if older < 1 || older > newer {
		return nil, fmt.Errorf("%w: a tree of %d is no beginning of one of %d", ErrBeyond, older, newer)
	}
	return tlog.ProveTree(newer, older, l.Reader(ctx))
}

// Tile returns the hashes of a tile of TileHeight (c2sp.org/tlog-tiles). ErrBeyond: the tree does not have it.
func (l *Ledger) Tile(ctx context.Context, level int, n int64, width int) ([]byte, error) {
	if level < 0 || level > 7 || n < 0 || n > 1<<40 || width < 1 || width > 1<<TileHeight {
		return nil, ErrBeyond
	}
	leaves, err := l.Tree.Leaves(ctx)
	if err != nil {
		return nil, err
	}
	if n<<TileHeight+int64(width) > leaves>>(TileHeight*level) {
		return nil, ErrBeyond
	}
	return tlog.ReadTileData(tlog.Tile{H: TileHeight, L: level, N: n, W: width}, l.Reader(ctx))
}

// Resume finds the checkpoint that was kept last and makes sure that the log still holds what it says. An error
// means that the log was changed, or replaced by another one, since.
func (l *Ledger) Resume(ctx context.Context) error {
	signed, err := os.ReadFile(l.File)
	if l.File == "" || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the last checkpoint: %w", err)
	}
	if err := l.confirm(ctx, signed); err != nil {
		return fmt.Errorf("the log is not the one whose checkpoint stands in %s: %w", filepath.Base(l.File), err)
	}
	return nil
}

func (l *Ledger) confirm(ctx context.Context, signed []byte) error {
	public, err := ParsePublic(l.Key.Public())
	if err != nil {
		return err
	}
	c, err := OpenCheckpoint(signed, public)
	if err != nil {
		return err
	}
	root, err := l.Root(ctx, c.Size)
	switch {
	case errors.Is(err, ErrBeyond):
		return fmt.Errorf("%d events were signed, and the log has fewer: %w", c.Size, err)
	case err != nil:
		return err
	case root != c.Root:
		return fmt.Errorf("the first %d events have another root than was signed", c.Size)
	}
	l.signed, l.size = signed, c.Size
	return nil
}

func (l *Ledger) logger() *slog.Logger {
	if l.Logger == nil {
		return slog.Default()
	}
	return l.Logger
}
