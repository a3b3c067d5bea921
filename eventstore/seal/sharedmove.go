package seal

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/jackc/pgx/v5"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// TakeOver copies all that stands in a keyring's file, which the same master key has wrapped, and which nobody uses meanwhile. It
// is refused if the shared keyring has data keys already. count is of how many subjects it took the keys.
func (k *SharedKeyring) TakeOver(ctx context.Context, path string) (count int, err error) {
	if k.ReadOnly {
		return 0, ErrReadOnly
	}
	id, err := MasterOf(path)
	if err == nil && id != k.MasterKey() {
		err = fmt.Errorf("its keys are wrapped by the master key %s, those in PostgreSQL by %s", id, k.MasterKey())
	}
	if err != nil {
		return 0, fmt.Errorf("take over the keyring %s: %w", path, err)
	}
	conn, err := sqlite.OpenConn(path, sqlite.OpenReadWrite, sqlite.OpenWAL)
	if err != nil {
		return 0, fmt.Errorf("take over the keyring %s: %w", path, err)
	}
	err = k.askLong(ctx, sweeping, func(ctx context.Context) error {
		return pgx.BeginFunc(ctx, k.db, func(tx pgx.Tx) (err error) {
			count, err = takeOver(ctx, conn, tx)
			return err
		})
	})
	if err = errors.Join(err, conn.Close()); err != nil {
		return 0, fmt.Errorf("take over the keyring %s: %w", path, err)
	}
	return count, k.catchUp(ctx)
}

func takeOver(ctx context.Context, conn *sqlite.Conn, tx pgx.Tx) (count int, err error) {
	there := 0
	if err := tx.QueryRow(ctx, "SELECT count(*) FROM rollcall_keys WHERE subject <> $1", []byte(keptSubject)).Scan(&there); err != nil {
		return 0, err
	}
	if there > 0 {
		return 0, ourError{errors.New("PostgreSQL has data keys already: a schema holds the keys of one log")}
	}
	if _, err := tx.Exec(ctx, "UPDATE rollcall_master SET destroyed = destroyed + 1"); err != nil { // what was erased is read anew
		return 0, err
	}
	for from, to := range map[string]string{
		"SELECT CAST(subject AS BLOB), master, wrapped FROM keys": "rollcall_keys",
		"SELECT stream, upto, NULL FROM erased":                   "rollcall_erased",
		"SELECT stream, NULL, NULL FROM erasing":                  "rollcall_erasing",
	} {
		n, err := tx.CopyFrom(ctx, pgx.Identifier{to}, columnsOf[to], &rowsOf{stmt: conn.Prep(from), table: to})
		if err != nil {
			return 0, err
		}
		if to == "rollcall_keys" {
			count = int(n)
		}
	}
	return count, nil
}

var columnsOf = map[string][]string{
	"rollcall_keys": {"subject", "master", "wrapped"}, "rollcall_erased": {"stream", "upto"}, "rollcall_erasing": {"stream"},
}

// rowsOf reads rows for one of PostgreSQL's tables out of SQLite's.
type rowsOf struct {
	stmt  *sqlite.Stmt
	table string
	err   error
}

// Next fulfils pgx.CopyFromSource.
func (r *rowsOf) Next() (more bool) {
	more, r.err = r.stmt.Step()
	return more && r.err == nil
}

// Values fulfils pgx.CopyFromSource.
func (r *rowsOf) Values() ([]any, error) {
	switch r.table {
	case "rollcall_keys":
		return []any{columnBytes(r.stmt, 0), r.stmt.ColumnText(1), columnBytes(r.stmt, 2)}, nil
	case "rollcall_erased":
		return []any{r.stmt.ColumnText(0), r.stmt.ColumnInt64(1)}, nil
	}
	return []any{r.stmt.ColumnText(0)}, nil
}

// Err fulfils pgx.CopyFromSource.
func (r *rowsOf) Err() error { return r.err }

// EmptyWAL moves all that stands beside a keyring's file into it, so that it can be renamed.
func EmptyWAL(path string) error {
	conn, err := sqlite.OpenConn(path, sqlite.OpenReadWrite)
	if err == nil {
		err = errors.Join(sqlitex.ExecuteTransient(conn, "PRAGMA journal_mode=DELETE", nil), conn.Close())
	}
	if err != nil {
		return fmt.Errorf("close the keyring %s: %w", filepath.Base(path), err)
	}
	return nil
}
