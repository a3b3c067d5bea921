package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/mod/sumdb/tlog"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/ledger"
)

// CheckArchive reads the whole archive and makes sure that its events are those whose root it names. Whose signature its
// checkpoint bears is for the caller to find out. It needs no log.
func CheckArchive(ctx context.Context, path string) (Archive, error) {
	a, err := checkArchive(ctx, path)
	if err != nil {
		err = fmt.Errorf("check the archive %s: %w", path, err)
	}
	return a, err
}

func checkArchive(ctx context.Context, path string) (Archive, error) {
	a, r, err := openArchive(path, nil)
	if err != nil {
		return a, err
	}
	return a, errors.Join(a.check(ctx, r), r.conn.Close())
}

// openArchive opens an archive for reading.
func openArchive(path string, known *names) (Archive, *reader, error) {
	a := Archive{File: path}
	if _, err := os.Stat(path); err != nil {
		return a, nil, err
	}
	if known == nil {
		known = new(names)
		known.init(1 << 12)
	}
	r, err := openReader(path, known)
	if err != nil {
		return a, nil, err
	}
	if err := a.read(r.conn); err != nil {
		return a, nil, errors.Join(fmt.Errorf("it is no archive of a log: %w", err), r.conn.Close())
	}
	return a, r, nil
}

func (a *Archive) read(conn *sqlite.Conn) error {
	found := false
	err := sqlitex.ExecuteTransient(conn, "SELECT first, last, root, edge, checkpoint FROM archive", &sqlitex.ExecOptions{
		ResultFunc: func(s *sqlite.Stmt) error {
			found = true
			a.First, a.Last = eventstore.Position(s.ColumnInt64(0)), eventstore.Position(s.ColumnInt64(1))
			if s.ColumnLen(2) != len(a.Root) {
				return errors.New("its root is damaged")
			}
			s.ColumnBytes(2, a.Root[:])
			a.edge, a.Checkpoint = make([]byte, s.ColumnLen(3)), make([]byte, s.ColumnLen(4))
			s.ColumnBytes(3, a.edge)
			s.ColumnBytes(4, a.Checkpoint)
			return nil
		},
	})
	if err == nil && !found {
		err = errors.New("it was not finished")
	}
	return err
}

// check adds all events to the tree before them, and compares its root.
func (a *Archive) check(ctx context.Context, r *reader) error {
	edge, err := a.before()
	if err != nil {
		return err
	}
	var leaves ledger.Leaves
	var stored []tlog.Hash
	next := a.First
	for end := false; !end; {
		p, err := r.after(next-1, a.Last)
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		for i := range p.events {
			if p.events[i].Position != next {
				return fmt.Errorf("position %d is missing", next)
			}
			stored = edge.Append(stored[:0], leaves.Hash(&p.events[i]))
			next++
		}
		end = p.end
	}
	if next != a.Last+1 {
		return fmt.Errorf("position %d is missing", next)
	}
	if edge.Root() != a.Root {
		return fmt.Errorf("the events from position %d to %d are not those that were archived: their root is another", a.First, a.Last)
	}
	return nil
}

// before returns the edge of the tree before the first event.
func (a *Archive) before() (ledger.Edge, error) {
	return ledger.ReadEdge(int64(a.First)-1, tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		if len(a.edge) != len(indexes)*tlog.HashSize {
			return nil, errors.New("the hashes of what is before it are damaged")
		}
		hashes := make([]tlog.Hash, len(indexes))
		for i := range hashes {
			copy(hashes[i][:], a.edge[i*tlog.HashSize:])
		}
		return hashes, nil
	}))
}
