package seal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// CopyDatabase writes a copy of the SQLite file from to the file to, which must not exist: a keyring, or a log, also
// while another process writes it. The copy is whole as of one moment, durable when it returns, and found sound.
func CopyDatabase(ctx context.Context, from, to string) error {
	if err := copyDatabase(ctx, from, to); err != nil {
		return fmt.Errorf("copy %s: %w", from, err)
	}
	return nil
}

func copyDatabase(ctx context.Context, from, to string) error {
	f, err := os.OpenFile(to, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600) // VACUUM INTO takes an empty file
	if err != nil {
		return err
	}
	conn, err := sqlite.OpenConn(from, sqlite.OpenReadOnly)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	conn.SetInterrupt(ctx.Done())
	err = sqlitex.ExecuteTransient(conn, "VACUUM INTO ?", &sqlitex.ExecOptions{Args: []any{to}})
	if err = errors.Join(err, conn.Close(), f.Sync(), f.Close()); err == nil {
		err = errors.Join(sound(to), syncDir(filepath.Dir(to)))
	}
	if err != nil {
		return errors.Join(err, os.Remove(to))
	}
	return nil
}

// sound looks through the whole file for damage.
func sound(path string) error {
	conn, err := sqlite.OpenConn(path, sqlite.OpenReadOnly)
	if err != nil {
		return err
	}
	text, err := sqlitex.ResultText(conn.Prep("PRAGMA quick_check"))
	if err == nil && text != "ok" {
		err = fmt.Errorf("the copy is damaged: %s", text)
	}
	return errors.Join(err, conn.Close())
}
