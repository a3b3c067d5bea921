package projections

import (
	"context"
	"fmt"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// restore reads the checkpoints: where each view stands.
func (e *edition) restore() error {
	e.names.forget()
	e.folders = nil
	for _, one := range e.views {
		f := &folding{view: one, folder: one.fold(e.names), parked: map[string]bool{}}
		if _, err := onerow(e.writer, `SELECT position, time FROM checkpoints WHERE view = ?`, []any{one.name},
			&f.position, &f.time); err != nil {
			return err
		}
		if err := e.writer.Query(`SELECT stream FROM parked WHERE view = ?`, []any{one.name}, func(r Row) error {
			f.parked[r.Text(0)] = true
			return nil
		}); err != nil {
			return err
		}
		e.folders = append(e.folders, f)
	}
	return nil
}

// checkpoint writes where each view stands, in the transaction of its rows.
func (e *edition) checkpoint() error {
	for _, f := range e.folders {
		if err := e.writer.Exec(`UPDATE checkpoints SET position = ?, time = ? WHERE view = ? AND position < ?`,
			f.position, f.time, f.name, f.position); err != nil {
			return fmt.Errorf("checkpoint of view %s: %w", f.name, err)
		}
	}
	return nil
}

// arrived tells those who wait that all views have reached a position.
func (v *Views) arrived(at eventstore.Position) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if at <= v.reached || v.closed {
		return
	}
	v.reached = at
	v.wake()
}

// wake lets those look again who wait. The caller holds mu.
func (v *Views) wake() {
	if !v.closed {
		close(v.passed)
		v.passed = make(chan struct{})
	}
}

// Position returns the position that all views have reached.
func (v *Views) Position() eventstore.Position {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.reached
}

// Wait returns when all views have folded everything up to pos, or with the error of ctx, or ErrClosed.
func (v *Views) Wait(ctx context.Context, pos eventstore.Position) error {
	for {
		v.mu.Lock()
		reached, passed, closed := v.reached, v.passed, v.closed
		v.mu.Unlock()
		if reached >= pos {
			return nil
		}
		if closed {
			return ErrClosed
		}
		select {
		case v.hurry <- struct{}{}:
		default:
		}
		select {
		case <-passed:
		case <-ctx.Done():
			return fmt.Errorf("wait for the views to reach position %d: %w", pos, ctx.Err())
		}
	}
}

// Ready returns when the views can be asked: at once, unless those on disk were written by another version of the program
// and have to be built first (ErrBuilding). Otherwise it returns the error of ctx, or ErrClosed.
func (v *Views) Ready(ctx context.Context) error {
	for {
		v.mu.Lock()
		unfit, passed, closed := v.unfit, v.passed, v.closed
		v.mu.Unlock()
		switch {
		case closed:
			return ErrClosed
		case !unfit:
			return nil
		}
		select {
		case <-passed:
		case <-ctx.Done():
			return fmt.Errorf("wait for the views to be built: %w", ctx.Err())
		}
	}
}

// Advanced returns a channel that is closed when all views have passed the position after, or are closed. It
// may be closed early: look again at Position. Unlike Wait it hurries nobody.
func (v *Views) Advanced(after eventstore.Position) <-chan struct{} {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.reached <= after {
		return v.passed
	}
	done := make(chan struct{})
	close(done)
	return done
}

// List says how each view stands.
func (v *Views) List(ctx context.Context) ([]View, error) {
	list := make([]View, len(v.options.views))
	v.mu.Lock()
	log := v.log
	for i, one := range v.options.views {
		list[i].Name = one.name
		v.rebuild.show(&list[i])
	}
	v.mu.Unlock()
	if err := v.readStandings(ctx, list); err != nil || log == nil {
		return list, err
	}
	head, err := log.Head(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the log's head: %w", err)
	}
	for i := range list {
		if list[i].Lag, err = eventstore.Between(ctx, log, list[i].Position, max(head, list[i].Position)); err != nil {
			return nil, fmt.Errorf("count what view %s is behind: %w", list[i].Name, err)
		}
	}
	return list, nil
}

// readStandings reads where the views stand, unless nobody can say what stands in their tables.
func (v *Views) readStandings(ctx context.Context, list []View) error {
	e, err := v.lend()
	if err != nil {
		return fmt.Errorf("read the views: %w", err)
	}
	defer e.using.Done()
	if e.unfit {
		return nil
	}
	return e.read(ctx, func(tx Tx) error {
		for i := range list {
			if err := readStanding(tx, &list[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

func readStanding(tx Tx, view *View) error {
	var version, position int64
	if _, err := onerow(tx, `SELECT version, position FROM checkpoints WHERE view = ?`, []any{view.Name}, &version, &position); err != nil {
		return err
	}
	view.Version, view.Position = int(version), eventstore.Position(position)
	return readParked(tx, view)
}

func readParked(tx Tx, view *View) error {
	return tx.Query(`SELECT stream, position, error, time FROM parked WHERE view = ? ORDER BY position`,
		[]any{view.Name}, func(r Row) error {
			stream, err := eventstore.ParseStream(r.Text(0))
			view.Parked = append(view.Parked, ParkedStream{
				stream, eventstore.Position(r.Int(1)), r.Text(2), moment(r.Int(3)),
			})
			return err
		})
}

// Compact writes the file anew without what was deleted from it, so that nothing of it stands on its pages any more,
// nor in the write-ahead log. Views may be run and read meanwhile; they are not folded until it is done, which takes
// as long as copying the file.
func (v *Views) Compact(ctx context.Context) error {
	e := v.locked()
	defer e.folding.Unlock()
	if e.writer == nil {
		return fmt.Errorf("compact the views: %w", errBusy) // they were opened for reading
	}
	e.writer.forget()
	err := sqlitex.ExecuteTransient(e.writer.conn, "VACUUM", nil)
	for busy := true; err == nil && busy; {
		err = sqlitex.ExecuteTransient(e.writer.conn, "PRAGMA wal_checkpoint(TRUNCATE)", &sqlitex.ExecOptions{
			ResultFunc: func(row *sqlite.Stmt) error { busy = row.ColumnInt(0) != 0; return nil },
		})
		if err == nil && busy { // somebody reads, and has done so for as long as SQLite waits
			err = ctx.Err()
		}
	}
	if err != nil {
		return fmt.Errorf("compact the views: %w", err)
	}
	return nil
}

// locked returns the edition that is served, while nobody writes it.
func (v *Views) locked() *edition {
	for {
		v.mu.Lock()
		e := v.edition
		v.mu.Unlock()
		e.folding.Lock()
		v.mu.Lock()
		still := v.edition == e
		v.mu.Unlock()
		if still {
			return e
		}
		e.folding.Unlock()
	}
}
