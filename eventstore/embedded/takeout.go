package embedded

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/ledger"
)

const archivesTable = `CREATE TABLE IF NOT EXISTS archives (
	first INTEGER PRIMARY KEY,
	last  INTEGER NOT NULL,
	root  BLOB NOT NULL,
	file  TEXT NOT NULL -- a name beside the log, or the whole path
) STRICT`

// takeOut deletes what an archive holds of a kind of streams. The newest event of each stream stays, so that the log
// still knows how far it has come.
const takeOut = `DELETE FROM events WHERE position <= ? AND stream IN (SELECT id FROM streams WHERE kind = ?)
	AND version < (SELECT max(version) FROM events AS newest WHERE newest.stream = events.stream)`

// TakeOut takes events that stand in an archive out of the log at path, which no server may have open. They are read
// there from now on, as if nothing had changed. Only streams of the kinds are taken out, each but for its newest event.
// The archive is read and compared with the log's hashes once more before anything is deleted; the log and its archives
// hold every event at any moment, wherever the process is killed. The file shrinks at the end: call Shrink again if it
// did not come to that.
func TakeOut(ctx context.Context, path, archive string, kinds ...string) (err error) {
	lock, err := lockFile(path + ".lock")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	conn, err := openFile(path)
	if err != nil {
		return err
	}
	err = register(ctx, conn, path, archive, kinds)
	if err == nil {
		err = shrink(conn)
	}
	if err != nil {
		err = fmt.Errorf("take out what stands in %s: %w", archive, err)
	}
	return errors.Join(err, conn.Close())
}

// register makes the archive a part of the log, and deletes what it holds, in one transaction.
func register(ctx context.Context, conn *sqlite.Conn, path, archive string, kinds []string) (err error) {
	a, err := CheckArchive(ctx, archive)
	if err != nil {
		return err
	}
	known, err := findArchives(conn, path, nil)
	if err != nil {
		return err
	}
	for _, one := range known.shelves() {
		if one.First == a.First && one.Last == a.Last && one.Root == a.Root {
			return nil // it is a part already
		}
	}
	if a.First != known.end()+1 {
		return fmt.Errorf("it begins at position %d, and the log's archives end at %d", a.First, known.end())
	}
	if err := a.fits(conn); err != nil {
		return err
	}
	defer sqlitex.Save(conn)(&err)
	if err := sqlitex.ExecuteScript(conn, fmt.Sprintf("%s;\nPRAGMA user_version = %d;", archivesTable, archivedVersion), nil); err != nil {
		return err
	}
	where, err := recordAs(path, archive)
	if err != nil {
		return err
	}
	if err := sqlitex.Execute(conn, "INSERT INTO archives VALUES (?, ?, ?, ?)", &sqlitex.ExecOptions{
		Args: []any{int64(a.First), int64(a.Last), a.Root[:], where},
	}); err != nil {
		return err
	}
	for _, kind := range kinds {
		if err := sqlitex.Execute(conn, takeOut, &sqlitex.ExecOptions{Args: []any{int64(a.Last), kind}}); err != nil {
			return err
		}
	}
	return nil
}

// fits compares the archive's root with that of the log's own hashes.
func (a *Archive) fits(conn *sqlite.Conn) error {
	head, err := sqlitex.ResultInt64(conn.Prep("SELECT coalesce(max(position), 0) FROM events"))
	if err != nil {
		return err
	}
	if int64(a.Last) > head-keptLive {
		return fmt.Errorf("it goes to position %d, and the log has %d events, of which the newest %d stay", a.Last, head, keptLive)
	}
	var t tree
	if err := t.prepare(conn); err != nil {
		return err
	}
	edge, err := ledger.ReadEdge(int64(a.Last), &t.read)
	if err == nil && edge.Root() != a.Root {
		err = errors.New("it is not of this log: the roots differ")
	}
	return err
}

// recordAs returns how the log remembers where the archive is.
func recordAs(log, archive string) (string, error) {
	whole, err := filepath.Abs(archive)
	if err != nil {
		return "", err
	}
	home, err := filepath.Abs(filepath.Dir(log))
	if err == nil && filepath.Dir(whole) == home {
		return filepath.Base(whole), nil
	}
	return whole, err
}

// shrink gives back to the disk what the file no longer needs.
func shrink(conn *sqlite.Conn) error {
	free, err := sqlitex.ResultInt64(conn.Prep("PRAGMA freelist_count"))
	if err != nil || free == 0 {
		return err
	}
	for _, q := range []string{"VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"} {
		if err := sqlitex.ExecuteTransient(conn, q, nil); err != nil {
			return fmt.Errorf("%s: %w", strings.ToLower(q), err)
		}
	}
	return nil
}

// Archives lists the archives of the log at path, in order: what the log knows of them, whether or not they are there.
func Archives(ctx context.Context, path string) (list []Archive, err error) {
	r, err := OpenReadOnly(ctx, path)
	if err != nil {
		return nil, err
	}
	for _, s := range r.readers.archives.shelves() {
		list = append(list, s.Archive)
	}
	return list, r.Close()
}

// shelves lists the archives.
func (as *archives) shelves() []*shelf {
	if as == nil {
		return nil
	}
	return as.list
}

// Before returns the last position before which every event is older than a time, in microseconds since 1970.
func (r *ReadOnly) Before(ctx context.Context, micros int64) (at eventstore.Position, err error) {
	one, err := r.readers.borrow(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { r.readers.idle <- one }()
	err = sqlitex.Execute(one.conn, "SELECT coalesce(min(position) - 1, ?) FROM events WHERE time >= ? AND position > ?", &sqlitex.ExecOptions{
		Args:       []any{int64(r.head), micros, int64(r.readers.archives.end())},
		ResultFunc: func(s *sqlite.Stmt) error { at = eventstore.Position(s.ColumnInt64(0)); return nil },
	})
	return min(at, r.head-keptLive), err
}

// StreamsOf lists the ids of all streams of a kind.
func (r *ReadOnly) StreamsOf(ctx context.Context, kind string) (ids []string, err error) {
	one, err := r.readers.borrow(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { r.readers.idle <- one }()
	err = sqlitex.Execute(one.conn, "SELECT name FROM streams WHERE kind = ? ORDER BY id", &sqlitex.ExecOptions{
		Args:       []any{kind},
		ResultFunc: func(s *sqlite.Stmt) error { ids = append(ids, s.ColumnText(0)); return nil },
	})
	return ids, err
}

// Archived returns the last position that stands in an archive, 0 if there is none.
func (r *ReadOnly) Archived() eventstore.Position { return r.readers.archives.end() }

// Head returns the last position when the file was opened.
func (r *ReadOnly) Head() eventstore.Position { return r.head }

// Shrink gives back to the disk what the log's file at path no longer needs. No server may have it open.
func Shrink(ctx context.Context, path string) (err error) {
	lock, err := lockFile(path + ".lock")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if err := ctx.Err(); err != nil {
		return err
	}
	conn, err := openFile(path)
	if err != nil {
		return err
	}
	return errors.Join(shrink(conn), conn.Close())
}
