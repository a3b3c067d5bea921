package seal

import (
	"context"
	"errors"
	"fmt"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// Epoch returns how often the subject was erased before the version.
func (k *FileKeyring) Epoch(subject Subject, version int64) int {
	return k.past.Load().before(subject, version)
}

// readPast reads what was erased.
func (k *FileKeyring) readPast() error {
	past := epochs{}
	err := sqlitex.Execute(k.writer, "SELECT stream, upto FROM erased ORDER BY stream, upto", &sqlitex.ExecOptions{
		ResultFunc: func(row *sqlite.Stmt) error {
			subject, err := parseSubject(row.ColumnText(0))
			past[subject] = append(past[subject], row.ColumnInt64(1))
			return err
		},
	})
	k.past.Store(&past)
	return err
}

// BeginErasing remembers that a subject is about to be erased. Whoever finds it in Erasing after a crash looks whether
// the log says so, and calls Erase or LeaveErasing.
func (k *FileKeyring) BeginErasing(ctx context.Context, subject Subject) error {
	return k.write(ctx, func() error {
		return k.exec("INSERT INTO erasing (stream) VALUES (?) ON CONFLICT DO NOTHING", subject.String())
	})
}

// LeaveErasing forgets it again: the log says that the subject is not erased.
func (k *FileKeyring) LeaveErasing(ctx context.Context, subject Subject) error {
	return k.write(ctx, func() error { return k.exec("DELETE FROM erasing WHERE stream = ?", subject.String()) })
}

// Erasing lists the subjects whose erasing was begun, and neither done nor left.
func (k *FileKeyring) Erasing(ctx context.Context) (list []Subject, err error) {
	err = k.write(ctx, func() error {
		return sqlitex.Execute(k.writer, "SELECT stream FROM erasing ORDER BY stream", &sqlitex.ExecOptions{
			ResultFunc: func(row *sqlite.Stmt) error {
				subject, err := parseSubject(row.ColumnText(0))
				list = append(list, subject)
				return err
			},
		})
	})
	return list, err
}

// Erase destroys the data keys of all of a subject's events up to a version of its stream. When it returns, the file
// holds none of their bytes. Nobody may append to the stream meanwhile.
func (k *FileKeyring) Erase(ctx context.Context, subject Subject, upTo int64) error {
	return k.write(ctx, func() error {
		if err := k.erase(subject, upTo); err != nil {
			return fmt.Errorf("destroy data keys: %w", err)
		}
		past := k.past.Load().with(subject, upTo)
		k.past.Store(&past)
		k.changes++
		k.cache.clear()
		return k.emptyWAL()
	})
}

func (k *FileKeyring) erase(subject Subject, upTo int64) (err error) {
	end, err := sqlitex.ImmediateTransaction(k.writer)
	if err != nil {
		return err
	}
	defer end(&err)
	own := subject.keysAt(k.past.Load(), upTo)
	if err := k.exec(`INSERT INTO keys (subject, master, wrapped) VALUES (?, ?, NULL)
		ON CONFLICT (subject) DO UPDATE SET wrapped = NULL`, own, k.master.ID()); err != nil {
		return err
	}
	if subject.Within == "" { // the users within the stream: their names begin with its own and a slash, after which comes 0
		if err := k.exec("UPDATE keys SET wrapped = NULL WHERE subject > ? AND subject < ?", own+"/", own+"0"); err != nil {
			return err
		}
	}
	return errors.Join(
		k.exec("DELETE FROM rewrapped WHERE subject IN (SELECT subject FROM keys WHERE wrapped IS NULL)"),
		k.exec("INSERT INTO erased (stream, upto) VALUES (?, ?) ON CONFLICT DO NOTHING", subject.String(), upTo),
		k.exec("DELETE FROM erasing WHERE stream = ?", subject.String()))
}

// write does something with the file while nobody else makes, reads or destroys keys.
func (k *FileKeyring) write(ctx context.Context, do func() error) error {
	select {
	case k.writing <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-k.writing }()
	k.reading.Lock()
	defer k.reading.Unlock()
	if k.isClosed() {
		return eventstore.ErrClosed
	}
	return do()
}

func (k *FileKeyring) exec(query string, args ...any) error {
	return sqlitex.Execute(k.writer, query, &sqlitex.ExecOptions{Args: args})
}
