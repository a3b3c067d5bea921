package projections

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// Options are how Views is opened. The zero value is useful.
type Options struct {
	Readers   int           // connections that read at once; 4 if zero
	CacheSize int           // bytes of page cache of all connections together; 24 MiB if zero
	Pause     time.Duration // between two commits while nobody waits; 20 ms if zero, none if negative
	Logger    *slog.Logger  // slog.Default() if nil
}

// Views keeps all views of a log in one SQLite file.
type Views struct {
	options Options
	readers *sqlitex.Pool
	kept    sync.Map // *sqlite.Conn -> *sqliteTx of the readers

	writing chan struct{} // holds one element while somebody writes
	writer  *sqliteTx
	names   *names
	folders []*folding

	mu      sync.Mutex
	log     eventstore.Log // that Run follows; nil before
	reached eventstore.Position
	passed  chan struct{} // closed when reached grows
	hurry   chan struct{} // somebody waits
	closed  bool
}

// ErrClosed says that the views were closed.
var ErrClosed = errors.New("the views are closed")

// oldestSQLite is the oldest version that has no known corruption of write-ahead logs.
const oldestSQLite = 3_051_003

// Open opens the views kept in a file, made if it does not exist (mode 0600). A view that was written by
// another version of its fold is dropped, and Run builds it anew.
func Open(ctx context.Context, path string, o Options) (*Views, error) {
	o.fill()
	if sqlite.VersionNumber < oldestSQLite {
		return nil, fmt.Errorf("SQLite %s has known defects: 3.51.3 or newer is needed", sqlite.Version)
	}
	if err := touch(path); err != nil {
		return nil, fmt.Errorf("open the views: %w", err)
	}
	conn, err := sqlite.OpenConn(path, sqlite.OpenReadWrite|sqlite.OpenCreate|sqlite.OpenWAL)
	if err != nil {
		return nil, fmt.Errorf("open the views: %w", err)
	}
	v := &Views{
		options: o, writer: newSQLiteTx(conn), writing: make(chan struct{}, 1),
		passed: make(chan struct{}), hurry: make(chan struct{}, 1),
	}
	v.names = newNames(v.writer)
	if err := v.prepare(ctx, path); err != nil {
		return nil, errors.Join(fmt.Errorf("open the views: %w", err), v.Close())
	}
	return v, nil
}

func (o *Options) fill() {
	if o.Readers == 0 {
		o.Readers = 4
	}
	if o.CacheSize == 0 {
		o.CacheSize = 24 << 20
	}
	if o.Pause == 0 {
		o.Pause = 20 * time.Millisecond
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
}

// touch makes the file, readable by its owner only; SQLite gives its companions the same mode.
func touch(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil && info.Mode().Perm()&0o077 != 0 {
		err = os.Chmod(path, info.Mode()&^fs.FileMode(0o077))
	}
	return errors.Join(err, f.Close())
}

// prepare makes the tables and the readers. The writer gets half of the page cache.
func (v *Views) prepare(ctx context.Context, path string) error {
	half := v.options.CacheSize / 2 >> 10
	if err := pragmas(v.writer.conn, "synchronous=NORMAL", "wal_autocheckpoint=4000",
		"journal_size_limit=67108864", fmt.Sprintf("cache_size=-%d", half)); err != nil {
		return err
	}
	if err := v.tables(ctx); err != nil {
		return err
	}
	readers, err := sqlitex.NewPool(path, sqlitex.PoolOptions{
		Flags: sqlite.OpenReadWrite | sqlite.OpenWAL, PoolSize: v.options.Readers,
		PrepareConn: func(c *sqlite.Conn) error {
			return pragmas(c, "query_only=ON", fmt.Sprintf("cache_size=-%d", max(half/v.options.Readers, 256)))
		},
	})
	v.readers = readers
	return err
}

func pragmas(conn *sqlite.Conn, settings ...string) error {
	for _, s := range settings {
		if err := sqlitex.ExecuteTransient(conn, "PRAGMA "+s, nil); err != nil {
			return err
		}
	}
	return nil
}

// tables makes what is missing, and drops the tables of views whose version is another one.
func (v *Views) tables(ctx context.Context) (err error) {
	v.writer.conn.SetInterrupt(ctx.Done())
	defer v.writer.conn.SetInterrupt(nil)
	if err := v.writer.Exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	defer func() { err = v.end(err) }()
	if err := v.script(namesSQL); err != nil {
		return err
	}
	for i, name := range hotTypes() {
		if err := v.writer.Exec(`INSERT INTO names (vocabulary, id, text) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`,
			int64(types), i+1, name); err != nil {
			return err
		}
	}
	for _, one := range views() {
		if err := v.table(one); err != nil {
			return fmt.Errorf("view %s: %w", one.name, err)
		}
	}
	return v.restore()
}

func (v *Views) table(one view) error {
	var version, position int64
	found, err := onerow(v.writer, `SELECT version, position FROM checkpoints WHERE view = ?`, []any{one.name},
		&version, &position)
	if err != nil || found && version == int64(one.version) {
		return err
	}
	for _, table := range one.tables {
		if err := v.writer.Exec("DROP TABLE IF EXISTS " + table); err != nil {
			return err
		}
	}
	if err := v.script(one.schema); err != nil {
		return err
	}
	if err := v.writer.Exec(`DELETE FROM parked WHERE view = ?`, one.name); err != nil {
		return err
	}
	return v.writer.Exec(`INSERT INTO checkpoints (view, version, position, time, rebuild) VALUES (?, ?, 0, 0, ?)
		ON CONFLICT (view) DO UPDATE SET version = excluded.version, position = 0, time = 0, rebuild = excluded.rebuild`,
		one.name, one.version, position)
}

// script runs the statements of a file of SQL, which are separated by semicolons.
func (v *Views) script(text string) error {
	for statement := range strings.SplitSeq(text, ";\n") {
		if strings.TrimSpace(statement) == "" {
			continue
		}
		if err := v.writer.Exec(statement); err != nil {
			return err
		}
	}
	return nil
}

// end commits the writer's transaction, or rolls it back if err is not nil.
func (v *Views) end(err error) error {
	if err == nil {
		if err = v.writer.Exec("COMMIT"); err == nil {
			return nil
		}
	}
	v.writer.conn.SetInterrupt(nil)
	if !v.writer.conn.AutocommitEnabled() {
		err = errors.Join(err, v.writer.Exec("ROLLBACK"))
	}
	v.forget()
	return err
}

// Close ends the views. Run must have returned.
func (v *Views) Close() error {
	v.mu.Lock()
	if v.closed {
		v.mu.Unlock()
		return nil
	}
	v.closed = true
	close(v.passed)
	v.mu.Unlock()
	v.writing <- struct{}{}
	var err error
	if v.readers != nil {
		v.kept.Range(func(_, tx any) bool {
			tx.(*sqliteTx).forget()
			return true
		})
		err = v.readers.Close()
	}
	if v.writer != nil {
		err = errors.Join(err, v.writer.close())
	}
	return err
}

// read answers from one consistent state of all views.
func (v *Views) read(ctx context.Context, ask func(Tx) error) error {
	conn, err := v.readers.Take(ctx)
	if err != nil {
		return fmt.Errorf("read the views: %w", err)
	}
	defer v.readers.Put(conn)
	kept, _ := v.kept.LoadOrStore(conn, newSQLiteTx(conn))
	tx := kept.(*sqliteTx)
	if len(tx.kept) > maxPrepared {
		tx.forget()
	}
	if err := tx.Exec("BEGIN"); err != nil {
		return fmt.Errorf("read the views: %w", err)
	}
	err = ask(tx)
	conn.SetInterrupt(nil)
	if endErr := tx.Exec("ROLLBACK"); err == nil && endErr != nil {
		err = fmt.Errorf("read the views: %w", endErr)
	}
	return err
}
