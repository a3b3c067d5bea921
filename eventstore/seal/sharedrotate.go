package seal

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Rotate wraps all data keys with another master key, as a FileKeyring's does, while all servers use them. Every server then needs
// the new master key as soon as it is asked for keys that it does not have in memory. When it returns, PostgreSQL's tables hold
// nothing that the old master key unwraps.
func (k *SharedKeyring) Rotate(ctx context.Context, next MasterKey, tell func(done int)) (count int, err error) {
	if k.ReadOnly {
		return 0, ErrReadOnly
	}
	if next.ID() == k.MasterKey() {
		return 0, fmt.Errorf("rotate the master key: the next one is the one of now, %s", next.ID())
	}
	if tell == nil {
		tell = func(int) {}
	}
	done, err := k.rotateAlone(ctx)
	if err != nil {
		return 0, fmt.Errorf("rotate the master key: %w", err)
	}
	defer done()
	if err := k.exec(ctx, "DELETE FROM rollcall_rewrapped"); err != nil { // of a rotation that was cut off
		return 0, fmt.Errorf("rotate the master key: %w", err)
	}
	for over := false; !over; {
		if err = k.rewrapMost(ctx, next, tell); err != nil {
			break
		}
		if count, over, err = k.changeMaster(ctx, next); err != nil {
			break
		}
	}
	if err != nil {
		return 0, fmt.Errorf("rotate the master key: %w", err)
	}
	return count, k.sweep(ctx)
}

// rotateAlone keeps other servers from rotating until done is called.
func (k *SharedKeyring) rotateAlone(ctx context.Context) (done func(), err error) {
	conn, err := pgx.ConnectConfig(ctx, k.db.Config().ConnConfig)
	if err != nil {
		return nil, err
	}
	done = func() { _ = conn.Close(context.WithoutCancel(ctx)) }
	alone := false
	err = conn.QueryRow(ctx, "SELECT pg_try_advisory_lock(hashtextextended('rollcall rotation ' || current_schema(), 0))").Scan(&alone)
	if err == nil && !alone {
		err = errors.New("another server is changing it already")
	}
	if err != nil {
		done()
		return nil, err
	}
	return done, nil
}

// rewrapMost wraps, step by step and beside the keys that are in use, all that the next master key has not wrapped yet.
func (k *SharedKeyring) rewrapMost(ctx context.Context, next MasterKey, tell func(int)) error {
	for done, after := 0, ""; ; tell(done) {
		master, _, err := k.now()
		if err != nil {
			return err
		}
		step, err := k.rewrapStep(ctx, after, master, next)
		if err != nil || len(step) == 0 {
			return err
		}
		after, done = step[len(step)-1].subject, done+len(step)
	}
}

func (k *SharedKeyring) rewrapStep(ctx context.Context, after string, master, next MasterKey) (step []wrapping, err error) {
	err = k.transaction(ctx, func(ctx context.Context, tx pgx.Tx) (err error) {
		step, err = sharedUnrotated(ctx, tx, after, rotationStep)
		return err
	})
	if err != nil {
		return nil, err
	}
	for i := range step {
		if err := step[i].again(ctx, master, next); err != nil {
			return nil, err
		}
	}
	return step, k.transaction(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT id FROM rollcall_master FOR SHARE"); err != nil { // nothing is destroyed meanwhile
			return err
		}
		return keepShared(ctx, tx, step)
	})
}

// sharedUnrotated returns data keys that the next master key has not wrapped yet, in the order of their subjects.
func sharedUnrotated(ctx context.Context, tx pgx.Tx, after string, most int) ([]wrapping, error) {
	rows, err := tx.Query(ctx, `SELECT k.subject, k.wrapped FROM rollcall_keys k LEFT JOIN rollcall_rewrapped r ON r.subject = k.subject
		WHERE k.subject > $1 AND k.wrapped IS NOT NULL AND (r.was IS NULL OR r.was <> k.wrapped) ORDER BY k.subject LIMIT $2`, []byte(after), most)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (w wrapping, err error) {
		var subject []byte
		err = row.Scan(&subject, &w.was)
		w.subject = string(subject)
		return w, err
	})
}

// keepShared keeps what the next master key has wrapped, unless it was destroyed meanwhile.
func keepShared(ctx context.Context, tx pgx.Tx, step []wrapping) error {
	for _, w := range step {
		if _, err := tx.Exec(ctx, `INSERT INTO rollcall_rewrapped (subject, was, wrapped)
			SELECT subject, wrapped, $3 FROM rollcall_keys WHERE subject = $1 AND wrapped = $2
			ON CONFLICT (subject) DO UPDATE SET was = excluded.was, wrapped = excluded.wrapped`, []byte(w.subject), w.was, w.now); err != nil {
			return err
		}
	}
	return nil
}

// changeMaster puts the next master key in the place of the old one. Nobody makes or destroys keys meanwhile, so the few that were
// made since the last look are wrapped here; done is false if they are not few.
func (k *SharedKeyring) changeMaster(ctx context.Context, next MasterKey) (count int, done bool, err error) {
	probe, err := next.Wrap(ctx, probeSubject, NewDataKeys().bytes())
	if err != nil {
		return 0, false, err
	}
	master, _, err := k.now()
	if err != nil {
		return 0, false, err
	}
	err = k.askLong(ctx, sweeping, func(ctx context.Context) error {
		return pgx.BeginFunc(ctx, k.db, func(tx pgx.Tx) (err error) {
			count, done, err = changeShared(ctx, tx, master, next, probe)
			return err
		})
	})
	if err != nil {
		err = k.changed(ctx, next, err)
	}
	if err != nil || !done {
		return 0, false, err
	}
	k.mu.Lock()
	k.master = next
	k.mu.Unlock()
	return count, true, nil
}

// ErrUnsettled says that it is not known whether the master key was changed: both are still needed.
var ErrUnsettled = errors.New("whether the master key was changed is not known: keep both until the server was started again")

// changed looks whether the master key was changed all the same, after something went wrong.
func (k *SharedKeyring) changed(ctx context.Context, next MasterKey, wrong error) error {
	var id string
	err := k.ask(context.WithoutCancel(ctx), func(ctx context.Context) error { // FOR SHARE waits for whatever is still under way
		return k.db.QueryRow(ctx, "SELECT id FROM rollcall_master FOR SHARE").Scan(&id)
	})
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w: %w", ErrUnsettled, wrong, err)
	case id == next.ID():
		return nil
	}
	return wrong
}

// changeShared is what puts everything under the next master key at once.
func changeShared(ctx context.Context, tx pgx.Tx, master, next MasterKey, probe []byte) (count int, done bool, err error) {
	var id string
	if err := tx.QueryRow(ctx, "SELECT id FROM rollcall_master FOR UPDATE").Scan(&id); err != nil {
		return 0, false, err
	}
	if id != master.ID() {
		return 0, false, ourError{fmt.Errorf("another server has changed it to %s meanwhile", id)}
	}
	rest, err := sharedUnrotated(ctx, tx, "", lastStep+1)
	if err != nil || len(rest) > lastStep {
		return 0, false, err
	}
	for i := range rest {
		if err := rest[i].again(ctx, master, next); err != nil {
			return 0, false, ourError{err}
		}
	}
	if err := keepShared(ctx, tx, rest); err != nil {
		return 0, false, err
	}
	count, err = putRewrapped(ctx, tx, next.ID(), probe)
	return count, err == nil, err
}

func putRewrapped(ctx context.Context, tx pgx.Tx, master string, probe []byte) (count int, err error) {
	tag, err := tx.Exec(ctx, `UPDATE rollcall_keys k SET wrapped = r.wrapped, master = $1 FROM rollcall_rewrapped r
		WHERE r.subject = k.subject AND r.was = k.wrapped`, master)
	if err != nil {
		return 0, err
	}
	left := 0
	if err := tx.QueryRow(ctx, "SELECT count(*) FROM rollcall_keys WHERE wrapped IS NOT NULL AND master <> $1", master).Scan(&left); err != nil {
		return 0, err
	}
	if left > 0 {
		return 0, ourError{fmt.Errorf("the data keys of %d subjects are not wrapped by the next one", left)}
	}
	if _, err := tx.Exec(ctx, "UPDATE rollcall_master SET id = $1, probe = $2", master, probe); err != nil {
		return 0, err
	}
	if _, err := tx.Exec(ctx, "DELETE FROM rollcall_rewrapped"); err != nil {
		return 0, err
	}
	_, err = tx.Exec(ctx, "SELECT pg_notify($1, '')", changedChannel)
	return int(tag.RowsAffected()), err
}
