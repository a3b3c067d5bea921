package seal

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// ErrReadOnly says that keys were to be made or destroyed in a keyring that was opened for reading.
var ErrReadOnly = errors.New("the keyring was opened for reading")

// A ReadKeyring reads a file of data keys while another process may make, destroy and rewrap keys in it. It sees what
// that one has done, remembers no key beyond it, and changes nothing itself.
type ReadKeyring struct {
	open func(ctx context.Context, id string) (MasterKey, error)
	path string

	mu      sync.Mutex // guards what follows
	conn    *sqlite.Conn
	master  MasterKey
	past    epochs
	keys    map[string]DataKeys
	version int64 // of the file, when the three before were read
}

// OpenReadKeyring opens a file of data keys for reading. The master key with an id is opened by open: at once, and
// again when another one has taken its place.
func OpenReadKeyring(ctx context.Context, path string, open func(ctx context.Context, id string) (MasterKey, error)) (*ReadKeyring, error) {
	conn, err := sqlite.OpenConn(path, sqlite.OpenReadOnly)
	if err != nil {
		return nil, fmt.Errorf("read the keyring %s: %w", path, err)
	}
	conn.SetBusyTimeout(10 * time.Second)
	r := &ReadKeyring{open: open, path: path, conn: conn, version: -1}
	if err := r.look(ctx); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return r, nil
}

// look reads anew what another process has changed since.
func (r *ReadKeyring) look(ctx context.Context) error {
	version, err := sqlitex.ResultInt64(r.conn.Prep("PRAGMA data_version"))
	if err == nil && version == r.version {
		return nil
	}
	if err == nil {
		err = r.reload(ctx)
	}
	if err != nil {
		return fmt.Errorf("read the keyring %s: %w", r.path, err)
	}
	r.version = version
	return nil
}

func (r *ReadKeyring) reload(ctx context.Context) error {
	var id string
	if err := r.each("SELECT id FROM master", func(row *sqlite.Stmt) error { id = row.ColumnText(0); return nil }); err != nil {
		return err
	}
	if r.master == nil || r.master.ID() != id {
		var err error
		if r.master, err = r.open(ctx, id); err != nil {
			return err
		}
	}
	r.past, r.keys = epochs{}, map[string]DataKeys{}
	return r.each("SELECT stream, upto FROM erased ORDER BY stream, upto", func(row *sqlite.Stmt) error {
		subject, err := parseSubject(row.ColumnText(0))
		r.past[subject] = append(r.past[subject], row.ColumnInt64(1))
		return err
	})
}

func (r *ReadKeyring) each(query string, do func(*sqlite.Stmt) error, args ...any) error {
	return sqlitex.Execute(r.conn, query, &sqlitex.ExecOptions{Args: args, ResultFunc: do})
}

// Keys returns the subject's data keys.
func (r *ReadKeyring) Keys(ctx context.Context, subject string) (DataKeys, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.conn == nil {
		return DataKeys{}, eventstore.ErrClosed
	}
	if err := r.look(ctx); err != nil {
		return DataKeys{}, err
	}
	if keys, known := r.keys[subject]; known {
		return keys, nil
	}
	found, wrapped := false, []byte(nil)
	if err := r.each("SELECT wrapped FROM keys WHERE subject = ?", func(row *sqlite.Stmt) error {
		found, wrapped = true, columnBytes(row, 0)
		return nil
	}, subject); err != nil {
		return DataKeys{}, fmt.Errorf("read data keys: %w", err)
	}
	switch {
	case !found:
		return DataKeys{}, ErrNoKeys
	case wrapped == nil:
		return DataKeys{}, ErrDestroyed
	}
	plain, err := r.master.Unwrap(ctx, subject, wrapped)
	if err != nil {
		return DataKeys{}, fmt.Errorf("unwrap data keys: %w", err)
	}
	defer clear(plain)
	keys, err := dataKeysFrom(plain)
	if err == nil && len(r.keys) < 50_000 {
		r.keys[subject] = keys
	}
	return keys, err
}

// Epoch returns how often the subject was erased before the version. What cannot be read is not known.
func (r *ReadKeyring) Epoch(subject Subject, version int64) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.conn != nil {
		_ = r.look(context.Background()) // whoever asks for the keys next is told
	}
	return r.past.before(subject, version)
}

// Make refuses.
func (r *ReadKeyring) Make(context.Context, string) (DataKeys, error) {
	return DataKeys{}, ErrReadOnly
}

// Destroy refuses.
func (r *ReadKeyring) Destroy(context.Context, string) error { return ErrReadOnly }

// Erase refuses.
func (r *ReadKeyring) Erase(context.Context, Subject, int64) error { return ErrReadOnly }

// Close forgets all keys and closes the file.
func (r *ReadKeyring) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.keys)
	if r.conn == nil {
		return nil
	}
	conn := r.conn
	r.conn = nil
	return conn.Close()
}
