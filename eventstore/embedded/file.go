package embedded

import (
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

//go:embed schema.sql
var schema string

const (
	oldestSQLite = 3_051_003 // older ones can corrupt a file when a checkpoint meets a restart of the write-ahead log
	fileVersion  = 3         // of the schema, kept as user_version
	busy         = 5 * time.Second
)

// settings of the writing connection. Checkpoints are the committer's business.
var settings = []string{"synchronous = FULL", "wal_autocheckpoint = 0", "cache_size = -8000", "temp_store = MEMORY"}

// openFile opens the file for writing and makes its tables if it is new.
func openFile(path string) (*sqlite.Conn, error) {
	if sqlite.VersionNumber < oldestSQLite {
		return nil, fmt.Errorf("SQLite %d was built in: want %d or newer", sqlite.VersionNumber, oldestSQLite)
	}
	if err := errors.Join(makeFile(path), syncFile(path+"-wal")); err != nil {
		return nil, err
	}
	conn, err := sqlite.OpenConn(path, sqlite.OpenReadWrite, sqlite.OpenWAL)
	if err != nil {
		return nil, err
	}
	conn.SetBusyTimeout(busy)
	if err := errors.Join(setUp(conn, settings), makeTables(conn, path)); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// makeFile makes an empty file that only its owner may read, and makes its name durable. SQLite gives the
// files beside it the same mode.
func makeFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), syncFile(filepath.Dir(path)))
}

// syncFile makes a file durable as it is. A process that was killed may have left a write-ahead log which the
// disk does not have yet: whoever reads it must not see events that could still vanish.
func syncFile(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func setUp(conn *sqlite.Conn, settings []string) error {
	for _, s := range settings {
		if err := sqlitex.ExecuteTransient(conn, "PRAGMA "+s, nil); err != nil {
			return fmt.Errorf("set %s: %w", s, err)
		}
	}
	return nil
}

func makeTables(conn *sqlite.Conn, path string) error {
	version, err := sqlitex.ResultInt(conn.Prep("PRAGMA user_version"))
	switch {
	case err != nil:
		return fmt.Errorf("read its version: %w", err)
	case version > archivedVersion:
		return fmt.Errorf("a newer program wrote it (version %d): want version %d at most", version, archivedVersion)
	case version == 0:
		tables := fmt.Sprintf("%s\nPRAGMA user_version = %d;", schema, fileVersion)
		if err := sqlitex.ExecuteScript(conn, tables, nil); err != nil {
			return fmt.Errorf("make its tables: %w", err)
		}
	case version < fileVersion:
		if err := migrate(conn, path, version); err != nil {
			return fmt.Errorf("bring it from version %d to %d: %w", version, fileVersion, err)
		}
	}
	return nil
}

// prepare prepares each query into its place.
func prepare(conn *sqlite.Conn, queries map[**sqlite.Stmt]string) error {
	for stmt, query := range queries {
		var err error
		if *stmt, err = conn.Prepare(query); err != nil {
			return err
		}
	}
	return nil
}

// run runs a statement that yields no rows.
func run(stmt *sqlite.Stmt) error {
	_, err := stmt.Step()
	return errors.Join(err, stmt.Reset())
}

// one runs a statement and calls found with its first row, if there is one.
func one(stmt *sqlite.Stmt, found func()) error {
	row, err := stmt.Step()
	if row {
		found()
	}
	return errors.Join(err, stmt.Reset())
}
