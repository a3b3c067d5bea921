package seal

import (
	"context"
	"errors"
	"fmt"
	"math"
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
// of its keys. New keys of many subjects share one fsync. While the master key is asked for something nobody is kept
// waiting who does not need it: it may be far away.
type FileKeyring struct {
	cache    *keyCache
	writing  chan struct{} // holds one element while somebody writes
	rotating chan struct{} // holds one element while the master key is being changed
	past     atomic.Pointer[epochs]

	mu      sync.Mutex // guards what follows
	pending map[string]*making
	closed  bool

	reading sync.Mutex // guards what follows
	reader  *sqlite.Conn
	master  MasterKey    // written under writing too
	changes int          // how often keys were destroyed or wrapped anew
	writer  *sqlite.Conn // of whoever holds writing
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
CREATE TABLE IF NOT EXISTS rewrapped (
  subject TEXT NOT NULL PRIMARY KEY,
  was     BLOB NOT NULL,            -- as keys has it
  wrapped BLOB NOT NULL             -- by the next master key, while a rotation is under way
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS erased (
  stream TEXT    NOT NULL,          -- or, behind a slash, a user within it
  upto   INTEGER NOT NULL,          -- version: the keys of all events up to it were destroyed
  PRIMARY KEY (stream, upto)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS erasing (
  stream TEXT NOT NULL PRIMARY KEY  -- or a user within it: somebody has begun to erase it
) STRICT, WITHOUT ROWID;`

// OpenKeyring opens the file of data keys, and makes it if there is none. A file whose keys another master key has
// wrapped is refused. cached is how many subjects' keys are kept in memory; 50,000 if zero.
func OpenKeyring(path string, master MasterKey, cached int) (*FileKeyring, error) {
	if cached == 0 {
		cached = 50_000
	}
	k := &FileKeyring{
		master: master, cache: newKeyCache(cached), pending: map[string]*making{},
		writing: make(chan struct{}, 1), rotating: make(chan struct{}, 1),
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

// Keys returns the subject's data keys. ErrUnavailable: the master key is away, and they were not used lately.
func (k *FileKeyring) Keys(ctx context.Context, subject string) (DataKeys, error) {
	for {
		if keys, ok := k.cache.get(subject); ok {
			return keys, nil
		}
		row, err := k.find(subject)
		if err != nil {
			return DataKeys{}, err
		}
		keys, err := row.unwrap(ctx, subject)
		if k.still(row.changes, func() {
			if err == nil {
				k.cache.put(subject, keys) // under the lock: nobody destroys them meanwhile
			}
		}) {
			return keys, err
		}
	}
}

// A row is what the file has of a subject, and what unwraps it.
type row struct {
	wrapped []byte
	master  MasterKey
	changes int
}

func (r row) unwrap(ctx context.Context, subject string) (DataKeys, error) {
	plain, err := r.master.Unwrap(ctx, subject, r.wrapped)
	if err != nil {
		return DataKeys{}, fmt.Errorf("unwrap data keys: %w", err)
	}
	defer clear(plain)
	return dataKeysFrom(plain)
}

// find reads a subject's row.
func (k *FileKeyring) find(subject string) (row, error) {
	k.reading.Lock()
	defer k.reading.Unlock()
	if k.isClosed() {
		return row{}, eventstore.ErrClosed
	}
	found, wrapped := false, []byte(nil)
	err := sqlitex.Execute(k.reader, "SELECT wrapped FROM keys WHERE subject = ?", &sqlitex.ExecOptions{
		Args: []any{subject},
		ResultFunc: func(row *sqlite.Stmt) error {
			found, wrapped = true, columnBytes(row, 0)
			return nil
		},
	})
	switch {
	case err != nil:
		return row{}, fmt.Errorf("read data keys: %w", err)
	case !found:
		return row{}, ErrNoKeys
	case wrapped == nil:
		return row{}, ErrDestroyed
	}
	return row{wrapped, k.master, k.changes}, nil
}

// still does something if no keys were destroyed or wrapped anew since that many changes, and reports whether it did.
func (k *FileKeyring) still(changes int, do func()) bool {
	k.reading.Lock()
	defer k.reading.Unlock()
	if k.changes != changes {
		return false
	}
	do()
	return true
}

func (k *FileKeyring) isClosed() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.closed
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

// MasterKey returns the name of the master key.
func (k *FileKeyring) MasterKey() string {
	k.reading.Lock()
	defer k.reading.Unlock()
	return k.master.ID()
}

// Knows reports whether the subject has data keys, or ever had.
func (k *FileKeyring) Knows(_ context.Context, subject Subject) (bool, error) {
	if k.Epoch(subject, math.MaxInt64) > 0 {
		return true, nil
	}
	_, err := k.find(subject.keysAt(k.past.Load(), math.MaxInt64))
	return hadKeys(err)
}

// hadKeys reports whether a subject has data keys, or ever had, by how looking for them ended.
func hadKeys(err error) (bool, error) {
	switch {
	case errors.Is(err, ErrNoKeys):
		return false, nil
	case errors.Is(err, ErrDestroyed):
		return true, nil
	}
	return err == nil, err
}
