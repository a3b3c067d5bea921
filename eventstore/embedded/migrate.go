package embedded

import (
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// migrate brings a file of an older version to that of today, wholly or not at all.
//
// Version 1 had no hashes. Version 2 had no leaves beside the events: the last block was rewritten with each commit.
func migrate(conn *sqlite.Conn, path string, version int) (err error) {
	defer sqlitex.Save(conn)(&err)
	if err := sqlitex.ExecuteTransient(conn, "ALTER TABLE events ADD COLUMN leaf BLOB", nil); err != nil {
		return err
	}
	if version < 2 {
		err = makeHashes(conn, path)
	} else {
		err = moveLeaves(conn)
	}
	if err != nil {
		return err
	}
	return sqlitex.ExecuteTransient(conn, fmt.Sprintf("PRAGMA user_version = %d", fileVersion), nil)
}

// makeHashes gives the events of a file of version 1 their hashes.
func makeHashes(conn *sqlite.Conn, path string) error {
	const table = "CREATE TABLE hashes (block INTEGER PRIMARY KEY, hashes BLOB NOT NULL) STRICT"
	if err := sqlitex.ExecuteTransient(conn, table, nil); err != nil {
		return err
	}
	var t tree
	if err := errors.Join(t.prepare(conn), hashAll(&t, path)); err != nil {
		return err
	}
	return writeLeaves(conn, t.block*blockHashes, t.tail)
}

// hashAll adds all events in the file to the tree, and writes its blocks.
func hashAll(t *tree, path string) error {
	var n names
	n.init(1 << 12)
	r, err := openReader(path, &n)
	if err != nil {
		return err
	}
	for at, end := eventstore.Position(0), false; !end && err == nil; {
		var p page
		p, err = r.after(at, 1<<62)
		for i := range p.events {
			t.add(&p.events[i])
			at = p.events[i].Position
		}
		err, end = errors.Join(err, t.flush()), p.end
	}
	return errors.Join(err, r.conn.Close())
}

// moveLeaves moves what a file of version 2 has in its last block, if that is not full, to the events. It must be
// there: a leaf that is made anew would fit whatever the event has become.
func moveLeaves(conn *sqlite.Conn) error {
	size, err := sqlitex.ResultInt64(conn.Prep("SELECT coalesce(max(position), 0) FROM events"))
	if err != nil {
		return err
	}
	var t tree
	if err := t.prepare(conn); err != nil {
		return err
	}
	count := tlog.StoredHashCount(size)
	row, err := t.read.get(count / blockHashes)
	if err == nil && len(row) != int(count%blockHashes)*tlog.HashSize {
		err = fmt.Errorf("the log has hashes of other events than its %d", size)
	}
	if err != nil {
		return err
	}
	tail := make([]tlog.Hash, count%blockHashes)
	for i := range tail {
		copy(tail[i][:], row[i*tlog.HashSize:])
	}
	first := count / blockHashes * blockHashes
	return errors.Join(writeLeaves(conn, first, tail),
		sqlitex.Execute(conn, "DELETE FROM hashes WHERE block = ?", &sqlitex.ExecOptions{Args: []any{count / blockHashes}}))
}

// writeLeaves gives the leaves among some hashes to their events; the first of them has a given index.
func writeLeaves(conn *sqlite.Conn, first int64, hashes []tlog.Hash) error {
	for i, h := range hashes {
		level, n := tlog.SplitStoredHashIndex(first + int64(i))
		if level > 0 {
			continue
		}
		args := &sqlitex.ExecOptions{Args: []any{h[:], n + 1}}
		if err := sqlitex.Execute(conn, "UPDATE events SET leaf = ? WHERE position = ?", args); err != nil {
			return err
		}
	}
	return nil
}
