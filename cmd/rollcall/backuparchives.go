package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/rollcall-mdm/rollcall/eventstore/embedded"
	"github.com/rollcall-mdm/rollcall/eventstore/seal"
)

// archives copies the archives beside the copy of the log, which finds them there, or says which ones it needs.
func (c *backupCmd) archives(ctx context.Context) error {
	if !c.embedded() {
		return nil
	}
	list, err := embedded.Archives(ctx, filepath.Join(c.To, logFile))
	if err != nil {
		return err
	}
	for _, a := range list {
		to := filepath.Join(c.To, filepath.Base(a.File))
		if !c.Archives {
			fmt.Fprintf(c.out(), "positions %d to %d stand in the archive %s, which is not copied: it never changes, so copy it once, or all with --with-archives\n",
				a.First, a.Last, filepath.Base(a.File))
			continue
		}
		from := a.File
		if _, err := os.Stat(from); errors.Is(err, os.ErrNotExist) {
			from = filepath.Join(c.Data, filepath.Base(a.File))
		}
		if err := seal.CopyDatabase(ctx, from, to); err != nil {
			return err
		}
		if _, err := embedded.CheckArchive(ctx, to); err != nil {
			return err
		}
		fmt.Fprintf(c.out(), "the archive %s is copied beside it\n", filepath.Base(a.File))
	}
	return nil
}
