package seal

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// changedChannel is where servers are told that keys were destroyed, or wrapped by another master key.
const changedChannel = "rollcall_keys"

const (
	listenAgain = time.Second     // how long it is waited before a lost connection is opened again
	stillThere  = 5 * time.Second // how often a silent connection is looked at
	readerLooks = time.Second     // how often a keyring that is only read looks what others have done
)

// Run hears what other servers do with the keys, until ctx ends. While PostgreSQL is away it tries again, and what has happened
// meanwhile is seen as soon as it is back.
func (k *SharedKeyring) Run(ctx context.Context) error {
	for told := false; ; {
		heard, err := k.listen(ctx)
		if ctx.Err() != nil || errors.Is(err, eventstore.ErrClosed) {
			return nil
		}
		if told = told && !heard; !told {
			k.Logger.Warn("what other servers do with the keys is not heard for now; those in memory are used on", "error", err)
			told = true
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(listenAgain):
		}
	}
}

// listen hears until its connection is lost, and reports whether there was one.
func (k *SharedKeyring) listen(ctx context.Context) (heard bool, err error) {
	conn, err := pgx.ConnectConfig(ctx, k.db.Config().ConnConfig)
	if err != nil {
		return false, err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, "LISTEN "+changedChannel); err != nil {
		return false, err
	}
	for {
		if err := k.catchUp(ctx); err != nil {
			return heard, err
		}
		if err := k.sign(ctx, conn); err != nil {
			return heard, err
		}
		heard = true
		if err := wait(ctx, conn); err != nil {
			return heard, err
		}
	}
}

// wait waits until something was told, or until it is time to see whether the connection still is one.
func wait(ctx context.Context, conn *pgx.Conn) error {
	some, cancel := context.WithTimeout(ctx, stillThere)
	defer cancel()
	_, err := conn.WaitForNotification(some)
	if pgconn.Timeout(err) && ctx.Err() == nil {
		return nil
	}
	return err
}

// sign says how much this server has heard.
func (k *SharedKeyring) sign(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, sharedPatience)
	defer cancel()
	k.mu.Lock()
	times := k.destroyed
	k.mu.Unlock()
	_, err := conn.Exec(ctx, `INSERT INTO rollcall_servers (id, pid, since, heard)
		SELECT $1, pid, backend_start, $2 FROM pg_stat_activity WHERE pid = pg_backend_pid()
		ON CONFLICT (id) DO UPDATE SET pid = excluded.pid, since = excluded.since, heard = excluded.heard
		WHERE (rollcall_servers.pid, rollcall_servers.since, rollcall_servers.heard) IS DISTINCT FROM (excluded.pid, excluded.since, excluded.heard)`, k.id, times)
	if err == nil {
		_, err = conn.Exec(ctx, `DELETE FROM rollcall_servers s WHERE NOT EXISTS
			(SELECT 1 FROM pg_stat_activity a WHERE a.pid = s.pid AND a.backend_start = s.since)`)
	}
	return err
}

// A standing is what the keyring says to all servers.
type standing struct {
	master    string // its id
	destroyed int64
	past      epochs
}

// catchUp reads what other servers have done, and forgets keys that may be destroyed. If another server has changed the master key
// it goes over to the new one, and that this one is not here yet is no error: who needs it is told.
func (k *SharedKeyring) catchUp(ctx context.Context) error {
	other, err := k.look(ctx)
	if err == nil && other != "" {
		_, _ = k.follow(ctx, other)
	}
	return err
}

// look reads what other servers have done. other is the master key to which they have changed, if it is another than here.
func (k *SharedKeyring) look(ctx context.Context) (other string, err error) {
	var now standing
	err = k.ask(ctx, func(ctx context.Context) (err error) {
		now, err = stand(ctx, k.db)
		return err
	})
	if err != nil {
		return "", err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.looked = time.Now()
	if now.destroyed > k.destroyed {
		k.changes++
		k.cache.clear()
	}
	if now.destroyed >= k.destroyed {
		k.past, k.destroyed = now.past, now.destroyed
	}
	if k.master.ID() != now.master {
		other = now.master
	}
	return other, nil
}

// stand reads all that at one moment.
func stand(ctx context.Context, db interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}) (now standing, err error) {
	rows, err := db.Query(ctx, `SELECT m.id, m.destroyed, e.stream, e.upto FROM rollcall_master m LEFT JOIN rollcall_erased e ON TRUE ORDER BY e.stream, e.upto`)
	if err != nil {
		return now, err
	}
	now.past = epochs{}
	var stream *string
	var upTo *int64
	_, err = pgx.ForEachRow(rows, []any{&now.master, &now.destroyed, &stream, &upTo}, func() error {
		if stream == nil {
			return nil // nothing was ever erased
		}
		subject, err := parseSubject(*stream)
		now.past[subject] = append(now.past[subject], *upTo)
		return err
	})
	return now, err
}

// glance looks what others have done, where a keyring is only read and nobody tells it.
func (k *SharedKeyring) glance(ctx context.Context) error {
	if !k.ReadOnly {
		return nil
	}
	k.mu.Lock()
	due := time.Since(k.looked) > readerLooks
	k.mu.Unlock()
	if !due {
		return nil
	}
	return k.catchUp(ctx)
}
