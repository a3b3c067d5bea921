package projections

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"

	"zombiezen.com/go/sqlite"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// Options are how Views is opened. The zero value is useful.
type Options struct {
	Readers   int           // connections that read at once; 4 if zero
	CacheSize int           // bytes of page cache of all connections together; 24 MiB if zero
	Pause     time.Duration // the least between two commits while nobody waits; 20 ms if zero, none if negative
	Logger    *slog.Logger  // slog.Default() if nil

	views []view // other than views(): for tests
}

// Views keeps all views of a log in one SQLite file.
type Views struct {
	*edition // that is served. Whoever holds writing may use it as it stands; readers are lent it.

	options Options
	path    string        // by which the file is known: of itself, or of a link to it
	writing chan struct{} // holds one element while somebody writes

	mu       sync.Mutex
	log      eventstore.Log // that Run follows; nil before
	reached  eventstore.Position
	passed   chan struct{} // closed when reached grows, or another edition is served
	hurry    chan struct{} // somebody waits
	closed   bool
	next     *takeover          // an edition that waits to be served
	breakOff context.CancelFunc // lets Run look at next
	rebuild  *progress          // of the rebuild that is under way; nil if there is none
}

// ErrClosed says that the views were closed.
var ErrClosed = errors.New("the views are closed")

// ErrBuilding says that the views on disk are of another version, which today's questions do not fit. They can be
// asked as soon as Rebuild is done.
var ErrBuilding = errors.New("the views are being built for this version of the program: ask again soon")

// oldestSQLite is the oldest version that has no known corruption of write-ahead logs.
const oldestSQLite = 3_051_003

// Open opens the views kept in a file, made if it does not exist (mode 0600). Views that were written by another
// version of their fold are served as they are if today's questions fit their tables, and not at all otherwise: see
// Stale.
func Open(ctx context.Context, path string, o Options) (*Views, error) {
	o.fill()
	v := &Views{
		options: o, path: path, writing: make(chan struct{}, 1), passed: make(chan struct{}), hurry: make(chan struct{}, 1),
	}
	if err := v.open(ctx); err != nil {
		return nil, fmt.Errorf("open the views: %w", err)
	}
	return v, nil
}

func (v *Views) open(ctx context.Context) error {
	if sqlite.VersionNumber < oldestSQLite {
		return fmt.Errorf("SQLite %s has known defects: 3.51.3 or newer is needed", sqlite.Version)
	}
	file, err := resolve(v.path)
	if err != nil {
		return err
	}
	if err := errors.Join(touch(file), sweep(v.path, file)); err != nil {
		return err
	}
	e, err := openServed(ctx, file, v.options)
	if err != nil {
		return err
	}
	v.edition, v.reached = e, eventstore.Position(e.slowest())
	return nil
}

// openServed opens an edition that is to be served. The writer gets half of the page cache.
func openServed(ctx context.Context, file string, o Options) (*edition, error) {
	e, err := openEdition(ctx, file, o, sqlite.OpenReadWrite|sqlite.OpenCreate|sqlite.OpenWAL,
		"synchronous=NORMAL", "wal_autocheckpoint=4000", "journal_size_limit=67108864", fmt.Sprintf("cache_size=-%d", o.CacheSize/2>>10))
	if err != nil {
		return nil, err
	}
	if err := e.openReaders(o); err != nil {
		return nil, errors.Join(err, e.close())
	}
	return e, nil
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
	if o.views == nil {
		o.views = views()
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

// Stale names the views that another version of their fold has written: Rebuild makes them new. Until it has, they
// are served as they are, or, if asked reports false, every question is answered with ErrBuilding.
func (v *Views) Stale() (names []string, asked bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.stale, !v.unfit
}

// Close ends the views. Run and Rebuild must have returned.
func (v *Views) Close() error {
	v.mu.Lock()
	if v.closed {
		v.mu.Unlock()
		return nil
	}
	v.closed = true
	close(v.passed)
	v.mu.Unlock()
	if v.writer != nil { // somebody may write
		v.writing <- struct{}{}
	}
	return v.edition.close()
}

// read answers from one consistent state of all views.
func (v *Views) read(ctx context.Context, ask func(Tx) error) error {
	e, err := v.lend()
	if err != nil {
		return fmt.Errorf("read the views: %w", err)
	}
	defer e.using.Done()
	if e.unfit {
		return ErrBuilding
	}
	return e.read(ctx, ask)
}

// lend returns the edition that is served. Whoever has done with it says so to its using.
func (v *Views) lend() (*edition, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		return nil, ErrClosed
	}
	v.using.Add(1)
	return v.edition, nil
}
