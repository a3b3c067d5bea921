package seal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// Epoch returns how often the subject was erased before the version.
func (k *SharedKeyring) Epoch(subject Subject, version int64) int {
	_ = k.glance(context.Background()) // whoever asks for the keys next is told
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.past.before(subject, version)
}

// BeginErasing remembers that a subject is about to be erased. Whoever finds it in Erasing after a crash looks whether the log
// says so, and calls Erase or LeaveErasing.
func (k *SharedKeyring) BeginErasing(ctx context.Context, subject Subject) error {
	return k.exec(ctx, "INSERT INTO rollcall_erasing (stream) VALUES ($1) ON CONFLICT DO NOTHING", subject.String())
}

// LeaveErasing forgets it again: the log says that the subject is not erased.
func (k *SharedKeyring) LeaveErasing(ctx context.Context, subject Subject) error {
	return k.exec(ctx, "DELETE FROM rollcall_erasing WHERE stream = $1", subject.String())
}

// exec changes what is no key.
func (k *SharedKeyring) exec(ctx context.Context, query string, args ...any) error {
	if k.ReadOnly {
		return ErrReadOnly
	}
	return k.ask(ctx, func(ctx context.Context) error {
		_, err := k.db.Exec(ctx, query, args...)
		return err
	})
}

// Erasing lists the subjects whose erasing was begun, and neither done nor left.
func (k *SharedKeyring) Erasing(ctx context.Context) (list []Subject, err error) {
	err = k.ask(ctx, func(ctx context.Context) error {
		rows, err := k.db.Query(ctx, "SELECT stream FROM rollcall_erasing ORDER BY stream")
		if err != nil {
			return err
		}
		list, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (Subject, error) {
			var name string
			if err := row.Scan(&name); err != nil {
				return Subject{}, err
			}
			return parseSubject(name)
		})
		return err
	})
	return list, err
}

// Destroy destroys the subject's data keys. When it returns, no server that can be told has them any more, and PostgreSQL's
// tables hold none of their bytes; its write-ahead log does until it is recycled.
func (k *SharedKeyring) Destroy(ctx context.Context, subject string) error {
	return k.destroy(ctx, func(ctx context.Context, tx pgx.Tx, master string) error {
		_, err := tx.Exec(ctx, destroySQL, []byte(subject), master)
		return err
	})
}

const destroySQL = `INSERT INTO rollcall_keys (subject, master, wrapped) VALUES ($1, $2, NULL) ON CONFLICT (subject) DO UPDATE SET wrapped = NULL`

// Erase destroys the data keys of all of a subject's events up to a version of its stream, as Destroy does.
func (k *SharedKeyring) Erase(ctx context.Context, subject Subject, upTo int64) error {
	return k.destroy(ctx, func(ctx context.Context, tx pgx.Tx, master string) error {
		now, err := stand(ctx, tx)
		if err != nil {
			return err
		}
		own := subject.keysAt(now.past, upTo)
		if _, err := tx.Exec(ctx, destroySQL, []byte(own), master); err != nil {
			return err
		}
		if subject.Within == "" { // the users within the stream: their names begin with its own and a slash, after which comes 0
			if _, err := tx.Exec(ctx, "UPDATE rollcall_keys SET wrapped = NULL WHERE subject > $1 AND subject < $2", []byte(own+"/"), []byte(own+"0")); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(ctx, "INSERT INTO rollcall_erased (stream, upto) VALUES ($1, $2) ON CONFLICT DO NOTHING", subject.String(), upTo); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, "DELETE FROM rollcall_erasing WHERE stream = $1", subject.String())
		return err
	})
}

// destroy does something by which keys are destroyed, tells all servers, and waits until they have forgotten them.
func (k *SharedKeyring) destroy(ctx context.Context, do func(context.Context, pgx.Tx, string) error) error {
	if k.ReadOnly {
		return ErrReadOnly
	}
	var times int64
	err := k.transaction(ctx, func(ctx context.Context, tx pgx.Tx) error {
		var master string
		err := tx.QueryRow(ctx, "UPDATE rollcall_master SET destroyed = destroyed + 1 RETURNING id, destroyed").Scan(&master, &times)
		if err == nil {
			err = do(ctx, tx, master)
		}
		if err == nil {
			_, err = tx.Exec(ctx, "DELETE FROM rollcall_rewrapped WHERE subject IN (SELECT subject FROM rollcall_keys WHERE wrapped IS NULL)")
		}
		if err == nil {
			_, err = tx.Exec(ctx, "SELECT pg_notify($1, '')", changedChannel)
		}
		return err
	})
	k.forget() // whether it was done is perhaps not known
	if err != nil {
		return fmt.Errorf("destroy data keys: %w", err)
	}
	return errors.Join(k.catchUp(ctx), k.sweep(ctx), k.heard(ctx, times))
}

// forget empties the cache.
func (k *SharedKeyring) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.changes++
	k.cache.clear()
}

const (
	sweeping  = 5 * time.Minute // how long tables may take to be written anew
	makingWay = "2s"            // how long others may keep them from it
)

// sweep has PostgreSQL write the tables of keys anew, without what was destroyed: VACUUM alone would leave its bytes where
// they were.
func (k *SharedKeyring) sweep(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, sweeping)
	defer cancel()
	err := k.db.AcquireFunc(ctx, func(conn *pgxpool.Conn) error {
		if _, err := conn.Exec(ctx, "SET lock_timeout = '"+makingWay+"'"); err != nil {
			return err
		}
		_, err := conn.Exec(ctx, "VACUUM (FULL) rollcall_keys, rollcall_rewrapped")
		_, resetErr := conn.Exec(ctx, "RESET lock_timeout")
		return errors.Join(err, resetErr)
	})
	if err != nil {
		return fmt.Errorf("the data keys are destroyed, but a copy is left in PostgreSQL's tables: %w: %w", eventstore.ErrUnavailable, err)
	}
	return nil
}

const (
	hearing  = 3 * time.Second       // how long a server may take to hear that keys were destroyed
	askAgain = 10 * time.Millisecond // whether it has
)

// heard waits until all servers that are connected have heard that keys were destroyed so many times. One that does not
// answer is not waited for any longer: it reads of the erasure in the log before it writes anything.
func (k *SharedKeyring) heard(ctx context.Context, times int64) error {
	ctx, cancel := context.WithTimeout(ctx, hearing)
	defer cancel()
	for {
		left := 0
		err := k.ask(ctx, func(ctx context.Context) error {
			return k.db.QueryRow(ctx, `SELECT count(*) FROM rollcall_servers s JOIN pg_stat_activity a ON a.pid = s.pid AND a.backend_start = s.since
				WHERE s.heard < $1 AND s.id <> $2`, times, k.id).Scan(&left)
		})
		if err == nil && left == 0 || errors.Is(err, eventstore.ErrClosed) {
			return err
		}
		select {
		case <-ctx.Done():
			k.Logger.Warn("keys were destroyed, but some server has not said that it has heard of it", "servers", left)
			return nil
		case <-time.After(askAgain):
		}
	}
}
