package embedded

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// Snapshots keep folded states in an SQLite file beside the log; they implement eventstore.Snapshots. They are
// written without waiting for the disk: after a power cut some may be missing, and after a bad one the file is
// made anew. Nothing depends on them but the time that a cold load takes.
//
// A state is kept as JSON and must survive it.
type Snapshots[S any] struct {
	options SnapshotOptions
	fold    string

	mu         sync.Mutex // guards all below
	conn       *sqlite.Conn
	load, save *sqlite.Stmt
	some       bool // the file is not empty: until then nobody looks in it, least of all for a device that is new
}

// SnapshotOptions say how states are kept. Fold, Seal and Open are needed.
type SnapshotOptions struct {
	Fold   string // the version of the fold: states that another one folded are not found. So are those of a type of another shape
	Seal   func(stream eventstore.Stream, plain []byte) ([]byte, error)
	Open   func(stream eventstore.Stream, sealed []byte) ([]byte, error)
	Logger *slog.Logger // slog.Default() if nil
}

const snapshotTable = `CREATE TABLE IF NOT EXISTS snapshots (
	stream  TEXT PRIMARY KEY,
	version INTEGER NOT NULL,
	fold    TEXT NOT NULL,
	state   BLOB NOT NULL
) STRICT`

// OpenSnapshots opens the file at path, which it makes if there is none, or none that can be read.
func OpenSnapshots[S any](path string, options SnapshotOptions) (*Snapshots[S], error) {
	if options.Seal == nil || options.Open == nil || options.Fold == "" {
		return nil, errors.New("open snapshots: Fold, Seal and Open are needed, for states hold secrets")
	}
	if options.Logger == nil {
		options.Logger = slog.Default()
	}
	s := &Snapshots[S]{options: options, fold: options.Fold + " " + shape[S]()}
	err := s.open(path)
	if code := sqlite.ErrCode(err).ToPrimary(); code == sqlite.ResultCorrupt || code == sqlite.ResultNotADB {
		options.Logger.Warn("the snapshots cannot be read and are made anew", "error", err)
		if err = removeDatabase(path); err == nil {
			err = s.open(path)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open snapshots %s: %w", path, err)
	}
	return s, nil
}

func removeDatabase(path string) error {
	for _, suffix := range []string{"-wal", "-shm", ""} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (s *Snapshots[S]) open(path string) (err error) {
	if err := makeFile(path); err != nil {
		return err
	}
	if s.conn, err = sqlite.OpenConn(path, sqlite.OpenReadWrite); err != nil {
		return err
	}
	s.conn.SetBusyTimeout(busy)
	for _, q := range []string{"PRAGMA journal_mode = WAL", "PRAGMA synchronous = OFF", snapshotTable} {
		if err == nil {
			err = sqlitex.ExecuteTransient(s.conn, q, nil)
		}
	}
	if err == nil {
		err = sqlitex.ExecuteTransient(s.conn, "SELECT 1 FROM snapshots LIMIT 1", &sqlitex.ExecOptions{
			ResultFunc: func(*sqlite.Stmt) error { s.some = true; return nil },
		})
	}
	if err == nil {
		err = prepare(s.conn, map[**sqlite.Stmt]string{
			&s.load: "SELECT version, state FROM snapshots WHERE stream = ? AND fold = ?",
			&s.save: `INSERT INTO snapshots VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE
				SET version = ?2, fold = ?3, state = ?4 WHERE version < ?2 OR fold <> ?3`,
		})
	}
	if err != nil {
		s.conn.Close() // the file is no good: why is known already
	}
	return err
}

// Load returns the state kept for the stream and its version; found is false if there is none that today's
// fold can use.
func (s *Snapshots[S]) Load(stream eventstore.Stream) (state S, version int64, found bool) {
	sealed, version, err := s.read(stream)
	if err == nil && sealed == nil {
		return state, 0, false
	}
	var plain []byte
	if err == nil {
		plain, err = s.options.Open(stream, sealed)
	}
	if err == nil {
		err = json.Unmarshal(plain, &state)
	}
	if err != nil {
		s.options.Logger.Warn("a snapshot cannot be used; this cold load takes longer", "stream", stream.String(), "error", err)
		var none S
		return none, 0, false
	}
	return state, version, true
}

func (s *Snapshots[S]) read(stream eventstore.Stream) (sealed []byte, version int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == nil {
		return nil, 0, eventstore.ErrClosed
	}
	if !s.some {
		return nil, 0, nil
	}
	s.load.BindText(1, stream.String())
	s.load.BindText(2, s.fold)
	err = one(s.load, func() {
		version = s.load.ColumnInt64(0)
		sealed = make([]byte, s.load.ColumnLen(1))
		s.load.ColumnBytes(1, sealed)
	})
	return sealed, version, err
}

// Save keeps the state, unless a later one is kept already.
func (s *Snapshots[S]) Save(stream eventstore.Stream, version int64, state S) error {
	plain, err := json.Marshal(state)
	if err != nil {
		return fmt.Errorf("encode a snapshot: %w", err)
	}
	sealed, err := s.options.Seal(stream, plain)
	if err != nil {
		return fmt.Errorf("seal a snapshot: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == nil {
		return eventstore.ErrClosed
	}
	s.save.BindText(1, stream.String())
	s.save.BindInt64(2, version)
	s.save.BindText(3, s.fold)
	s.save.BindBytes(4, sealed)
	s.some = true
	return run(s.save)
}

// Close closes the file. A second Close does nothing.
func (s *Snapshots[S]) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == nil {
		return nil
	}
	conn := s.conn
	s.conn = nil
	return conn.Close()
}
