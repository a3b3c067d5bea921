package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/rollcall-mdm/rollcall/eventstore/seal"
)

// backupCmd copies the log as of one moment, also while a server runs on the directory. To restore is to copy the
// files back into an empty directory: views and snapshots are folded again.
type backupCmd struct {
	stopped
	To       string `name:"out" required:"" placeholder:"DIR" help:"Where the copy goes: a directory that is made, or holds no log yet."`
	WithKeys bool   `name:"with-keys" help:"Copy the keys too. Whoever has them and the log can read everything: keep them apart, and for a shorter time."`
}

// Run fulfils kong's command. The log is copied before the keys: keys are durable before events that need them.
func (c *backupCmd) Run(ctx context.Context) error {
	if _, err := os.Stat(filepath.Join(c.Data, "log.db")); err != nil {
		return fmt.Errorf("%s is no data directory, for it holds no log.db: name the server's with --data", c.Data)
	}
	if err := os.MkdirAll(c.To, 0o700); err != nil {
		return fmt.Errorf("make the backup's directory: %w", err)
	}
	databases, files := []string{"log.db"}, []string(nil)
	if c.WithKeys {
		databases, files = append(databases, "keys.db"), []string{"master.key", "index.key", "device-ca.pem", "device-ca.key", "ledger.key"}
	}
	for _, name := range databases {
		if _, err := os.Stat(filepath.Join(c.To, name)); err == nil {
			return fmt.Errorf("%s holds a %s already: a backup wants a directory of its own", c.To, name)
		}
	}
	for _, name := range databases {
		if err := seal.CopyDatabase(ctx, filepath.Join(c.Data, name), filepath.Join(c.To, name)); err != nil {
			return err
		}
	}
	for _, name := range files {
		if err := copyPrivate(filepath.Join(c.Data, name), filepath.Join(c.To, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("back up %s: %w", name, err)
		}
	}
	fmt.Fprintf(c.out(), "the log is copied to %s\n", c.To)
	if !c.WithKeys {
		fmt.Fprintln(c.out(), "without master.key, index.key and keys.db it opens nothing that is personal or secret: back them up apart, with --with-keys")
	}
	return nil
}

// copyPrivate copies a small file that only its owner may read, durably.
func copyPrivate(from, to string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Sync(), f.Close())
}
