package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/embedded"
	"github.com/rollcall-mdm/rollcall/eventstore/esdb"
	"github.com/rollcall-mdm/rollcall/eventstore/ledger"
)

// A premises is where evidence is taken: a data directory, and the log that belongs to it. The server may run.
type premises struct {
	storage
	Data string `default:"./data" placeholder:"DIR" help:"The server's data directory."`
}

func (p premises) file(name string) string { return filepath.Join(p.Data, name) }

// An evidence is what can be read of a data directory. Events in it have their places among all for positions.
type evidence struct {
	*ledger.Ledger
	log   ledger.Events
	place func(context.Context, eventstore.Position) (eventstore.Position, error)
	close []io.Closer
}

func (e evidence) end() error {
	var errs []error
	for _, c := range e.close {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// withEvidence opens a data directory for reading. Nothing is told of a log that is not the one that was signed.
func withEvidence(ctx context.Context, p premises, do func(evidence) error) error {
	e, err := openEvidence(ctx, p)
	if errors.Is(err, ledger.ErrBeyond) { // the server may have signed more since its log was opened
		e, err = openEvidence(ctx, p)
	}
	if err != nil {
		return err
	}
	return errors.Join(do(e), e.end())
}

func openEvidence(ctx context.Context, p premises) (e evidence, err error) {
	if err := errors.Join(p.checkStore(), p.fits(p.file)); err != nil {
		return evidence{}, err
	}
	key, err := ledger.OpenKey(p.Data, "")
	if err != nil {
		return evidence{}, fmt.Errorf("%s: %w", p.Data, err)
	}
	e.Ledger = &ledger.Ledger{Key: key, File: p.file(ledger.CheckpointFile)}
	if p.embedded() {
		err = e.openEmbedded(ctx, p)
	} else {
		err = e.openElsewhere(ctx, p)
	}
	if err == nil {
		err = e.Resume(ctx)
	}
	if err != nil {
		return evidence{}, errors.Join(err, e.end())
	}
	return e, nil
}

func (e *evidence) openEmbedded(ctx context.Context, p premises) error {
	log, err := embedded.OpenReadOnly(ctx, p.file(logFile))
	if err != nil && bringUpToDate(ctx, p.file(logFile)) {
		log, err = embedded.OpenReadOnly(ctx, p.file(logFile))
	}
	if err != nil {
		return err
	}
	e.Tree, e.log, e.close = log, log, []io.Closer{log}
	e.place = func(_ context.Context, at eventstore.Position) (eventstore.Position, error) { return at, nil }
	return nil
}

// bringUpToDate opens a log's file for writing once, which migrates one that an older program has left.
func bringUpToDate(ctx context.Context, file string) bool {
	if _, err := os.Stat(file); err != nil {
		return false
	}
	log, err := embedded.Open(ctx, file, embedded.Options{Logger: slog.New(slog.DiscardHandler)})
	return err == nil && log.Close() == nil
}

// openElsewhere reads a log in EventStoreDB with the ledger's index of it. If no server runs, the index is brought up to
// the log first; if one does, it does that.
func (e *evidence) openElsewhere(ctx context.Context, p premises) error {
	log, err := esdb.Open(ctx, p.Store, esdb.Options{Patience: storePatience, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	e.close = append(e.close, log)
	var reader *embedded.IndexReader
	index, err := embedded.OpenIndex(ctx, p.file(indexFile))
	switch {
	case errors.Is(err, embedded.ErrInUse):
		if reader, err = embedded.OpenIndexReadOnly(ctx, p.file(indexFile)); err != nil {
			return err
		}
		e.close = append(e.close, reader)
		if err := reader.Confirm(ctx, log); err != nil {
			return err
		}
	case err != nil:
		return err
	default:
		e.close, reader = append(e.close, index), &index.IndexReader
		if err := reader.Confirm(ctx, log); err != nil {
			return err
		}
		if err := index.CatchUp(ctx, log, nil); err != nil {
			return err
		}
	}
	e.Tree, e.log, e.place = reader, reader.Numbered(log), reader.Place
	return nil
}
