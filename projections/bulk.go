package projections

import (
	_ "embed"

	"github.com/rollcall-mdm/rollcall/domain/bulk"
	"github.com/rollcall-mdm/rollcall/domain/device"
)

//go:embed bulk.sql
var bulkSQL string

// bulkOrders answers: what was ordered for many devices at once, whom has it reached, and who refused it?
type bulkOrders struct {
	names *names
	known map[string]int64 // positions of orders, by id
}

func newBulkOrders(n *names) folder { return &bulkOrders{n, map[string]int64{}} }

func (b *bulkOrders) forget()        { b.known = map[string]int64{} }
func (b *bulkOrders) flush(Tx) error { return nil }

func (b *bulkOrders) apply(tx Tx, r *record) error {
	switch e := r.event.(type) {
	case device.CommandQueued:
		if e.Bulk == "" {
			return nil
		}
		ordering, err := b.position(tx, e.Bulk)
		if err != nil || ordering == 0 {
			return err
		}
		return tx.Exec(`INSERT INTO bulk_commands (command, ordering) VALUES (?, ?)`, r.position, ordering)
	case bulk.Ordered:
		return b.ordered(tx, r, e)
	case bulk.PassedOn:
		return b.passedOn(tx, r, e)
	case bulk.Cancelled:
		actor, err := b.names.actorOf(r)
		if err != nil {
			return err
		}
		return tx.Exec(`UPDATE bulk_orders SET cancelled = ?, cancelled_by = ?, because = ? WHERE id = ?`,
			r.position, actor, textOrNull(e.Reason), r.env.Stream.ID)
	}
	return nil
}

func (b *bulkOrders) ordered(tx Tx, r *record, e bulk.Ordered) error {
	requestType, err := b.names.id(requestTypes, e.RequestType)
	if err != nil {
		return err
	}
	actor, err := b.names.actorOf(r)
	if err != nil {
		return err
	}
	return tx.Exec(`INSERT INTO bulk_orders (position, id, grouping, devices, type, actor, reason, reached) VALUES (?, ?, ?, ?, ?, ?, ?, 0)`,
		r.position, r.env.Stream.ID, e.Group, e.Devices, requestType, actor, textOrNull(e.Reason))
}

func (b *bulkOrders) passedOn(tx Tx, r *record, e bulk.PassedOn) error {
	ordering, err := b.position(tx, r.env.Stream.ID)
	if err != nil || ordering == 0 {
		return err
	}
	place := int64(0)
	if _, err := onerow(tx, `SELECT COALESCE(MAX(place), 0) FROM bulk_refused WHERE ordering = ?`, []any{ordering}, &place); err != nil {
		return err
	}
	for _, refused := range e.Refused {
		number, err := b.names.id(devices, refused.Device)
		if err != nil {
			return err
		}
		place++
		if err := tx.Exec(`INSERT INTO bulk_refused (ordering, place, position, device, code, reason) VALUES (?, ?, ?, ?, ?, ?)`,
			ordering, place, r.position, number, refused.Code, refused.Reason); err != nil {
			return err
		}
	}
	return tx.Exec(`UPDATE bulk_orders SET reached = ? WHERE position = ?`, e.Reached, ordering)
}

// position returns where an order was given, 0 if nobody knows it.
func (b *bulkOrders) position(tx Tx, id string) (position int64, err error) {
	if at, known := b.known[id]; known {
		return at, nil
	}
	if position, err = bulkPosition(tx, id); err == nil && position != 0 {
		keep(b.known, id, position)
	}
	return position, err
}

func bulkPosition(tx Tx, id string) (position int64, err error) {
	_, err = onerow(tx, `SELECT position FROM bulk_orders WHERE id = ?`, []any{id}, &position)
	return position, err
}
