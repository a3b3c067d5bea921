package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/rollcall-mdm/rollcall/eventstore/ledger"
	"github.com/rollcall-mdm/rollcall/eventstore/seal"
)

// backupCmd copies the log as of one moment, also while a server runs on the directory. To restore is to copy the
// files back into an empty directory: views and snapshots are folded again.
type backupCmd struct {
	stopped
	To       string `name:"out" required:"" placeholder:"DIR" help:"Where the copy goes: a directory that is made, or holds no log yet."`
	Archives bool   `name:"with-archives" help:"Copy the log's archives too. They never change: once is enough."`
	WithKeys bool   `name:"with-keys" help:"Copy the keys too. Whoever has them and the log can read everything: keep them apart, and for a shorter time."`
}

// Run fulfils kong's command. The log is copied before the keys: keys are durable before events that need them.
func (c *backupCmd) Run(ctx context.Context) error {
	log, extra, err := c.kept()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(c.To, 0o700); err != nil {
		return fmt.Errorf("make the backup's directory: %w", err)
	}
	databases, files := []string{log}, extra
	if c.WithKeys {
		if !c.shared() {
			databases = append(databases, "keys.db")
		}
		files = append(files, "master.key", "master-key.from", "index.key", signerCert, signerKey, ledger.KeyFile, ledger.PublicFile)
		files = append(files, rootFiles(c.Data)...)
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
	for _, name := range slices.Compact(slices.Sorted(slices.Values(files))) {
		if err := copyPrivate(filepath.Join(c.Data, name), filepath.Join(c.To, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("back up %s: %w", name, err)
		}
	}
	c.tell()
	return c.archives(ctx)
}

// tell says what was copied, and what must be backed up in another way.
func (c *backupCmd) tell() {
	if c.embedded() {
		fmt.Fprintf(c.out(), "the log is copied to %s\n", c.To)
	} else {
		fmt.Fprintf(c.out(), "the ledger's index and its newest checkpoint are copied to %s, not the log: it is in %s, back it up now with EventStoreDB's own backup\n", c.To, c.shown())
	}
	if c.shared() {
		fmt.Fprintln(c.out(), "the data keys are in PostgreSQL: back them up with pg_dump, apart and after the log")
	}
	if !c.WithKeys && !c.shared() {
		fmt.Fprintln(c.out(), "without master.key, index.key and keys.db it opens nothing that is personal or secret: back them up apart and after the log, with --with-keys")
	}
}

// kept returns the database that is backed up, and the files beside it. A log in EventStoreDB is not ours to copy: the
// ledger's index and the newest checkpoint are, and by them a log that was restored is known to be whole.
func (c *backupCmd) kept() (database string, files []string, err error) {
	if err := errors.Join(c.checkStore(), c.fits(func(name string) string { return filepath.Join(c.Data, name) })); err != nil {
		return "", nil, err
	}
	database = logFile
	if !c.embedded() {
		database, files = indexFile, []string{ledger.CheckpointFile, ledger.PublicFile}
	}
	if _, err := os.Stat(filepath.Join(c.Data, database)); err != nil {
		return "", nil, fmt.Errorf("%s is no data directory, for it holds no %s: name the server's with --data", c.Data, database)
	}
	return database, files, nil
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
