package projections

import (
	"context"
	"time"

	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

const entryColumns = `SELECT t.position, t.time, y.text, d.text, t.stream, t.version, c.text, COALESCE(o.uuid, t.uuid),
	a.kind, a.ident, a.name, a.role FROM timeline t
	LEFT JOIN names y ON y.vocabulary = 1 AND y.id = t.type
	LEFT JOIN names d ON d.vocabulary = 0 AND d.id = t.device
	LEFT JOIN names c ON c.vocabulary = 2 AND c.id = t.channel
	LEFT JOIN commands o ON o.position = t.command
	LEFT JOIN actors a ON a.id = t.actor`

func readEntry(r Row) (e Entry, err error) {
	e = Entry{
		Position: eventstore.Position(r.Int(0)), Time: moment(r.Int(1)), Type: r.Text(2), Device: r.Text(3),
		Version: r.Int(5), Channel: device.ChannelID(r.Text(6)), Command: r.Text(7), Actor: readActor(r, 8, r.Text(3)),
	}
	if e.Stream = (eventstore.Stream{Kind: device.Kind, ID: e.Device}); e.Device == "" {
		e.Stream, err = eventstore.ParseStream(r.Text(4))
	}
	return e, err
}

// readActor reads kind, ident, name and role from a column on; NULL is the device itself.
func readActor(r Row, from int, itself string) eventstore.Actor {
	if r.Null(from) {
		return eventstore.Actor{Kind: eventstore.ByDevice, ID: itself}
	}
	return eventstore.Actor{
		Kind: eventstore.ActorKind(r.Text(from)), ID: r.Text(from + 1), Name: r.Text(from + 2), Role: r.Text(from + 3),
	}
}

// Events lists events in the order of the log.
func (v *Views) Events(ctx context.Context, f EventFilter, p Page) (l Listing[Entry], err error) {
	w, err := windowOf[int64](p)
	if err != nil {
		return l, err
	}
	err = v.read(ctx, func(tx Tx) error {
		var found []Entry
		where, err := f.where(tx)
		if err == nil && !where.impossible {
			found, err = events(tx, where, w)
		}
		l = listing(w, found, func(e Entry) int64 { return int64(e.Position) })
		return err
	})
	return l, err
}

func events(tx Tx, where *where, w window[int64]) (found []Entry, err error) {
	if w.after != nil {
		where.and("t.position > ?", *w.after)
	}
	if w.before != nil {
		where.and("t.position < ?", *w.before)
	}
	order := " ORDER BY t.position LIMIT ?"
	if w.backward {
		order = " ORDER BY t.position DESC LIMIT ?"
	}
	err = tx.Query(entryColumns+where.String()+order, append(where.args, w.n+1), func(r Row) error {
		e, err := readEntry(r)
		found = append(found, e)
		return err
	})
	return found, err
}

// Event returns the event at a position.
func (v *Views) Event(ctx context.Context, pos eventstore.Position) (e Entry, found bool, err error) {
	err = v.read(ctx, func(tx Tx) error {
		return tx.Query(entryColumns+" WHERE t.position = ?", []any{int64(pos)}, func(r Row) (err error) {
			found = true
			e, err = readEntry(r)
			return err
		})
	})
	return e, found, err
}

// PositionAt returns the last position whose time is not after t, 0 if there is none. It is what makes a moment
// of a time.
func (v *Views) PositionAt(ctx context.Context, t time.Time) (pos eventstore.Position, err error) {
	err = v.read(ctx, func(tx Tx) error {
		pos, err = positionAt(tx, t)
		return err
	})
	return pos, err
}

// positionAt halves the stretch in which the position must be: times never go back along the timeline.
func positionAt(tx Tx, t time.Time) (eventstore.Position, error) {
	var high int64
	if _, err := onerow(tx, `SELECT COALESCE(MAX(position), 0) FROM timeline`, nil, &high); err != nil {
		return 0, err
	}
	low, us := int64(0), t.UnixMicro() // the answer is at least low, and less than high+1
	for low < high {
		middle := low + (high-low+1)/2
		var at, time int64
		found, err := onerow(tx, `SELECT position, time FROM timeline WHERE position >= ? ORDER BY position LIMIT 1`,
			[]any{middle}, &at, &time)
		switch {
		case err != nil:
			return 0, err
		case found && time <= us:
			low = at
		default:
			high = middle - 1
		}
	}
	return eventstore.Position(low), nil
}

// timeOf returns the time of the last position up to pos; the zero time if there is none.
func timeOf(tx Tx, pos eventstore.Position) (last eventstore.Position, at time.Time, err error) {
	var position, us int64
	_, err = onerow(tx, `SELECT position, time FROM timeline WHERE position <= ? ORDER BY position DESC LIMIT 1`,
		[]any{int64(pos)}, &position, &us)
	return eventstore.Position(position), moment(us), err
}
