package embedded

import (
	"fmt"

	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// Drop forgets the stream's state. When it returns, the file holds none of its bytes.
func (s *Snapshots[S]) Drop(stream eventstore.Stream) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == nil {
		return eventstore.ErrClosed
	}
	err := sqlitex.Execute(s.conn, "DELETE FROM snapshots WHERE stream = ?", &sqlitex.ExecOptions{Args: []any{stream.String()}})
	if err == nil {
		err = sqlitex.ExecuteTransient(s.conn, "PRAGMA wal_checkpoint(TRUNCATE)", nil)
	}
	if err != nil {
		return fmt.Errorf("drop a snapshot: %w", err)
	}
	return nil
}
