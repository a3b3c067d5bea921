package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/embedded"
	"github.com/rollcall-mdm/rollcall/eventstore/esdb"
	"github.com/rollcall-mdm/rollcall/eventstore/ledger"
)

// A storage says where the log is kept. Keys, views and checkpoints are in the data directory wherever that is.
type storage struct {
	keeping
	Store string `default:"embedded" placeholder:"WHERE" help:"The event log: embedded, in the data directory; or an EventStoreDB, as esdb://USER:PASSWORD@HOST:2113 or esdb+discover://… (better in ROLLCALL_STORE than on the command line, which others can read)."`
}

// embedded reports whether the log stands in the data directory.
func (s storage) embedded() bool { return s.Store == "" || s.Store == "embedded" }

// checkStore refuses what no log is kept in. It does not repeat the password.
func (s storage) checkStore() error {
	scheme, _, _ := strings.Cut(s.Store, "://")
	if !s.embedded() && scheme != "esdb" && scheme != "esdb+discover" {
		return fmt.Errorf("--store %q is no log: take embedded, esdb://… or esdb+discover://…", scheme)
	}
	return s.checkKeyring()
}

// shown is the store without user and password, for people to read.
func (s storage) shown() string {
	if s.embedded() {
		return "embedded"
	}
	u, err := url.Parse(s.Store)
	if err != nil {
		return "EventStoreDB"
	}
	return u.Scheme + "://" + u.Host
}

// The files of the log, and of the ledger's index of a log that is kept elsewhere. A data directory has one of them.
const (
	logFile   = "log.db"
	indexFile = "ledger.db"
)

// lockFiles are those that a process holds which works on a data directory.
var lockFiles = []string{logFile + ".lock", indexFile + ".lock"}

// fits refuses a data directory that belongs to a log which is kept in another way.
func (s storage) fits(file func(string) string) error {
	other, hint := logFile, "the log is in the data directory: leave --store out, or take another --data"
	if s.embedded() {
		other, hint = indexFile, "the log of this data directory is in an EventStoreDB: name it with --store, or take another --data"
	}
	if _, err := os.Stat(file(other)); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, fmt.Errorf("there is a %s: %s", other, hint))
	}
	return nil
}

// A shelf is a log with the tree over its events. One process at a time has it.
type shelf struct {
	eventstore.Log
	tree  ledger.Tree
	index func(context.Context) error // keeps the tree up with the log; nil if the log does it
}

// An opening says which house is to be opened, and who is told what.
type opening struct {
	storage
	Dir     string
	Logger  *slog.Logger
	Metrics *metrics // none if nil
}

// openShelf opens the log. It also makes sure that no other process works on the directory.
func (o opening) openShelf(ctx context.Context, file func(string) string) (shelf, error) {
	if err := errors.Join(o.checkStore(), o.fits(file)); err != nil {
		return shelf{}, err
	}
	if !o.embedded() {
		return o.openElsewhere(ctx, file(indexFile))
	}
	options := embedded.Options{Recent: 4 << 20, Logger: o.Logger}
	if o.Metrics != nil {
		options.Observe = o.Metrics.committed
	}
	log, err := embedded.Open(ctx, file(logFile), options)
	if errors.Is(err, embedded.ErrInUse) {
		err = fmt.Errorf("%w; for servers that share a log, keep it in an EventStoreDB and their keys in a PostgreSQL (--store esdb://… --keys postgres://…)", err)
	}
	if err != nil {
		return shelf{}, err
	}
	return shelf{Log: log, tree: log}, nil
}

// storePatience is how long a call waits for a database that is away: an election takes a second or two, and who waits
// longer is better told to come again.
const storePatience = 5 * time.Second

// openElsewhere opens a log in EventStoreDB, and brings the ledger's index up to it. A log that lost or changed what the
// index has is refused.
func (o opening) openElsewhere(ctx context.Context, file string) (shelf, error) {
	index, err := embedded.OpenIndex(ctx, file)
	if err != nil {
		return shelf{}, err
	}
	options := esdb.Options{Patience: storePatience, Logger: o.Logger}
	if o.Metrics != nil {
		options.Observe = o.Metrics.appended
	}
	log, err := esdb.Open(ctx, o.Store, options)
	if err != nil {
		return shelf{}, errors.Join(err, index.Close())
	}
	e := &elsewhere{log, index}
	if err := errors.Join(index.Confirm(ctx, log)); err != nil {
		return shelf{}, errors.Join(err, e.Close())
	}
	if err := index.CatchUp(ctx, log, nil); err != nil {
		return shelf{}, errors.Join(err, e.Close())
	}
	return shelf{e, index, func(ctx context.Context) error { return index.Run(ctx, log) }}, nil
}

// An elsewhere is a log in EventStoreDB with the ledger's index of it.
type elsewhere struct {
	*esdb.Log
	index *embedded.Index
}

// Count fulfils eventstore.Counter.
func (e *elsewhere) Count(ctx context.Context, at eventstore.Position) (int64, error) {
	return e.index.Count(ctx, at)
}

// place returns the place of the event at a position. It waits for the index to come as far as the log is.
func (e *elsewhere) place(ctx context.Context, at eventstore.Position) (eventstore.Position, error) {
	ctx, cancel := context.WithTimeout(ctx, storePatience)
	defer cancel()
	for {
		place, err := e.index.Place(ctx, at)
		if !errors.Is(err, ledger.ErrBeyond) {
			return place, err
		}
		if _, found, readErr := e.ReadAt(ctx, at); readErr != nil || !found {
			return 0, errors.Join(err, readErr)
		}
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("wait for the ledger: %w", ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// Close closes both. Nobody may follow the log any more.
func (e *elsewhere) Close() error { return errors.Join(e.Log.Close(), e.index.Close()) }
