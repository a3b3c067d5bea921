package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/rollcall-mdm/rollcall/eventstore/lease"
	"github.com/rollcall-mdm/rollcall/eventstore/seal"
)

type keysMoveCmd struct {
	stopped
}

// Run fulfils kong's command. The file keeps its name until PostgreSQL has all that is in it: whoever is killed runs it again.
func (c *keysMoveCmd) Run(ctx context.Context) error {
	file := filepath.Join(c.Data, "keys.db")
	if err := errors.Join(c.checkKeyring(), c.alone()); err != nil {
		return err
	}
	if !c.shared() {
		return errors.New("say with --keys where the keys go: postgres://USER:PASSWORD@HOST/DATABASE")
	}
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s holds no keys.db: nothing is to be moved", c.Data)
	}
	count, err := c.move(ctx, file)
	if err != nil {
		return err
	}
	if err := errors.Join(seal.EmptyWAL(file), os.Rename(file, file+".moved"), syncDir(c.Data)); err != nil {
		return fmt.Errorf("the keys are in PostgreSQL, but keys.db still has its name: %w", err)
	}
	fmt.Fprintf(c.out(), "the keys of %d subjects are in PostgreSQL now, and what servers share beside them; start the server with --keys from now on\n", count)
	fmt.Fprintf(c.err(), "destroy %s.moved when all is well: what is erased from now on still stands in it\n", file)
	return nil
}

func (c *keysMoveCmd) move(ctx context.Context, file string) (count int, err error) {
	logger := slog.New(slog.NewTextHandler(c.err(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	start := lease.Lease{URL: c.Keys, Name: "start", Logger: logger}
	release, err := start.Lock(ctx)
	if err != nil {
		return 0, err
	}
	defer release()
	keys, err := seal.OpenShared(ctx, seal.SharedOptions{URL: c.Keys, Logger: logger, Master: func(ctx context.Context, _ string) (seal.MasterKey, error) {
		return c.custody(c.Data).Open(ctx, file)
	}})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, keys.Close()) }()
	if count, err = keys.TakeOver(ctx, file); err != nil {
		return 0, err
	}
	return count, (&sharing{dir: c.Data, keys: keys}).push(ctx)
}
