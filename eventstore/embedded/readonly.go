package embedded

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"

	"golang.org/x/mod/sumdb/tlog"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// ReadOnly is a log's file that is only read, while another process may append to it. It is what an auditor needs:
// the events and their hashes, up to the head at the time of opening.
type ReadOnly struct {
	readers *readers
	head    eventstore.Position
}

// OpenReadOnly opens the file at path for reading. It takes no lock and disturbs nobody.
func OpenReadOnly(ctx context.Context, path string) (*ReadOnly, error) {
	r, err := openReadOnly(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("read the log %s: %w", path, err)
	}
	return r, nil
}

func openReadOnly(ctx context.Context, path string) (*ReadOnly, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	var options Options
	options.fill()
	rs, err := openReaders(path, options)
	if err != nil {
		return nil, err
	}
	r := &ReadOnly{readers: rs}
	if err := r.readHead(ctx); err != nil {
		return nil, errors.Join(err, rs.close())
	}
	return r, nil
}

func (r *ReadOnly) readHead(ctx context.Context) error {
	one, err := r.readers.borrow(ctx)
	if err != nil {
		return err
	}
	defer func() { r.readers.idle <- one }()
	version, err := sqlitex.ResultInt(one.conn.Prep("PRAGMA user_version"))
	if err == nil && version != fileVersion && version != archivedVersion {
		err = fmt.Errorf("it has version %d, want %d: start the server of this release once", version, fileVersion)
	}
	if err != nil {
		return err
	}
	head, err := sqlitex.ResultInt64(one.conn.Prep("SELECT coalesce(max(position), 0) FROM events"))
	r.head = eventstore.Position(head)
	return err
}

// ReadAll yields all events after a position; see eventstore.Log.
func (r *ReadOnly) ReadAll(ctx context.Context, after eventstore.Position) iter.Seq2[eventstore.Envelope, error] {
	return events(func(last *eventstore.Envelope) (page, error) {
		if last != nil {
			after = last.Position
		}
		return r.readers.all(ctx, after, r.head)
	})
}

// Leaves returns how many events the tree had when the file was opened.
func (r *ReadOnly) Leaves(context.Context) (int64, error) { return int64(r.head), nil }

// ReadHashes returns hashes of the tree; see Log.ReadHashes.
func (r *ReadOnly) ReadHashes(ctx context.Context, indexes []int64) ([]tlog.Hash, error) {
	return r.readers.treeHashes(ctx, indexes)
}

// Close closes the file.
func (r *ReadOnly) Close() error { return r.readers.close() }
