package projections

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

// Rebuild folds all views of a log anew, in a file beside the one at path, and then puts it in its place. Nobody may
// have the views open. If it does not come to its end, the views at path are as they were.
func Rebuild(ctx context.Context, path string, o Options, log eventstore.Log, codec eventstore.Codec[domain.Event],
	tell func(at eventstore.Position)) error {
	beside := path + ".new"
	if err := Remove(beside); err != nil {
		return fmt.Errorf("rebuild the views: %w", err)
	}
	views, err := Open(ctx, beside, o)
	if err != nil {
		return fmt.Errorf("rebuild the views: %w", err)
	}
	err = pragmas(views.writer.conn, "synchronous=OFF") // made durable as a whole before it takes its place
	if err == nil {
		err = views.CatchUp(ctx, log, codec, tell)
	}
	if err = errors.Join(err, views.Close()); err == nil {
		err = takePlace(beside, path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("rebuild the views: %w", err), Remove(beside))
	}
	return nil
}

// takePlace puts one file in the place of another, whose write-ahead log must never meet it: so the other one goes
// first, and a crash in between leaves no views, which are then folded again.
func takePlace(beside, path string) error {
	f, err := os.OpenFile(beside, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close(), Remove(path), os.Rename(beside, path)); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Remove deletes the views at path, if there are any: whoever opens them again folds them anew.
func Remove(path string) error {
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
