package embedded

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"sync"

	"golang.org/x/mod/sumdb/tlog"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/ledger"
)

// An IndexReader reads an index, by a connection of its own. Another process may write it.
type IndexReader struct {
	mu           sync.Mutex // guards all below
	conn         *sqlite.Conn
	size         int64
	count, where *sqlite.Stmt
	hashes       blockReader
}

// OpenIndexReadOnly opens the index in the file at path for reading. It has the leaves that were there then.
func OpenIndexReadOnly(ctx context.Context, path string) (*IndexReader, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("read the ledger's index: %w", err)
	}
	r := new(IndexReader)
	if err := r.open(path); err != nil {
		return nil, errors.Join(fmt.Errorf("read the ledger's index %s: %w", path, err), r.Close())
	}
	return r, nil
}

func (r *IndexReader) open(path string) (err error) {
	if r.conn, err = sqlite.OpenConn(path, sqlite.OpenReadOnly); err != nil {
		return err
	}
	r.conn.SetBusyTimeout(busy)
	version, err := sqlitex.ResultInt(r.conn.Prep("PRAGMA user_version"))
	if err == nil && version != indexVersion {
		err = fmt.Errorf("it has version %d, want %d", version, indexVersion)
	}
	if err == nil {
		err = prepare(r.conn, map[**sqlite.Stmt]string{
			&r.count:         "SELECT place, position FROM leaves WHERE position <= ? ORDER BY position DESC LIMIT 1",
			&r.where:         "SELECT position FROM leaves WHERE place = ?",
			&r.hashes.blocks: readBlock,
			&r.hashes.leaves: readLeaf,
		})
	}
	if err == nil {
		r.size, err = sqlitex.ResultInt64(r.conn.Prep("SELECT coalesce(max(place), 0) FROM leaves"))
	}
	return err
}

func (r *IndexReader) grown(size int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.size = size
}

// Close closes the file. A second Close does nothing.
func (r *IndexReader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.conn == nil {
		return nil
	}
	conn := r.conn
	r.conn = nil
	return conn.Close()
}

// Count returns how many of the log's events stand up to a position; see eventstore.Counter.
func (r *IndexReader) Count(ctx context.Context, at eventstore.Position) (int64, error) {
	n, _, err := r.counted(ctx, at)
	return n, err
}

// Place returns the place of the event at a position. ledger.ErrBeyond: the index knows none there.
func (r *IndexReader) Place(ctx context.Context, at eventstore.Position) (eventstore.Position, error) {
	n, last, err := r.counted(ctx, at)
	if err == nil && (last != at || n == 0) {
		err = fmt.Errorf("%w: no event stands at position %d", ledger.ErrBeyond, at)
	}
	return eventstore.Position(n), err
}

// Numbered returns the log's events as the tree knows them: with their places for positions.
func (r *IndexReader) Numbered(log Source) ledger.Events { return numbered{r, log} }

// Leaves returns how many leaves the tree has.
func (r *IndexReader) Leaves(ctx context.Context) (n int64, err error) {
	err = r.use(ctx, func() error { n = r.size; return nil })
	return n, err
}

// ReadHashes returns hashes of the tree, by their indexes in the layout of tlog.StoredHashes. With Leaves it makes
// the index a ledger.Tree.
func (r *IndexReader) ReadHashes(ctx context.Context, indexes []int64) (hashes []tlog.Hash, err error) {
	err = r.use(ctx, func() (err error) {
		r.hashes.forget() // it may have grown
		hashes, err = r.hashes.ReadHashes(indexes)
		return err
	})
	return hashes, err
}

func (r *IndexReader) use(ctx context.Context, do func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.conn == nil {
		return eventstore.ErrClosed
	}
	return do()
}

// counted returns how many leaves stand up to a position, and the position of the last of them.
func (r *IndexReader) counted(ctx context.Context, at eventstore.Position) (n int64, last eventstore.Position, err error) {
	err = r.ask(ctx, r.count, int64(at), func(s *sqlite.Stmt) {
		n, last = s.ColumnInt64(0), eventstore.Position(s.ColumnInt64(1))
	})
	return n, last, err
}

// position returns where in the log the event at a place stands; 0 for place 0.
func (r *IndexReader) position(ctx context.Context, place int64) (at eventstore.Position, err error) {
	if place == 0 {
		return 0, nil
	}
	err = r.ask(ctx, r.where, place, func(s *sqlite.Stmt) { at = eventstore.Position(s.ColumnInt64(0)) })
	if err == nil && at == 0 {
		err = fmt.Errorf("%w: place %d", ledger.ErrBeyond, place)
	}
	return at, err
}

func (r *IndexReader) ask(ctx context.Context, stmt *sqlite.Stmt, argument int64, found func(*sqlite.Stmt)) error {
	return r.use(ctx, func() error {
		stmt.BindInt64(1, argument)
		return one(stmt, func() { found(stmt) })
	})
}

// numbered are the events of a log with their places for positions.
type numbered struct {
	index *IndexReader
	log   Source
}

// ReadAll yields the events after a place, up to the tree's size at the time of the call. An event that the tree does
// not know where it stands is an error: it was put in later.
func (n numbered) ReadAll(ctx context.Context, after eventstore.Position) iter.Seq2[eventstore.Envelope, error] {
	return func(yield func(eventstore.Envelope, error) bool) {
		size, err := n.index.Leaves(ctx)
		if err != nil || int64(after) >= size {
			if err != nil {
				yield(eventstore.Envelope{}, err)
			}
			return
		}
		from, err := n.index.position(ctx, int64(after))
		if err != nil {
			yield(eventstore.Envelope{}, err)
			return
		}
		for env, err := range n.log.ReadAll(ctx, from) {
			if err == nil {
				env, err = n.place(ctx, env)
			}
			if err == nil && int64(env.Position) > size {
				return
			}
			if !yield(env, err) || err != nil || int64(env.Position) == size {
				return
			}
		}
	}
}

// place gives an event its place. What came after the last leaf has the place after it.
func (n numbered) place(ctx context.Context, env eventstore.Envelope) (eventstore.Envelope, error) {
	place, at, err := n.index.counted(ctx, env.Position)
	if err != nil {
		return env, err
	}
	if at == env.Position {
		env.Position = eventstore.Position(place)
		return env, nil
	}
	if size, err := n.index.Leaves(ctx); err != nil || place < size {
		return env, errors.Join(err, fmt.Errorf("the log has an event at position %d that was not there when the ledger came by", env.Position))
	}
	env.Position = eventstore.Position(place + 1)
	return env, nil
}
