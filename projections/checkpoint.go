package projections

import (
	"context"
	"errors"
	"fmt"

	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// restore reads the checkpoints: where each view stands.
func (v *Views) restore() error {
	v.names.forget()
	v.folders = nil
	for _, one := range views() {
		f := &folding{view: one, folder: one.fold(v.names), parked: map[string]bool{}}
		if _, err := onerow(v.writer, `SELECT position, time FROM checkpoints WHERE view = ?`, []any{one.name},
			&f.position, &f.time); err != nil {
			return err
		}
		if err := v.writer.Query(`SELECT stream FROM parked WHERE view = ?`, []any{one.name}, func(r Row) error {
			f.parked[r.Text(0)] = true
			return nil
		}); err != nil {
			return err
		}
		v.folders = append(v.folders, f)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.reached = max(v.reached, eventstore.Position(v.slowest()))
	return nil
}

// checkpoint writes where each view stands, in the transaction of its rows.
func (v *Views) checkpoint() error {
	for _, f := range v.folders {
		if err := v.writer.Exec(`UPDATE checkpoints SET position = ?, time = ? WHERE view = ? AND position < ?`,
			f.position, f.time, f.name, f.position); err != nil {
			return fmt.Errorf("checkpoint of view %s: %w", f.name, err)
		}
	}
	return nil
}

func (v *Views) forget() {
	v.names.forget()
	for _, f := range v.folders {
		f.forget()
	}
}

// park leaves a stream alone that the view could not digest.
func (v *Views) park(f *folding, r *record, why error) error {
	stream := r.env.Stream.String()
	v.options.Logger.Error("a view cannot digest an event: its stream is parked",
		"view", f.name, "stream", stream, "position", r.position, "error", why)
	f.parked[stream] = true
	return v.writer.Exec(`INSERT INTO parked (view, stream, position, error, time) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (view, stream) DO NOTHING`, f.name, stream, r.position, why.Error(), r.at)
}

// arrived tells those who wait that all views have reached a position.
func (v *Views) arrived(at eventstore.Position) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if at <= v.reached || v.closed {
		return
	}
	v.reached = at
	close(v.passed)
	v.passed = make(chan struct{})
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
	v.mu.Lock()
	log := v.log
	v.mu.Unlock()
	var head eventstore.Position
	if log != nil {
		var err error
		if head, err = log.Head(ctx); err != nil {
			return nil, fmt.Errorf("read the log's head: %w", err)
		}
	}
	var list []View
	err := v.read(ctx, func(tx Tx) error {
		for _, one := range views() {
			view := View{Name: one.name}
			var version, position, rebuild int64
			if _, err := onerow(tx, `SELECT version, position, rebuild FROM checkpoints WHERE view = ?`,
				[]any{one.name}, &version, &position, &rebuild); err != nil {
				return err
			}
			view.Version, view.Position, view.Rebuilding = int(version), eventstore.Position(position), position < rebuild
			if log != nil {
				var err error
				if view.Lag, err = eventstore.Between(ctx, log, view.Position, head); err != nil {
					return fmt.Errorf("count what view %s is behind: %w", one.name, err)
				}
			}
			if err := readParked(tx, &view); err != nil {
				return err
			}
			list = append(list, view)
		}
		return nil
	})
	return list, err
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

// Compact writes the file anew without what was deleted from it, so that nothing of it stands on its pages any more.
// It is for work while nobody reads: it takes as long as copying the file.
func (v *Views) Compact() error {
	select {
	case v.writing <- struct{}{}:
		defer func() { <-v.writing }()
	default:
		return errors.New("the views are written already, or closed")
	}
	v.writer.forget()
	for _, query := range []string{"VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"} {
		if err := sqlitex.ExecuteTransient(v.writer.conn, query, nil); err != nil {
			return fmt.Errorf("compact the views: %w", err)
		}
	}
	return nil
}
