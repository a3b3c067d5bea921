package seal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// A SharedKeyring keeps wrapped data keys in a PostgreSQL, where several servers that share a log share them. What one server
// makes, all have; what one destroys, all forget: while Run runs, they are told at once.
//
// When PostgreSQL is away, keys that were used lately are still found; whoever asks for others is told ErrUnavailable. One
// schema holds the keys of one log.
type SharedKeyring struct {
	SharedOptions
	db    *pgxpool.Pool
	id    string // of this server among those that share the keyring
	cache *keyCache

	mu        sync.Mutex // guards what follows
	master    MasterKey
	past      epochs
	destroyed int64     // how often keys were destroyed, as far as this server knows
	changes   int       // how often the cache was emptied
	looked    time.Time // when a reader last looked what others have done
	missed    string    // the master key that was looked for and not found, and told of
	closed    bool
}

// SharedOptions say where a shared keyring is.
type SharedOptions struct {
	// URL is PostgreSQL's: postgres://user:password@host/database?search_path=schema.
	URL string

	// Master opens the master key with an id, for a keyring that has one; for a new keyring the id is empty. It is asked again
	// when another server has changed the master key.
	Master func(ctx context.Context, id string) (MasterKey, error)

	ReadOnly bool         // keys are neither made nor destroyed: ErrReadOnly
	Cached   int          // how many subjects' keys are kept in memory; 50,000 if zero
	Logger   *slog.Logger // slog.Default() if nil
}

// sharedPatience is how long PostgreSQL may take for one answer.
const sharedPatience = 5 * time.Second

// The one row of rollcall_master is what everybody looks at: whoever makes keys holds it shared, whoever changes the master key
// or destroys keys holds it alone.
const sharedSQL = `
CREATE TABLE IF NOT EXISTS rollcall_master (
  one       BOOLEAN NOT NULL PRIMARY KEY DEFAULT TRUE CHECK (one),
  id        TEXT    NOT NULL,
  probe     BYTEA   NOT NULL,          -- something that the master key has wrapped
  destroyed BIGINT  NOT NULL DEFAULT 0 -- how often keys were destroyed
);
CREATE TABLE IF NOT EXISTS rollcall_keys (
  subject BYTEA NOT NULL PRIMARY KEY,
  master  TEXT  NOT NULL,              -- id of the master key that wrapped them
  wrapped BYTEA                        -- NULL: destroyed
);
CREATE TABLE IF NOT EXISTS rollcall_rewrapped (
  subject BYTEA NOT NULL PRIMARY KEY,
  was     BYTEA NOT NULL,              -- as rollcall_keys has it
  wrapped BYTEA NOT NULL               -- by the next master key, while a rotation is under way
);
CREATE TABLE IF NOT EXISTS rollcall_erased (
  stream TEXT   NOT NULL,              -- or, behind a slash, a user within it
  upto   BIGINT NOT NULL,              -- version: the keys of all events up to it were destroyed
  PRIMARY KEY (stream, upto)
);
CREATE TABLE IF NOT EXISTS rollcall_erasing (
  stream TEXT NOT NULL PRIMARY KEY     -- or a user within it: somebody has begun to erase it
);
CREATE TABLE IF NOT EXISTS rollcall_kept (
  name   TEXT  NOT NULL PRIMARY KEY,   -- of a small file that servers share
  sealed BYTEA NOT NULL
);
CREATE TABLE IF NOT EXISTS rollcall_servers (
  id    TEXT        NOT NULL PRIMARY KEY,
  pid   INTEGER     NOT NULL,          -- of the connection by which it is told, and since when it is open
  since TIMESTAMPTZ NOT NULL,
  heard BIGINT      NOT NULL           -- how often keys were destroyed, as far as it knows
);`

// OpenShared opens a keyring that servers share, and makes its tables if there are none. A keyring whose keys another master
// key has wrapped is refused.
func OpenShared(ctx context.Context, o SharedOptions) (*SharedKeyring, error) {
	config, err := pgxpool.ParseConfig(o.URL)
	if err != nil {
		return nil, errAddress // the error itself might hold the password
	}
	if o.Cached == 0 {
		o.Cached = 50_000
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	config.MaxConns = max(config.MaxConns, 8)
	config.ConnConfig.ConnectTimeout = sharedPatience
	k := &SharedKeyring{SharedOptions: o, id: eventstore.NewUUID().String(), cache: newKeyCache(o.Cached), past: epochs{}}
	if k.db, err = pgxpool.NewWithConfig(ctx, config); err == nil {
		err = k.open(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the keyring in %s: %w", k.where(), err), k.Close())
	}
	return k, nil
}

var errAddress = errors.New("the address of the keyring is none of PostgreSQL's: give one like postgres://user:password@host/database")

// CheckShared refuses what is no address of a keyring that servers share.
func CheckShared(url string) error {
	if _, err := pgxpool.ParseConfig(url); err != nil {
		return errAddress
	}
	return nil
}

// where names the database, without user and password.
func (k *SharedKeyring) where() string {
	if k.db == nil {
		return "PostgreSQL"
	}
	c := k.db.Config().ConnConfig
	return fmt.Sprintf("PostgreSQL's %s at %s", c.Database, c.Host)
}

func (k *SharedKeyring) open(ctx context.Context) error {
	if !k.ReadOnly {
		if err := k.makeTables(ctx); err != nil {
			return err
		}
	}
	return k.openMaster(ctx)
}

// makeTables makes the tables. Two servers that start at the same time do so one after the other.
func (k *SharedKeyring) makeTables(ctx context.Context) error {
	return k.transaction(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock(hashtextextended('rollcall tables', 0))"); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, sharedSQL, pgx.QueryExecModeSimpleProtocol)
		return err
	})
}

// Keys returns the subject's data keys. ErrUnavailable: PostgreSQL or the master key is away, and they were not used lately.
func (k *SharedKeyring) Keys(ctx context.Context, subject string) (DataKeys, error) {
	if err := k.glance(ctx); err != nil {
		return DataKeys{}, err
	}
	for {
		if keys, ok := k.cache.get(subject); ok {
			return keys, nil
		}
		row, err := k.find(ctx, subject)
		if err != nil {
			return DataKeys{}, err
		}
		keys, err := row.unwrap(ctx, subject)
		if k.still(row.changes, func() {
			if err == nil {
				k.cache.put(subject, keys)
			}
		}) {
			return keys, err
		}
	}
}

// find reads a subject's row.
func (k *SharedKeyring) find(ctx context.Context, subject string) (row, error) {
	master, changes, err := k.now()
	if err != nil {
		return row{}, err
	}
	var by string
	var wrapped []byte
	err = k.ask(ctx, func(ctx context.Context) error {
		return k.db.QueryRow(ctx, "SELECT master, wrapped FROM rollcall_keys WHERE subject = $1", []byte(subject)).Scan(&by, &wrapped)
	})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return row{}, ErrNoKeys
	case err != nil:
		return row{}, fmt.Errorf("read data keys: %w", err)
	case wrapped == nil:
		return row{}, ErrDestroyed
	case by != master.ID():
		if master, err = k.follow(ctx, by); err != nil {
			return row{}, err
		}
	}
	return row{wrapped, master, changes}, nil
}

// now returns what unwraps keys, and the count of changes before which they are read.
func (k *SharedKeyring) now() (MasterKey, int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return nil, 0, eventstore.ErrClosed
	}
	return k.master, k.changes, nil
}

// still does something if no keys were destroyed since that many changes, and reports whether it did.
func (k *SharedKeyring) still(changes int, do func()) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.changes != changes {
		return false
	}
	do()
	return true
}

// Make returns the subject's data keys, and makes them if there never were any. ErrUnavailable: PostgreSQL or the master key is
// away.
func (k *SharedKeyring) Make(ctx context.Context, subject string) (DataKeys, error) {
	for {
		keys, err := k.Keys(ctx, subject)
		if !errors.Is(err, ErrNoKeys) {
			return keys, err
		}
		if k.ReadOnly {
			return DataKeys{}, ErrReadOnly
		}
		if err := k.make(ctx, subject); err != nil {
			return DataKeys{}, fmt.Errorf("make data keys: %w", err)
		}
	}
}

// make makes a subject's keys, unless somebody else has. Whoever called looks what is there.
func (k *SharedKeyring) make(ctx context.Context, subject string) error {
	master, changes, err := k.now()
	if err != nil {
		return err
	}
	keys := NewDataKeys()
	wrapped, err := master.Wrap(ctx, subject, keys.bytes())
	if err != nil {
		return fmt.Errorf("wrap data keys: %w", err)
	}
	made := false
	err = k.ask(ctx, func(ctx context.Context) error {
		tag, err := k.db.Exec(ctx, `INSERT INTO rollcall_keys (subject, master, wrapped)
			SELECT $1, m.id, $3 FROM (SELECT id FROM rollcall_master WHERE id = $2 FOR SHARE) m ON CONFLICT DO NOTHING`, []byte(subject), master.ID(), wrapped)
		made = tag.RowsAffected() == 1
		return err
	})
	if err != nil {
		return err
	}
	if made {
		k.still(changes, func() { k.cache.put(subject, keys) })
		return nil
	}
	other, err := k.look(ctx) // somebody else has made them, or the master key is another one
	if err == nil && other != "" {
		_, err = k.follow(ctx, other)
	}
	return err
}

// MasterKey returns the name of the master key.
func (k *SharedKeyring) MasterKey() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.master.ID()
}

// Knows reports whether the subject has data keys, or ever had.
func (k *SharedKeyring) Knows(ctx context.Context, subject Subject) (bool, error) {
	if k.Epoch(subject, math.MaxInt64) > 0 {
		return true, nil
	}
	_, err := k.find(ctx, subject.keysAt(erasures{k}, math.MaxInt64))
	return hadKeys(err)
}

// Close ends the keyring.
func (k *SharedKeyring) Close() error {
	k.mu.Lock()
	closed := k.closed
	k.closed = true
	k.cache.clear()
	k.mu.Unlock()
	if k.db != nil && !closed {
		k.db.Close()
	}
	return nil
}

// An ourError is one for which PostgreSQL is not to blame.
type ourError struct{ error }

// ask asks PostgreSQL, which may take its time. What it cannot answer now it may answer later.
func (k *SharedKeyring) ask(ctx context.Context, do func(context.Context) error) error {
	return k.askLong(ctx, sharedPatience, do)
}

func (k *SharedKeyring) askLong(ctx context.Context, patience time.Duration, do func(context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	k.mu.Lock()
	closed := k.closed
	k.mu.Unlock()
	if closed {
		return eventstore.ErrClosed
	}
	asked, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := do(asked)
	if own, is := errors.AsType[ourError](err); is {
		return own.error
	}
	if err == nil || errors.Is(err, pgx.ErrNoRows) || ctx.Err() != nil {
		return err
	}
	return fmt.Errorf("%w: ask %s: %w", eventstore.ErrUnavailable, k.where(), err)
}

// transaction asks in a transaction.
func (k *SharedKeyring) transaction(ctx context.Context, do func(context.Context, pgx.Tx) error) error {
	return k.ask(ctx, func(ctx context.Context) error {
		return pgx.BeginFunc(ctx, k.db, func(tx pgx.Tx) error { return do(ctx, tx) })
	})
}
