package seal

import (
	"context"
	"fmt"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// How many data keys are wrapped anew between two looks at the file, and how many at most while everybody waits.
const (
	rotationStep = 256
	lastStep     = 64
)

// Rotate wraps all data keys with another master key. The data keys themselves, and all that they seal, stay as they
// are, and the keyring is used as ever meanwhile: what the next master key has wrapped gathers in a table of its own,
// and takes its place in one transaction. Whoever opens the file after a crash finds it wholly under the one or wholly
// under the other. When it returns, the file holds nothing that the old master key unwraps. count is how many were
// wrapped; tell, if not nil, is told how many by now.
func (k *FileKeyring) Rotate(ctx context.Context, next MasterKey, tell func(done int)) (count int, err error) {
	select {
	case k.rotating <- struct{}{}:
		defer func() { <-k.rotating }()
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	if next.ID() == k.MasterKey() {
		return 0, fmt.Errorf("rotate the master key: the next one is the one of now, %s", next.ID())
	}
	if tell == nil {
		tell = func(int) {}
	}
	if err := k.forgetRewrapped(ctx); err != nil {
		return 0, fmt.Errorf("rotate the master key: %w", err)
	}
	for done := false; !done; {
		if err = k.rewrapMost(ctx, next, tell); err != nil {
			break
		}
		if count, done, err = k.changeMaster(ctx, next); err != nil {
			break
		}
	}
	if err != nil {
		return 0, fmt.Errorf("rotate the master key: %w", err)
	}
	return count, nil
}

// forgetRewrapped forgets what a rotation to another master key left behind that was cut off.
func (k *FileKeyring) forgetRewrapped(ctx context.Context) error {
	return k.write(ctx, func() error { return k.exec("DELETE FROM rewrapped") })
}

// A wrapping is a subject's data keys under the master key of now and under the next one.
type wrapping struct {
	subject  string
	was, now []byte
}

func (w *wrapping) again(ctx context.Context, master, next MasterKey) error {
	plain, err := master.Unwrap(ctx, w.subject, w.was)
	if err != nil {
		return fmt.Errorf("unwrap data keys: %w", err)
	}
	defer clear(plain)
	if w.now, err = next.Wrap(ctx, w.subject, plain); err != nil {
		return fmt.Errorf("wrap data keys: %w", err)
	}
	return nil
}

// rewrapMost wraps, step by step and beside the keys that are in use, all that the next master key has not wrapped yet.
func (k *FileKeyring) rewrapMost(ctx context.Context, next MasterKey, tell func(int)) error {
	for done, after := 0, ""; ; tell(done) {
		master, step, err := k.unrotated(after, rotationStep)
		if err != nil || len(step) == 0 {
			return err
		}
		for i := range step {
			if err := step[i].again(ctx, master, next); err != nil {
				return err
			}
		}
		if err := k.write(ctx, func() error { return k.keepRewrapped(step) }); err != nil {
			return err
		}
		after, done = step[len(step)-1].subject, done+len(step)
	}
}

const unrotatedSQL = `SELECT k.subject, k.wrapped FROM keys k LEFT JOIN rewrapped r ON r.subject = k.subject
	WHERE k.subject > ? AND k.wrapped IS NOT NULL AND (r.was IS NULL OR r.was <> k.wrapped) ORDER BY k.subject LIMIT ?`

// unrotated returns data keys that the next master key has not wrapped yet, in the order of their subjects.
func (k *FileKeyring) unrotated(after string, most int) (master MasterKey, list []wrapping, err error) {
	k.reading.Lock()
	defer k.reading.Unlock()
	if k.isClosed() {
		return nil, nil, eventstore.ErrClosed
	}
	list, err = unrotated(k.reader, after, most)
	return k.master, list, err
}

func unrotated(conn *sqlite.Conn, after string, most int) (list []wrapping, err error) {
	err = sqlitex.Execute(conn, unrotatedSQL, &sqlitex.ExecOptions{
		Args: []any{after, most},
		ResultFunc: func(row *sqlite.Stmt) error {
			list = append(list, wrapping{subject: row.ColumnText(0), was: columnBytes(row, 1)})
			return nil
		},
	})
	return list, err
}

// keepRewrapped keeps what the next master key has wrapped, unless it was destroyed meanwhile.
func (k *FileKeyring) keepRewrapped(step []wrapping) (err error) {
	end, err := sqlitex.ImmediateTransaction(k.writer)
	if err != nil {
		return err
	}
	defer end(&err)
	for _, w := range step {
		if err := k.exec(`INSERT OR REPLACE INTO rewrapped (subject, was, wrapped)
			SELECT subject, wrapped, ? FROM keys WHERE subject = ? AND wrapped = ?`, w.now, w.subject, w.was); err != nil {
			return err
		}
	}
	return nil
}

// changeMaster puts the next master key in the place of the old one. Nobody makes keys meanwhile, so the few that were
// made since the last look are wrapped here; done is false if they are not few.
func (k *FileKeyring) changeMaster(ctx context.Context, next MasterKey) (count int, done bool, err error) {
	probe, err := next.Wrap(ctx, probeSubject, NewDataKeys().bytes())
	if err != nil {
		return 0, false, err
	}
	err = k.write(ctx, func() error {
		rest, err := unrotated(k.writer, "", lastStep+1)
		if err != nil || len(rest) > lastStep {
			return err
		}
		for i := range rest {
			if err := rest[i].again(ctx, k.master, next); err != nil {
				return err
			}
		}
		if err := k.keepRewrapped(rest); err != nil {
			return err
		}
		if count, err = k.change(next, probe); err != nil {
			return err
		}
		k.master, done = next, true
		k.changes++
		return k.emptyWAL()
	})
	return count, done, err
}

// change is the transaction by which everything is under the next master key at once.
func (k *FileKeyring) change(next MasterKey, probe []byte) (count int, err error) {
	end, err := sqlitex.ImmediateTransaction(k.writer)
	if err != nil {
		return 0, err
	}
	defer end(&err)
	if err := k.exec(`UPDATE keys SET wrapped = r.wrapped, master = ? FROM rewrapped r
		WHERE r.subject = keys.subject AND r.was = keys.wrapped`, next.ID()); err != nil {
		return 0, err
	}
	count = k.writer.Changes()
	if err := k.allUnder(next.ID()); err != nil {
		return 0, err
	}
	if err := k.exec("UPDATE master SET id = ?, probe = ?", next.ID(), probe); err != nil {
		return 0, err
	}
	return count, k.exec("DELETE FROM rewrapped")
}

// allUnder makes sure that no keys are left that another master key has wrapped.
func (k *FileKeyring) allUnder(master string) error {
	left := 0
	err := sqlitex.Execute(k.writer, "SELECT COUNT(*) FROM keys WHERE wrapped IS NOT NULL AND master <> ?", &sqlitex.ExecOptions{
		Args:       []any{master},
		ResultFunc: func(row *sqlite.Stmt) error { left = row.ColumnInt(0); return nil },
	})
	if err == nil && left > 0 {
		err = fmt.Errorf("the data keys of %d subjects are not wrapped by the next one", left)
	}
	return err
}
