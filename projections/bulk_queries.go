package projections

import (
	"context"
	"time"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// A BulkOrder is an order to many devices. What it orders stands in the log at Position.
type BulkOrder struct {
	ID          string
	Position    eventstore.Position
	Group       string // its id
	Devices     int
	RequestType string
	OrderedAt   time.Time
	OrderedBy   eventstore.Actor
	Reason      string

	Cancelled       eventstore.Position // 0 if it was not
	CancelledAt     time.Time
	CancelledBy     eventstore.Actor
	CancelledReason string
}

// A BulkProgress says what became of an order until a moment. Of all its devices some are Pending: they have not been
// reached yet; the others refused it, or took it as a command, which waits (Queued, Delivered) or has ended.
type BulkProgress struct {
	Pending   int // no more will be reached if it was cancelled
	Refused   int
	Queued    int // never handed out
	Delivered int // handed out, and not answered for good
	Ended     map[CommandState]int
}

// A BulkRefusal is a device that did not take an order.
type BulkRefusal struct {
	Place        int
	Device       string // pseudonym
	Code, Reason string
}

const bulkColumns = `b.position, b.id, b.grouping, b.devices, y.text, t.time, b.reason, a.kind, a.ident, a.name, a.role,
	b.cancelled, c.time, b.because, k.kind, k.ident, k.name, k.role FROM bulk_orders b
	JOIN timeline t ON t.position = b.position LEFT JOIN timeline c ON c.position = b.cancelled
	LEFT JOIN names y ON y.vocabulary = 3 AND y.id = b.type
	LEFT JOIN actors a ON a.id = b.actor LEFT JOIN actors k ON k.id = b.cancelled_by`

func readBulkOrder(r Row, asOf eventstore.Position) BulkOrder {
	o := BulkOrder{
		Position: eventstore.Position(r.Int(0)), ID: r.Text(1), Group: r.Text(2), Devices: int(r.Int(3)), RequestType: r.Text(4),
		OrderedAt: moment(r.Int(5)), Reason: r.Text(6), OrderedBy: readActor(r, 7, ""),
	}
	if at := eventstore.Position(r.Int(11)); at > 0 && at <= asOf {
		o.Cancelled, o.CancelledAt, o.CancelledReason, o.CancelledBy = at, moment(r.Int(12)), r.Text(13), readActor(r, 14, "")
	}
	return o
}

// BulkOrder returns an order as it was at a moment, and whether there was one.
func (v *Views) BulkOrder(ctx context.Context, id string, asOf eventstore.Position) (o BulkOrder, found bool, err error) {
	return v.bulkOrder(ctx, asOf, "b.id = ?", id)
}

// BulkOrderOf returns the order that a command is part of, and whether it is part of one.
func (v *Views) BulkOrderOf(ctx context.Context, c Command) (o BulkOrder, found bool, err error) {
	return v.bulkOrder(ctx, Now, "b.position = (SELECT ordering FROM bulk_commands WHERE command = ?)", int64(c.Position))
}

func (v *Views) bulkOrder(ctx context.Context, asOf eventstore.Position, which string, arg any) (o BulkOrder, found bool, err error) {
	err = v.read(ctx, func(tx Tx) error {
		found, err = one(tx, `SELECT `+bulkColumns+` WHERE `+which+` AND b.position <= ?`, []any{arg, int64(asOf)},
			func(r Row) { o = readBulkOrder(r, asOf) })
		return err
	})
	return o, found, err
}

// BulkOrders lists the orders that were given until a moment, the newest first.
func (v *Views) BulkOrders(ctx context.Context, asOf eventstore.Position, p Page) (l Listing[BulkOrder], err error) {
	w, err := windowOf[int64](p)
	if err != nil {
		return l, err
	}
	var where where
	where.and("b.position <= ?", int64(asOf))
	if w.after != nil {
		where.and("b.position < ?", *w.after)
	}
	if w.before != nil {
		where.and("b.position > ?", *w.before)
	}
	order := " ORDER BY b.position DESC LIMIT ?"
	if w.backward {
		order = " ORDER BY b.position LIMIT ?"
	}
	var list []BulkOrder
	err = v.read(ctx, func(tx Tx) error {
		return tx.Query(`SELECT `+bulkColumns+where.String()+order, append(where.args, w.n+1), func(r Row) error {
			list = append(list, readBulkOrder(r, asOf))
			return nil
		})
	})
	return listing(w, list, func(o BulkOrder) int64 { return int64(o.Position) }), err
}

// BulkProgress returns what had become of an order at a moment.
func (v *Views) BulkProgress(ctx context.Context, o BulkOrder, asOf eventstore.Position) (p BulkProgress, err error) {
	p.Ended, p.Pending = map[CommandState]int{}, o.Devices
	at := int64(asOf)
	err = v.read(ctx, func(tx Tx) error {
		var refused int64
		if _, err := onerow(tx, `SELECT COUNT(*) FROM bulk_refused WHERE ordering = ? AND position <= ?`, []any{int64(o.Position), at}, &refused); err != nil {
			return err
		}
		p.Refused = int(refused)
		return tx.Query(`SELECT CASE WHEN c.settled <= ? THEN c.state WHEN c.delivered <= ? THEN 2 ELSE 1 END, COUNT(*)
			FROM bulk_commands b JOIN commands c ON c.position = b.command WHERE b.ordering = ? AND b.command <= ? GROUP BY 1`,
			[]any{at, at, int64(o.Position), at}, func(r Row) error {
				p.add(states[r.Int(0)-1], int(r.Int(1)))
				return nil
			})
	})
	p.Pending = max(p.Pending-p.Refused, 0)
	return p, err
}

func (p *BulkProgress) add(state CommandState, n int) {
	p.Pending -= n
	switch state {
	case Queued:
		p.Queued += n
	case Delivered:
		p.Delivered += n
	default:
		p.Ended[state] += n
	}
}

// BulkRefused lists the devices that had refused an order at a moment, in the order in which they were asked.
func (v *Views) BulkRefused(ctx context.Context, o BulkOrder, asOf eventstore.Position, p Page) (l Listing[BulkRefusal], err error) {
	w, err := windowOf[int64](p)
	if err != nil {
		return l, err
	}
	after := int64(0)
	if w.after != nil {
		after = *w.after
	}
	var list []BulkRefusal
	err = v.read(ctx, func(tx Tx) error {
		return tx.Query(`SELECT r.place, d.text, r.code, r.reason FROM bulk_refused r JOIN names d ON d.vocabulary = 0 AND d.id = r.device
			WHERE r.ordering = ? AND r.place > ? AND r.position <= ? ORDER BY r.place LIMIT ?`,
			[]any{int64(o.Position), after, int64(asOf), w.n + 1}, func(r Row) error {
				list = append(list, BulkRefusal{int(r.Int(0)), r.Text(1), r.Text(2), r.Text(3)})
				return nil
			})
	})
	return listing(w, list, func(r BulkRefusal) int64 { return int64(r.Place) }), err
}

// BulkToDo returns the ids of the orders that have not reached all their devices, and of those that were cancelled while
// commands of theirs still wait, the oldest first.
func (v *Views) BulkToDo(ctx context.Context) (ids []string, err error) {
	err = v.read(ctx, func(tx Tx) error {
		return tx.Query(`SELECT id FROM bulk_orders b WHERE reached < devices AND cancelled IS NULL OR cancelled IS NOT NULL AND EXISTS
			(SELECT 1 FROM bulk_commands x JOIN commands c ON c.position = x.command WHERE x.ordering = b.position AND c.waiting = 1)
			ORDER BY position`, nil, func(r Row) error {
			ids = append(ids, r.Text(0))
			return nil
		})
	})
	return ids, err
}

// A Waiting is a command that waits for a device.
type Waiting struct{ Device, UUID string }

// BulkWaiting returns the commands of an order that wait.
func (v *Views) BulkWaiting(ctx context.Context, id string) (list []Waiting, err error) {
	err = v.read(ctx, func(tx Tx) error {
		ordering, err := bulkPosition(tx, id)
		if err != nil || ordering == 0 {
			return err
		}
		return tx.Query(`SELECT d.text, c.uuid FROM bulk_commands b JOIN commands c ON c.position = b.command
			JOIN names d ON d.vocabulary = 0 AND d.id = c.device WHERE b.ordering = ? AND c.waiting = 1 ORDER BY c.position`,
			[]any{ordering}, func(r Row) error {
				list = append(list, Waiting{r.Text(0), r.Text(1)})
				return nil
			})
	})
	return list, err
}

// whereBulk narrows a choice of commands to those of one order.
func (f CommandFilter) whereBulk(tx Tx, w *where) error {
	if f.Bulk == "" {
		return nil
	}
	ordering, err := bulkPosition(tx, f.Bulk)
	if w.impossible = ordering == 0; err == nil && !w.impossible {
		w.and("c.position IN (SELECT command FROM bulk_commands WHERE ordering = ?)", ordering)
	}
	return err
}
