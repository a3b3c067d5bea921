package seal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// probeSubject stands for no subject: a stream's name begins with its kind.
const probeSubject = "-probe"

// checkMaster refuses a master key that is not the one of the file, and writes itself into a new file.
func (k *FileKeyring) checkMaster() (err error) {
	end, err := sqlitex.ImmediateTransaction(k.writer)
	if err != nil {
		return err
	}
	defer end(&err)
	id, probe, err := k.readMaster()
	switch {
	case err != nil:
		return err
	case id == "":
		return k.writeMaster()
	case id != k.master.ID():
		return fmt.Errorf("its keys are wrapped by the master key %s, and this is %s: put the right master key back, or say with --master-key where it is",
			id, k.master.ID())
	}
	if _, err := k.master.Unwrap(context.Background(), probeSubject, probe); err != nil {
		return fmt.Errorf("the master key %s does not unwrap what is in it: %w", id, err)
	}
	return nil
}

func (k *FileKeyring) readMaster() (id string, probe []byte, err error) {
	err = sqlitex.Execute(k.writer, "SELECT id, probe FROM master", &sqlitex.ExecOptions{
		ResultFunc: func(row *sqlite.Stmt) error {
			id, probe = row.ColumnText(0), columnBytes(row, 1)
			return nil
		},
	})
	return id, probe, err
}

func (k *FileKeyring) writeMaster() error {
	probe, err := k.master.Wrap(context.Background(), probeSubject, NewDataKeys().bytes())
	if err != nil {
		return err
	}
	return sqlitex.Execute(k.writer, "INSERT INTO master (id, probe) VALUES (?, ?)", &sqlitex.ExecOptions{
		Args: []any{k.master.ID(), probe},
	})
}

// MasterOf returns the id of the master key that opens a keyring's file, empty if there is no such file, or none was
// ever chosen.
func MasterOf(keyring string) (id string, err error) {
	if _, err := os.Stat(keyring); errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	conn, err := sqlite.OpenConn(keyring, sqlite.OpenReadWrite)
	if err != nil {
		return "", err
	}
	made := false // whoever makes the file may have been killed before it had its tables
	err = sqlitex.ExecuteTransient(conn, "SELECT 1 FROM sqlite_master WHERE name = 'master'", &sqlitex.ExecOptions{
		ResultFunc: func(*sqlite.Stmt) error { made = true; return nil },
	})
	if err == nil && made {
		err = sqlitex.ExecuteTransient(conn, "SELECT id FROM master", &sqlitex.ExecOptions{
			ResultFunc: func(row *sqlite.Stmt) error { id = row.ColumnText(0); return nil },
		})
	}
	return id, errors.Join(err, conn.Close())
}
