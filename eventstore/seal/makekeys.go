package seal

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// A making is a subject's data keys on their way to the disk.
type making struct {
	done    chan struct{}
	keys    DataKeys
	wrapped []byte
	there   bool // somebody else has made them
	err     error
}

// Make returns the subject's data keys, and makes them if there never were any. Whoever comes while others write
// waits; the next of them writes for all who wait. ErrUnavailable: the master key is away.
func (k *FileKeyring) Make(ctx context.Context, subject string) (DataKeys, error) {
	for {
		keys, err := k.Keys(ctx, subject)
		if !errors.Is(err, ErrNoKeys) {
			return keys, err
		}
		m := k.want(subject)
		select {
		case <-m.done:
		case k.writing <- struct{}{}:
			k.makePending(ctx)
			<-k.writing
			<-m.done // closed by now, by us or by somebody before us
		case <-ctx.Done():
			return DataKeys{}, ctx.Err()
		}
		if !m.there {
			return m.keys, m.err
		}
	}
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

// makePending makes the keys of all who wait, in one transaction. Whoever called may leave: the others wait for it too.
func (k *FileKeyring) makePending(ctx context.Context) {
	k.mu.Lock()
	batch, closed := k.pending, k.closed
	k.pending = map[string]*making{}
	k.mu.Unlock()
	if len(batch) == 0 {
		return
	}
	err := eventstore.ErrClosed
	if !closed {
		k.wrapAll(context.WithoutCancel(ctx), batch)
		err = k.makeAll(batch)
	}
	for subject, m := range batch {
		switch {
		case m.err != nil:
		case err != nil:
			m.err = fmt.Errorf("make data keys: %w", err)
		case !m.there:
			k.cache.put(subject, m.keys) // nobody destroys them meanwhile: that takes writing
		}
		if m.err != nil {
			m.keys = DataKeys{}
		}
		close(m.done)
	}
}

// wrapsAtOnce is how many data keys a master key that is far away is asked to wrap at the same time.
const wrapsAtOnce = 16

// wrapAll makes keys for all, and has them wrapped. Each has its own error.
func (k *FileKeyring) wrapAll(ctx context.Context, batch map[string]*making) {
	wrap := func(subject string, m *making) {
		m.keys = NewDataKeys()
		if m.wrapped, m.err = k.master.Wrap(ctx, subject, m.keys.bytes()); m.err != nil {
			m.err = fmt.Errorf("wrap data keys: %w", m.err)
		}
	}
	if _, near := k.master.(*LocalKey); near || len(batch) == 1 {
		for subject, m := range batch {
			wrap(subject, m)
		}
		return
	}
	var all sync.WaitGroup
	free := make(chan struct{}, wrapsAtOnce)
	for subject, m := range batch {
		free <- struct{}{}
		all.Go(func() {
			wrap(subject, m)
			<-free
		})
	}
	all.Wait()
}

// makeAll writes what is not there yet.
func (k *FileKeyring) makeAll(batch map[string]*making) (err error) {
	end, err := sqlitex.ImmediateTransaction(k.writer)
	if err != nil {
		return err
	}
	defer end(&err)
	for subject, m := range batch {
		if m.err != nil {
			continue
		}
		err := k.exec("INSERT INTO keys (subject, master, wrapped) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", subject, k.master.ID(), m.wrapped)
		if err != nil {
			return err
		}
		m.there = k.writer.Changes() == 0
	}
	return nil
}

// Destroy destroys the subject's data keys. When it returns, the file holds none of their bytes.
func (k *FileKeyring) Destroy(ctx context.Context, subject string) error {
	return k.write(ctx, func() error {
		if err := k.destroy(subject); err != nil {
			return fmt.Errorf("destroy data keys: %w", err)
		}
		k.changes++
		k.cache.drop(subject)
		return k.emptyWAL()
	})
}

func (k *FileKeyring) destroy(subject string) (err error) {
	end, err := sqlitex.ImmediateTransaction(k.writer)
	if err != nil {
		return err
	}
	defer end(&err)
	return errors.Join(k.exec(`INSERT INTO keys (subject, master, wrapped) VALUES (?, ?, NULL)
		ON CONFLICT (subject) DO UPDATE SET wrapped = NULL`, subject, k.master.ID()),
		k.exec("DELETE FROM rewrapped WHERE subject = ?", subject))
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
