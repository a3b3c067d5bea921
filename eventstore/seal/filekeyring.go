package seal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// A FileKeyring keeps wrapped data keys in an SQLite file of their own, so that a backup of the log is not a backup
// of its keys. New keys of many subjects share one fsync.
type FileKeyring struct {
	master  MasterKey
	cache   *keyCache
	writing chan struct{} // holds one element while somebody writes
	past    atomic.Pointer[epochs]

	mu      sync.Mutex // guards what follows
	pending map[string]*making
	closed  bool

	reading sync.Mutex // guards reader, and keeps reads and destruction apart
	reader  *sqlite.Conn
	writer  *sqlite.Conn // of whoever holds writing
}

// A making is a subject's data keys on their way to the disk.
type making struct {
	done chan struct{}
	keys DataKeys
	err  error
}

const keysSQL = `
CREATE TABLE IF NOT EXISTS master (
  id    TEXT NOT NULL PRIMARY KEY,
  probe BLOB NOT NULL               -- something that the master key has wrapped
) STRICT;
CREATE TABLE IF NOT EXISTS keys (
  subject TEXT NOT NULL PRIMARY KEY,
  master  TEXT NOT NULL,            -- id of the master key that wrapped them
  wrapped BLOB                      -- NULL: destroyed
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS erased (
  stream TEXT    NOT NULL,
  upto   INTEGER NOT NULL,          -- version: the keys of all events up to it were destroyed
  PRIMARY KEY (stream, upto)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS erasing (
  stream TEXT NOT NULL PRIMARY KEY  -- somebody has begun to erase it
) STRICT, WITHOUT ROWID;`

// OpenKeyring opens the file of data keys, and makes it if there is none. A file whose keys another master key has
// wrapped is refused. cached is how many subjects' keys are kept in memory; 50,000 if zero.
func OpenKeyring(path string, master MasterKey, cached int) (*FileKeyring, error) {
	if cached == 0 {
		cached = 50_000
	}
	k := &FileKeyring{
		master: master, cache: newKeyCache(cached), writing: make(chan struct{}, 1), pending: map[string]*making{},
	}
	if err := k.open(path); err != nil {
		return nil, errors.Join(fmt.Errorf("open the keyring %s: %w", path, err), k.closeFiles())
	}
	return k, nil
}

func (k *FileKeyring) open(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) // SQLite gives its other files the same mode
	if err != nil {
		return err
	}
	if err := errors.Join(f.Chmod(0o600), f.Close(), syncDir(filepath.Dir(path))); err != nil {
		return err
	}
	if k.writer, err = openConn(path); err != nil {
		return err
	}
	if err := sqlitex.ExecuteScript(k.writer, keysSQL, nil); err != nil {
		return err
	}
	if k.reader, err = openConn(path); err != nil {
		return err
	}
	if err := k.checkMaster(); err != nil {
		return err
	}
	return k.readPast()
}

func openConn(path string) (*sqlite.Conn, error) {
	conn, err := sqlite.OpenConn(path, sqlite.OpenReadWrite, sqlite.OpenWAL)
	if err != nil {
		return nil, err
	}
	conn.SetBusyTimeout(10 * time.Second)
	for _, pragma := range []string{"PRAGMA synchronous=FULL", "PRAGMA secure_delete=ON"} {
		if err := sqlitex.ExecuteTransient(conn, pragma, nil); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	return conn, nil
}

// probeSubject stands for no subject: a stream's name begins with its kind.
const probeSubject = "-probe"

// checkMaster refuses a master key that is not the one of the file, and writes itself into a new file.
func (k *FileKeyring) checkMaster() (err error) {
	end, err := sqlitex.ImmediateTransaction(k.writer)
	if err != nil {
		return err
	}
	defer end(&err)
	id, probe, err := k.readMaster()
	switch {
	case err != nil:
		return err
	case id == "":
		return k.writeMaster()
	case id != k.master.ID():
		return fmt.Errorf("its keys are wrapped by the master key %s, and this is %s: put the right master key back", id, k.master.ID())
	}
	if _, err := k.master.Unwrap(context.Background(), probeSubject, probe); err != nil {
		return fmt.Errorf("the master key %s does not unwrap what is in it: %w", id, err)
	}
	return nil
}

func (k *FileKeyring) readMaster() (id string, probe []byte, err error) {
	err = sqlitex.Execute(k.writer, "SELECT id, probe FROM master", &sqlitex.ExecOptions{
		ResultFunc: func(row *sqlite.Stmt) error {
			id, probe = row.ColumnText(0), columnBytes(row, 1)
			return nil
		},
	})
	return id, probe, err
}

func (k *FileKeyring) writeMaster() error {
	probe, err := k.master.Wrap(context.Background(), probeSubject, NewDataKeys().bytes())
	if err != nil {
		return err
	}
	return sqlitex.Execute(k.writer, "INSERT INTO master (id, probe) VALUES (?, ?)", &sqlitex.ExecOptions{
		Args: []any{k.master.ID(), probe},
	})
}

// Keys returns the subject's data keys.
func (k *FileKeyring) Keys(ctx context.Context, subject string) (DataKeys, error) {
	if keys, ok := k.cache.get(subject); ok {
		return keys, nil
	}
	k.reading.Lock()
	defer k.reading.Unlock()
	if k.isClosed() {
		return DataKeys{}, eventstore.ErrClosed
	}
	keys, err := k.read(ctx, k.reader, subject)
	if err == nil {
		k.cache.put(subject, keys) // under the lock: nobody destroys them meanwhile
	}
	return keys, err
}

func (k *FileKeyring) isClosed() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.closed
}

// read reads and unwraps a subject's keys.
func (k *FileKeyring) read(ctx context.Context, conn *sqlite.Conn, subject string) (DataKeys, error) {
	found, wrapped := false, []byte(nil)
	err := sqlitex.Execute(conn, "SELECT wrapped FROM keys WHERE subject = ?", &sqlitex.ExecOptions{
		Args: []any{subject},
		ResultFunc: func(row *sqlite.Stmt) error {
			found, wrapped = true, columnBytes(row, 0)
			return nil
		},
	})
	switch {
	case err != nil:
		return DataKeys{}, fmt.Errorf("read data keys: %w", err)
	case !found:
		return DataKeys{}, ErrNoKeys
	case wrapped == nil:
		return DataKeys{}, ErrDestroyed
	}
	plain, err := k.master.Unwrap(ctx, subject, wrapped)
	if err != nil {
		return DataKeys{}, fmt.Errorf("unwrap data keys: %w", err)
	}
	return dataKeysFrom(plain)
}

func columnBytes(row *sqlite.Stmt, column int) []byte {
	if row.ColumnIsNull(column) {
		return nil
	}
	b := make([]byte, row.ColumnLen(column))
	row.ColumnBytes(column, b)
	return b
}

// Close ends the keyring, after the keys that are being made are durable.
func (k *FileKeyring) Close() error {
	k.writing <- struct{}{}
	defer func() { <-k.writing }()
	k.reading.Lock()
	defer k.reading.Unlock()
	k.mu.Lock()
	closed := k.closed
	k.closed = true
	k.mu.Unlock()
	k.cache.clear()
	if closed {
		return nil
	}
	return k.closeFiles()
}

func (k *FileKeyring) closeFiles() error {
	var errs []error
	for _, conn := range []*sqlite.Conn{k.reader, k.writer} {
		if conn != nil {
			errs = append(errs, conn.Close())
		}
	}
	return errors.Join(errs...)
}
