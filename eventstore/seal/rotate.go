package seal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// NextMasterKey is where a new master key stands, beside the old one's file, while a rotation is under way.
func NextMasterKey(path string) string { return path + ".next" }

// Rotate wraps all data keys with another master key, in one transaction. The data keys themselves, and all that they
// seal, stay as they are. When it returns, the file holds nothing that the old master key unwraps. count is how many
// were wrapped.
func (k *FileKeyring) Rotate(ctx context.Context, next MasterKey) (count int, err error) {
	err = k.write(ctx, func() error {
		if count, err = k.rewrap(ctx, next); err != nil {
			return fmt.Errorf("rotate the master key: %w", err)
		}
		k.master = next
		k.cache.clear()
		return k.emptyWAL()
	})
	return count, err
}

func (k *FileKeyring) rewrap(ctx context.Context, next MasterKey) (count int, err error) {
	end, err := sqlitex.ImmediateTransaction(k.writer)
	if err != nil {
		return 0, err
	}
	defer end(&err)
	wrapped, err := k.wrapped()
	if err != nil {
		return 0, err
	}
	for subject, old := range wrapped {
		plain, err := k.master.Unwrap(ctx, subject, old)
		if err != nil {
			return 0, err
		}
		now, err := next.Wrap(ctx, subject, plain)
		clear(plain)
		if err != nil {
			return 0, err
		}
		if err := k.exec("UPDATE keys SET wrapped = ?, master = ? WHERE subject = ?", now, next.ID(), subject); err != nil {
			return 0, err
		}
	}
	probe, err := next.Wrap(ctx, probeSubject, NewDataKeys().bytes())
	if err != nil {
		return 0, err
	}
	return len(wrapped), k.exec("UPDATE master SET id = ?, probe = ?", next.ID(), probe)
}

// wrapped returns all data keys that were not destroyed, as the file has them.
func (k *FileKeyring) wrapped() (map[string][]byte, error) {
	all := map[string][]byte{}
	err := sqlitex.Execute(k.writer, "SELECT subject, wrapped FROM keys WHERE wrapped IS NOT NULL", &sqlitex.ExecOptions{
		ResultFunc: func(row *sqlite.Stmt) error {
			all[row.ColumnText(0)] = columnBytes(row, 1)
			return nil
		},
	})
	return all, err
}

// SettleRotation ends a rotation that was cut off: of the master key's file and the next one's, the one that opens
// the keyring's file stays. It does nothing if no rotation was under way.
func SettleRotation(keyring, masterFile string) error {
	nextFile := NextMasterKey(masterFile)
	if _, err := os.Stat(nextFile); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	next, err := OpenMasterKey(nextFile)
	if err != nil {
		return err
	}
	id, err := masterOf(keyring)
	if err != nil {
		return fmt.Errorf("settle a rotation of the master key: %w", err)
	}
	if id == next.ID() {
		err = os.Rename(nextFile, masterFile)
	} else {
		err = os.Remove(nextFile)
	}
	return errors.Join(err, syncDir(filepath.Dir(masterFile)))
}

// masterOf returns the id of the master key that opens a keyring's file.
func masterOf(keyring string) (string, error) {
	conn, err := sqlite.OpenConn(keyring, sqlite.OpenReadWrite)
	if err != nil {
		return "", err
	}
	id, err := sqlitex.ResultText(conn.Prep("SELECT id FROM master"))
	return id, errors.Join(err, conn.Close())
}
