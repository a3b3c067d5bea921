package projections

import (
	"context"
	"fmt"
	"slices"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

// park leaves a stream alone that the view could not digest: with an event that did not open, or one that did.
func (e *edition) park(f *folding, r *record, why error, opened bool) error {
	stream := r.env.Stream.String()
	e.logger.Error("a view cannot digest an event: its stream is parked",
		"view", f.name, "stream", stream, "position", r.position, "error", why)
	f.parked[stream] = true
	return e.writer.Exec(`INSERT INTO parked (view, stream, position, error, time, opened) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (view, stream) DO NOTHING`, f.name, stream, r.position, why.Error(), r.at, opened)
}

// noteOpened adds to a file of an earlier program what it did not say of parked streams: whether their event opened. Of those
// that are there, none is said to have.
func (e *edition) noteOpened() error {
	var n int64
	_, err := onerow(e.writer, `SELECT COUNT(*) FROM pragma_table_info('parked') WHERE name = 'opened'`, nil, &n)
	if err != nil || n > 0 {
		return err
	}
	return e.writer.Exec(`ALTER TABLE parked ADD COLUMN opened INTEGER NOT NULL DEFAULT 0`)
}

// maxTried is how many parked events of a view are tried.
const maxTried = 200

// Digestible names the views that parked a stream because of an event that they could not open, and that opens now: to a newer
// program that knows it, or because a key was put back. Rebuild folds them anew. What opened and was not digested is tried
// again when the view's version is another: then the view is stale.
func (v *Views) Digestible(ctx context.Context, log eventstore.Log, codec eventstore.Codec[domain.Event]) (names []string, err error) {
	for _, one := range v.options.views {
		tried, err := v.unopened(ctx, one.name)
		if err != nil {
			return nil, err
		}
		o := &opener{codec: codec, zeros: zeros(), needs: []need{{view: one}}}
		o.peeks, _ = codec.(peeker)
		for _, at := range tried {
			opens, err := o.opens(ctx, log, at)
			if err != nil {
				return nil, fmt.Errorf("try the event at position %d again, which view %s could not open: %w", at, one.name, err)
			}
			if opens {
				names = append(names, one.name)
				break
			}
		}
	}
	return names, nil
}

// unopened returns the positions of the events for which a view parked a stream because they did not open.
func (v *Views) unopened(ctx context.Context, view string) (all []eventstore.Position, err error) {
	if stale, asked := v.Stale(); !asked || slices.Contains(stale, view) {
		return nil, nil // it is built anew in any case
	}
	err = v.read(ctx, func(tx Tx) error {
		return tx.Query(`SELECT position FROM parked WHERE view = ? AND opened = 0 ORDER BY position LIMIT ?`, []any{view, maxTried},
			func(r Row) error {
				all = append(all, eventstore.Position(r.Int(0)))
				return nil
			})
	})
	return all, err
}

// opens reports whether the event at a position opens as far as the opener's views need it.
func (o *opener) opens(ctx context.Context, log eventstore.Log, at eventstore.Position) (bool, error) {
	env, found, err := eventstore.ReadAt(ctx, log, at)
	if err != nil || !found {
		return false, err
	}
	event, err := o.event(env)
	if err != nil && failed(err) {
		return false, err
	}
	return err == nil && event != nil, nil
}
