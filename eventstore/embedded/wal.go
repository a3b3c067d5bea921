package embedded

import (
	"os"
	"time"

	"zombiezen.com/go/sqlite"
)

// When the write-ahead log is looked at, when it is copied into the file, and when it is cut.
const (
	lookCommits = 64
	lookBytes   = 1 << 20
	copyPages   = 4096
	cutBytes    = 64 << 20
	cutWait     = 50 * time.Millisecond // for readers, while appends wait
)

// A wal watches the write-ahead log, so that it neither grows for ever nor is copied into the file too often:
// a page that changed many times is copied once.
type wal struct {
	conn            *sqlite.Conn
	path            string
	look, copy, cut *sqlite.Stmt
	commits, bytes  int // since it was looked at
}

func (w *wal) prepare(conn *sqlite.Conn, path string) error {
	w.conn, w.path = conn, path+"-wal"
	return prepare(conn, map[**sqlite.Stmt]string{
		&w.look: "PRAGMA wal_checkpoint(NOOP)",
		&w.copy: "PRAGMA wal_checkpoint(PASSIVE)",
		&w.cut:  "PRAGMA wal_checkpoint(TRUNCATE)",
	})
}

// tend is told how many bytes of events a commit wrote.
func (w *wal) tend(bytes int) error {
	w.commits, w.bytes = w.commits+1, w.bytes+bytes
	if w.commits < lookCommits && w.bytes < lookBytes {
		return nil
	}
	w.commits, w.bytes = 0, 0
	var pages int64
	err := one(w.look, func() { pages = w.look.ColumnInt64(1) - w.look.ColumnInt64(2) })
	if err != nil || pages < copyPages {
		return err
	}
	if err := run(w.copy); err != nil {
		return err
	}
	if info, err := os.Stat(w.path); err != nil || info.Size() < cutBytes {
		return err
	}
	w.conn.SetBusyTimeout(cutWait)
	defer w.conn.SetBusyTimeout(busy)
	return run(w.cut) // somebody who reads for long may stand in the way: it is tried again
}
