package seal

import (
	"context"
	"errors"
	"fmt"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// Make returns the subject's data keys, and makes them if there never were any. Whoever comes while others write
// waits; the next of them writes for all who wait.
func (k *FileKeyring) Make(ctx context.Context, subject string) (DataKeys, error) {
	keys, err := k.Keys(ctx, subject)
	if !errors.Is(err, ErrNoKeys) {
		return keys, err
	}
	m := k.want(subject)
	select {
	case <-m.done:
	case k.writing <- struct{}{}:
		k.makePending()
		<-k.writing
		<-m.done // closed by now, by us or by somebody before us
	case <-ctx.Done():
		return DataKeys{}, ctx.Err()
	}
	return m.keys, m.err
}

// want puts the subject among those whose keys are to be made.
func (k *FileKeyring) want(subject string) *making {
	k.mu.Lock()
	defer k.mu.Unlock()
	m := k.pending[subject]
	if m == nil {
		m = &making{done: make(chan struct{})}
		k.pending[subject] = m
	}
	return m
}

// makePending makes the keys of all who wait, in one transaction.
func (k *FileKeyring) makePending() {
	k.mu.Lock()
	batch, closed := k.pending, k.closed
	k.pending = map[string]*making{}
	k.mu.Unlock()
	if len(batch) == 0 {
		return
	}
	err := eventstore.ErrClosed
	if !closed {
		err = k.makeAll(batch)
	}
	for subject, m := range batch {
		if err != nil {
			m.keys, m.err = DataKeys{}, fmt.Errorf("make data keys: %w", err)
		} else if m.err == nil {
			k.cache.put(subject, m.keys)
		}
		close(m.done)
	}
}

// makeAll makes what is not there yet. A subject that was destroyed meanwhile has its own error.
func (k *FileKeyring) makeAll(batch map[string]*making) (err error) {
	end, err := sqlitex.ImmediateTransaction(k.writer)
	if err != nil {
		return err
	}
	defer end(&err)
	for subject, m := range batch {
		m.keys, m.err = k.makeOne(subject)
		if m.err != nil && !errors.Is(m.err, ErrDestroyed) {
			return m.err
		}
	}
	return nil
}

func (k *FileKeyring) makeOne(subject string) (DataKeys, error) {
	ctx := context.Background() // others wait for this too
	keys := NewDataKeys()
	wrapped, err := k.master.Wrap(ctx, subject, keys.bytes())
	if err != nil {
		return DataKeys{}, err
	}
	err = sqlitex.Execute(k.writer, "INSERT INTO keys (subject, master, wrapped) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
		&sqlitex.ExecOptions{Args: []any{subject, k.master.ID(), wrapped}})
	if err != nil {
		return DataKeys{}, err
	}
	if k.writer.Changes() == 0 {
		return k.read(ctx, k.writer, subject)
	}
	return keys, nil
}

// Destroy destroys the subject's data keys. When it returns, the file holds none of their bytes.
func (k *FileKeyring) Destroy(ctx context.Context, subject string) error {
	return k.write(ctx, func() error {
		err := k.exec(`INSERT INTO keys (subject, master, wrapped) VALUES (?, ?, NULL)
			ON CONFLICT (subject) DO UPDATE SET wrapped = NULL`, subject, k.master.ID())
		if err != nil {
			return fmt.Errorf("destroy data keys: %w", err)
		}
		k.cache.drop(subject)
		return k.emptyWAL()
	})
}

// emptyWAL moves all pages into the file proper and cuts the write-ahead log off, where older pages still stand.
func (k *FileKeyring) emptyWAL() error {
	busy := false
	err := sqlitex.ExecuteTransient(k.writer, "PRAGMA wal_checkpoint(TRUNCATE)", &sqlitex.ExecOptions{
		ResultFunc: func(row *sqlite.Stmt) error {
			busy = row.ColumnInt(0) != 0
			return nil
		},
	})
	if err == nil && busy {
		err = errors.New("another process is reading the file: destroy them again when it has ended")
	}
	if err != nil {
		return fmt.Errorf("the data keys are destroyed, but a copy is left in the write-ahead log: %w", err)
	}
	return nil
}
