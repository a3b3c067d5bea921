package embedded

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// An Index is the Merkle tree over the events of a log that is kept elsewhere and whose positions have gaps. It is a
// view in a file of its own: it may be thrown away, and the same log gives the same roots again.
//
// The event that comes n-th in the log has place n, from 1, and is leaf n-1. A leaf is hashed with the place where
// the log has the position, so that the same events have the same roots wherever they are kept. One goroutine at a time
// adds events; any may read.
type Index struct {
	IndexReader
	lock   *fileLock
	writer indexWriter
}

// An indexWriter adds events, in transactions.
type indexWriter struct {
	conn                    *sqlite.Conn
	begin, commit, rollback *sqlite.Stmt
	insert                  *sqlite.Stmt
	tree                    tree
	last                    eventstore.Position // of the last leaf
	unsure                  bool                // a commit failed: what is in the file must be read again
}

const indexVersion = 1 // of the tables, kept as user_version

// indexTables are those of a log of which there is only what its tree asks for.
const indexTables = `CREATE TABLE hashes (block INTEGER PRIMARY KEY, hashes BLOB NOT NULL) STRICT;
CREATE TABLE leaves (place INTEGER PRIMARY KEY, position INTEGER NOT NULL UNIQUE, leaf BLOB NOT NULL) STRICT;
CREATE VIEW events AS SELECT place AS position, leaf FROM leaves;
PRAGMA user_version = 1;`

// indexSettings wait for the disk only now and then: what a power cut takes is read from the log again.
var indexSettings = []string{"synchronous = NORMAL", "cache_size = -4000", "temp_store = MEMORY"}

// OpenIndex opens the index in the file at path, which it makes if there is none. A second process that opens it gets
// an error.
func OpenIndex(ctx context.Context, path string) (*Index, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	lock, err := lockFile(path + ".lock")
	if err != nil {
		return nil, fmt.Errorf("open the ledger's index: %w", err)
	}
	x := &Index{lock: lock}
	if err := x.open(path); err != nil {
		return nil, errors.Join(fmt.Errorf("open the ledger's index %s: %w", path, err), x.Close())
	}
	return x, nil
}

func (x *Index) open(path string) (err error) {
	if err := makeFile(path); err != nil {
		return err
	}
	w := &x.writer
	if w.conn, err = sqlite.OpenConn(path, sqlite.OpenReadWrite, sqlite.OpenWAL); err != nil {
		return err
	}
	w.conn.SetBusyTimeout(busy)
	if err := errors.Join(setUp(w.conn, indexSettings), makeIndex(w.conn), w.prepare(), w.recover()); err != nil {
		return err
	}
	return x.IndexReader.open(path)
}

func makeIndex(conn *sqlite.Conn) error {
	version, err := sqlitex.ResultInt(conn.Prep("PRAGMA user_version"))
	switch {
	case err != nil:
		return err
	case version > indexVersion:
		return fmt.Errorf("a newer program wrote it (version %d): delete it, and it is made again from the log", version)
	case version == 0:
		return sqlitex.ExecuteScript(conn, indexTables, nil)
	}
	return nil
}

func (w *indexWriter) prepare() error {
	return errors.Join(w.tree.prepare(w.conn), prepare(w.conn, map[**sqlite.Stmt]string{
		&w.begin:    "BEGIN IMMEDIATE",
		&w.commit:   "COMMIT",
		&w.rollback: "ROLLBACK",
		&w.insert:   "INSERT INTO leaves VALUES (?, ?, ?)",
	}))
}

// recover reads what is in the file and forgets what was only meant to be.
func (w *indexWriter) recover() error {
	w.unsure = true
	var size int64
	w.last = 0
	const query = "SELECT place, position FROM leaves ORDER BY place DESC LIMIT 1"
	err := sqlitex.ExecuteTransient(w.conn, query, &sqlitex.ExecOptions{ResultFunc: func(s *sqlite.Stmt) error {
		size, w.last = s.ColumnInt64(0), eventstore.Position(s.ColumnInt64(1))
		return nil
	}})
	if err == nil {
		err = w.tree.recover(size)
	}
	w.unsure = err != nil
	return err
}

// add adds those of the events that are new, wholly or not at all, and returns how many leaves there are now.
func (w *indexWriter) add(events []eventstore.Envelope) (int64, error) {
	if w.unsure {
		if err := w.recover(); err != nil {
			return 0, err
		}
	}
	err := run(w.begin)
	if err == nil {
		if err = errors.Join(w.insertAll(events), w.tree.flush()); err == nil {
			err = run(w.commit)
		}
		if err != nil {
			w.unsure = true
			_ = run(w.rollback) // what failed is told; whether it is undone is looked at before the next transaction
		}
	}
	if err != nil {
		return 0, fmt.Errorf("write the ledger's index: %w", err)
	}
	return w.tree.edge.Size(), nil
}

func (w *indexWriter) insertAll(events []eventstore.Envelope) error {
	for _, e := range events {
		if e.Position <= w.last {
			continue
		}
		place := w.tree.edge.Size() + 1
		w.last, e.Position = e.Position, eventstore.Position(place)
		leaf := w.tree.add(&e)
		w.insert.BindInt64(1, place)
		w.insert.BindInt64(2, int64(w.last))
		w.insert.BindBytes(3, leaf[:])
		if err := run(w.insert); err != nil {
			return err
		}
	}
	return nil
}

// A Source is a log whose events are indexed.
type Source interface {
	ReadAll(ctx context.Context, after eventstore.Position) iter.Seq2[eventstore.Envelope, error]
	Follow(ctx context.Context, after eventstore.Position) iter.Seq2[[]eventstore.Envelope, error]
}

// CatchUp adds what the log holds now. tell, if not nil, is told how many leaves there are after each batch.
func (x *Index) CatchUp(ctx context.Context, log Source, tell func(leaves int64)) error {
	batch := make([]eventstore.Envelope, 0, batchEvents)
	add := func() error {
		size, err := x.writer.add(batch)
		if err != nil {
			return err
		}
		x.grown(size)
		if batch = batch[:0]; tell != nil {
			tell(size)
		}
		return ctx.Err()
	}
	for env, err := range log.ReadAll(ctx, x.writer.last) {
		if err != nil {
			return fmt.Errorf("read the log for the ledger's index: %w", err)
		}
		if batch = append(batch, env); len(batch) == batchEvents {
			if err := add(); err != nil {
				return err
			}
		}
	}
	return add()
}

// Run adds what the log holds and what is appended to it, until ctx ends. After an error it may be called again.
func (x *Index) Run(ctx context.Context, log Source) error {
	if x.writer.unsure {
		if err := x.writer.recover(); err != nil {
			return fmt.Errorf("read the ledger's index: %w", err)
		}
	}
	for batch, err := range log.Follow(ctx, x.writer.last) {
		if err != nil {
			return err
		}
		size, err := x.writer.add(batch)
		if err != nil {
			return err
		}
		x.grown(size)
	}
	return nil
}

// Close closes the file. Nobody may use the index meanwhile or later.
func (x *Index) Close() error {
	var errs []error
	errs = append(errs, x.IndexReader.Close())
	if x.writer.conn != nil {
		errs = append(errs, x.writer.conn.Close())
	}
	return errors.Join(append(errs, x.lock.Close())...)
}
