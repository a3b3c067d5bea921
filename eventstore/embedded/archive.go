package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/tlog"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/ledger"
)

// An Archive is a file that holds the oldest events of a log, or those that follow an older archive. It never changes.
// It is an SQLite file as the log's is, and proves itself: from its first event on its hashes lead to the root that its
// checkpoint has signed.
type Archive struct {
	File        string
	First, Last eventstore.Position
	Root        tlog.Hash // over all events of the log up to Last
	Checkpoint  []byte    // signed, of the tree up to Last
	edge        []byte    // hashes of the tree before First
}

const archiveTable = `CREATE TABLE archive (
	first      INTEGER NOT NULL,
	last       INTEGER NOT NULL,
	root       BLOB NOT NULL,
	edge       BLOB NOT NULL,
	checkpoint BLOB NOT NULL
) STRICT`

// keptLive is how many of the newest events are never archived: the tree's last hashes follow from them.
const keptLive = 64

// archivedVersion is the version of a log's file whose oldest events stand in archives: older programs, which would
// miss them, do not open it.
const archivedVersion = fileVersion + 1

// A Signer signs the root over the first size events.
type Signer func(size int64, root tlog.Hash) ([]byte, error)

// WriteArchive copies the events of the log at path that are not archived yet, up to last, to a new file, and makes sure
// that it holds what the log's hashes say. A server may be running. When it returns, the file is durable, and the log is
// as it was: TakeOut is what makes it smaller. Killed at any moment, it leaves no file called to.
func WriteArchive(ctx context.Context, path, to string, last eventstore.Position, sign Signer) (Archive, error) {
	log, err := OpenReadOnly(ctx, path)
	if err != nil {
		return Archive{}, err
	}
	a, err := writeArchive(ctx, log, path, to, last, sign)
	if err != nil {
		err = fmt.Errorf("archive to %s: %w", to, err)
	}
	return a, errors.Join(err, log.Close())
}

func writeArchive(ctx context.Context, log *ReadOnly, path, to string, last eventstore.Position, sign Signer) (Archive, error) {
	a := Archive{File: to, First: log.readers.archives.end() + 1, Last: last}
	if last < a.First || last > log.head-keptLive {
		return a, fmt.Errorf("positions %d to %d cannot be archived: the newest %d of %d stay", a.First, last, keptLive, log.head)
	}
	if _, err := os.Stat(to); err == nil {
		return a, errors.New("there is such a file already")
	}
	if err := a.prove(ctx, log, sign); err != nil {
		return a, err
	}
	partial := to + ".partial"
	if err := removeDatabase(partial); err != nil {
		return a, err
	}
	if err := makeFile(partial); err != nil {
		return a, err
	}
	err := errors.Join(a.fill(ctx, path, partial), syncFile(partial))
	if err == nil {
		_, err = CheckArchive(ctx, partial)
	}
	if err != nil {
		return a, errors.Join(err, removeDatabase(partial))
	}
	return a, errors.Join(os.Rename(partial, to), syncFile(filepath.Dir(to)))
}

// prove reads what the log's hashes say about the events.
func (a *Archive) prove(ctx context.Context, log *ReadOnly, sign Signer) error {
	read := func(indexes []int64) ([]tlog.Hash, error) { return log.ReadHashes(ctx, indexes) }
	whole, err := ledger.ReadEdge(int64(a.Last), tlog.HashReaderFunc(read))
	if err != nil {
		return err
	}
	a.Root = whole.Root()
	if _, err := ledger.ReadEdge(int64(a.First)-1, tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		hashes, err := read(indexes)
		for _, h := range hashes {
			a.edge = append(a.edge, h[:]...)
		}
		return hashes, err
	})); err != nil {
		return err
	}
	a.Checkpoint, err = sign(int64(a.Last), a.Root)
	return err
}

// fill writes the archive's file.
func (a *Archive) fill(ctx context.Context, log, partial string) error {
	conn, err := sqlite.OpenConn(partial, sqlite.OpenReadWrite, sqlite.OpenURI)
	if err != nil {
		return err
	}
	conn.SetInterrupt(ctx.Done())
	conn.SetBusyTimeout(busy)
	err = setUp(conn, []string{"journal_mode = OFF", "synchronous = OFF"}) // it is made durable when it is whole
	if err == nil {
		err = sqlitex.ExecuteTransient(conn, "ATTACH ? AS log", &sqlitex.ExecOptions{Args: []any{uri(log)}})
	}
	if err == nil {
		err = a.copyEvents(conn)
	}
	return errors.Join(err, conn.Close())
}

// uri names a file that is only read.
func uri(path string) string {
	return "file:" + escape(path) + "?mode=ro"
}

func escape(path string) string {
	var b []byte
	for _, c := range []byte(path) {
		if c == '?' || c == '#' || c == '%' {
			b = fmt.Appendf(b, "%%%02X", c)
		} else {
			b = append(b, c)
		}
	}
	return string(b)
}

func (a *Archive) copyEvents(conn *sqlite.Conn) (err error) {
	tables := fmt.Sprintf("%s;\n%s;\nPRAGMA user_version = %d;", schema, archiveTable, fileVersion)
	if err := sqlitex.ExecuteScript(conn, tables, nil); err != nil {
		return fmt.Errorf("make its tables: %w", err)
	}
	defer sqlitex.Save(conn)(&err)
	from := &sqlitex.ExecOptions{Args: []any{int64(a.First), int64(a.Last)}}
	for _, q := range []string{
		"INSERT INTO main.events (" + columns + ", leaf) SELECT " + columns + ", leaf FROM log.events WHERE position BETWEEN ? AND ? ORDER BY position",
		"INSERT INTO main.streams SELECT * FROM log.streams WHERE id IN (SELECT stream FROM main.events)",
		"INSERT INTO main.types SELECT * FROM log.types WHERE id IN (SELECT type FROM main.events)",
		"INSERT INTO main.actors SELECT * FROM log.actors WHERE id IN (SELECT actor FROM main.events)",
	} {
		if err := sqlitex.Execute(conn, q, from); err != nil {
			return fmt.Errorf("copy events: %w", err)
		}
		from = nil
	}
	return sqlitex.Execute(conn, "INSERT INTO main.archive VALUES (?, ?, ?, ?, ?)", &sqlitex.ExecOptions{
		Args: []any{int64(a.First), int64(a.Last), a.Root[:], append([]byte{}, a.edge...), a.Checkpoint},
	})
}
