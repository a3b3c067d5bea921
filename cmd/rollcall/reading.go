package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/catalog"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/embedded"
	"github.com/rollcall-mdm/rollcall/eventstore/esdb"
	"github.com/rollcall-mdm/rollcall/eventstore/seal"
	"github.com/rollcall-mdm/rollcall/projections"
)

// A readHouse is a house that is only read, whether a server lives in it or not: its log takes no events, and its
// keyring makes no keys.
type readHouse struct {
	*house
	keys readKeyring
}

// reads opens the directory for reading, does something with it, and closes it again. Nothing is locked, and nothing is
// made, but for a directory that an older program has left, which is brought up to date first.
func (s *stopped) reads(ctx context.Context, do func(*house) error) error {
	if err := s.present(); err != nil {
		return err
	}
	logger := slog.New(slog.NewTextHandler(s.err(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	o := opening{storage: s.storage, Dir: s.Data, Logger: logger}
	h, err := openReading(ctx, o)
	if err != nil && !s.inUse() { // an older program's, perhaps: whoever opens it for writing brings it up to date
		if s.with(ctx, func(*house) error { return nil }) == nil {
			h, err = openReading(ctx, o)
		}
	}
	if err != nil {
		return err
	}
	return errors.Join(do(h.house), h.close())
}

func openReading(ctx context.Context, o opening) (*readHouse, error) {
	h := &readHouse{house: &house{dir: o.Dir, now: time.Now, logger: o.Logger, custody: o.custody(o.Dir)}}
	if err := h.open(ctx, o); err != nil {
		return nil, errors.Join(err, h.close())
	}
	return h, nil
}

func (h *readHouse) open(ctx context.Context, o opening) (err error) {
	if err := h.openKeys(ctx, o.keeping); err != nil {
		return err
	}
	if h.pseudonyms, err = seal.OpenPseudonyms(h.path("index.key")); err != nil {
		return err
	}
	h.codec = &seal.Codec[domain.Event]{Types: catalog.Events(), Keys: h.keys}
	if err := h.openLog(ctx, o); err != nil {
		return err
	}
	h.gather()
	h.devices.Snapshots = nil // those are the server's
	return nil
}

// A counted is a log in EventStoreDB whose events the ledger's index counts, as far as it has come by now.
type counted struct {
	*esdb.Log
	index *embedded.IndexReader
}

// Count fulfils eventstore.Counter.
func (c *counted) Count(ctx context.Context, at eventstore.Position) (int64, error) {
	return c.index.Count(ctx, at)
}

// Close closes both.
func (c *counted) Close() error { return errors.Join(c.Log.Close(), c.index.Close()) }

// masterKey opens the master key with an id: the one of now, or the next one, if a rotation is about to put it in its
// place.
func (h *readHouse) masterKey(ctx context.Context, id string) (seal.MasterKey, error) {
	return h.custody.Find(ctx, id)
}

func (h *readHouse) openLog(ctx context.Context, o opening) error {
	if !o.embedded() {
		log, err := esdb.Open(ctx, o.Store, esdb.Options{Patience: storePatience, Logger: o.Logger})
		if err != nil {
			return err
		}
		h.log = log
		index, err := embedded.OpenIndexReadOnly(ctx, h.path(indexFile))
		if errors.Is(err, fs.ErrNotExist) {
			return nil // nobody can count events yet
		}
		if err == nil {
			h.log = &counted{log, index}
		}
		return err
	}
	log, err := embedded.OpenReader(ctx, h.path(logFile))
	if err == nil {
		h.log, h.tree = log, log
	}
	return err
}

func (h *readHouse) close() error {
	err := h.house.close()
	if h.keys != nil {
		err = errors.Join(err, h.keys.Close())
	}
	return err
}

// viewsAt opens the views for reading, once they show what the log had at a position. If a server runs, it folds them;
// if none does, what is missing is folded here.
func (s *stopped) viewsAt(ctx context.Context, h *house, at eventstore.Position) (*projections.Views, error) {
	for told := false; ; {
		views, err := projections.OpenReadOnly(ctx, h.path("views.db"), projections.Options{Logger: h.logger})
		if err == nil {
			var reached eventstore.Position
			if reached, err = views.Standing(ctx); err == nil && reached >= at {
				return views, nil
			}
			err = errors.Join(err, views.Close())
		}
		switch {
		case ctx.Err() != nil:
			return nil, errors.Join(ctx.Err(), err)
		case !s.inUse():
			err = s.with(ctx, func(h *house) error { return s.foldViews(ctx, h) })
		case !told:
			told, err = true, nil
			fmt.Fprintln(s.err(), "waiting for the server's views to reach the end of the log")
		default:
			err = nil
		}
		if err != nil && !s.inUse() { // otherwise a server has come up meanwhile: it folds them
			return nil, err
		}
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// foldViews folds into the directory's views what they have not seen yet.
func (s *stopped) foldViews(ctx context.Context, h *house) error {
	views, err := s.views(ctx, h)
	if err != nil {
		return err
	}
	return views.Close()
}
