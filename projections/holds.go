package projections

import (
	"context"
	_ "embed"
	"time"

	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

//go:embed holds.sql
var holdsSQL string

// holds answers: what does somebody keep from being delivered, who, and why?
type holds struct{ names *names }

func newHolds(n *names) folder { return holds{n} }

func (holds) forget()        {}
func (holds) flush(Tx) error { return nil }

func (h holds) apply(tx Tx, r *record) error {
	switch e := r.event.(type) {
	case device.QueueHeld:
		return h.begin(tx, r, 0, e.Reason)
	case device.QueueReleased:
		return h.end(tx, r, 0)
	case device.CommandHeld:
		return h.begin(tx, r, r.command, e.Reason)
	case device.CommandReleased:
		return h.end(tx, r, r.command)
	case device.SubjectErased:
		return h.erased(tx, r, e.Channel)
	}
	return nil
}

func (h holds) begin(tx Tx, r *record, command int64, reason string) error {
	channel, err := h.channel(r.channel())
	if err != nil {
		return err
	}
	actor, err := h.names.actorOf(r)
	if err != nil {
		return err
	}
	return tx.Exec(`INSERT INTO holds (device, command, channel, since, actor, reason) VALUES (?, ?, ?, ?, ?, ?)`,
		r.device, command, channel, r.position, actor, textOrNull(reason))
}

func (h holds) end(tx Tx, r *record, command int64) error {
	channel, err := h.channel(r.channel())
	if err != nil {
		return err
	}
	return tx.Exec(`UPDATE holds SET until = ? WHERE device = ? AND command = ? AND channel = ? AND until IS NULL`,
		r.position, r.device, command, channel)
}

// erased ends the holds of a device or a user whose personal data was erased, and forgets what people wrote about them.
func (h holds) erased(tx Tx, r *record, of device.ChannelID) error {
	if of == "" {
		return tx.Exec(`UPDATE holds SET reason = NULL, until = COALESCE(until, ?) WHERE device = ?`, r.position, r.device)
	}
	channel, err := h.channel(of)
	if err != nil {
		return err
	}
	return tx.Exec(`UPDATE holds SET reason = NULL, until = COALESCE(until, ?) WHERE device = ? AND channel = ?`,
		r.position, r.device, channel)
}

func (h holds) channel(id device.ChannelID) (int64, error) {
	if id == "" {
		return 0, nil
	}
	return h.names.id(channels, string(id))
}

// A Hold keeps a command, or all that waits in a queue, from being delivered.
type Hold struct {
	Since    time.Time
	Position eventstore.Position // of the event that began it
	By       eventstore.Actor
	Reason   string
}

// QueueHold returns what holds the queue of a device and its users, or, of a user's channel, of that user alone, at a
// moment.
func (v *Views) QueueHold(ctx context.Context, deviceID string, channel device.ChannelID, asOf eventstore.Position) (h Hold, held bool, err error) {
	err = v.read(ctx, func(tx Tx) error {
		id, err := idOf(tx, devices, deviceID)
		if err != nil || id == 0 {
			return err
		}
		number := int64(0)
		if channel != "" {
			if number, err = idOf(tx, channels, string(channel)); err != nil || number == 0 {
				return err
			}
		}
		h, held, err = queueHold(tx, id, number, asOf)
		return err
	})
	return h, held, err
}

// CommandHold returns what holds one command, apart from its queue, at a moment.
func (v *Views) CommandHold(ctx context.Context, c Command, asOf eventstore.Position) (h Hold, held bool, err error) {
	err = v.read(ctx, func(tx Tx) error {
		id, err := idOf(tx, devices, c.Device)
		if err != nil || id == 0 {
			return err
		}
		h, held, err = commandHold(tx, id, int64(c.Position), asOf)
		return err
	})
	return h, held, err
}

func queueHold(tx Tx, device, channel int64, asOf eventstore.Position) (Hold, bool, error) {
	return readHold(tx, asOf, `h.device = ? AND h.command = 0 AND h.channel = ?`, device, channel)
}

func commandHold(tx Tx, device, command int64, asOf eventstore.Position) (Hold, bool, error) {
	return readHold(tx, asOf, `h.device = ? AND h.command = ?`, device, command)
}

func readHold(tx Tx, asOf eventstore.Position, which string, args ...any) (h Hold, held bool, err error) {
	covers, when := newAlbum(tx, asOf).at("h")
	held, err = one(tx, `SELECT t.position, t.time, h.reason, a.kind, a.ident, a.name, a.role FROM holds h
		JOIN timeline t ON t.position = h.since LEFT JOIN actors a ON a.id = h.actor WHERE `+which+` AND `+covers,
		append(args, when...), func(r Row) {
			h = Hold{moment(r.Int(1)), eventstore.Position(r.Int(0)), readActor(r, 3, ""), r.Text(2)}
		})
	return h, held, err
}

// holdOf returns what keeps a waiting command from being delivered, and what it holds; nothing if nothing does.
func holdOf(tx Tx, id, channel int64, c Command, w waking) (h Hold, what string, err error) {
	if h, held, err := commandHold(tx, id, int64(c.Position), Now); err != nil || held {
		return h, "the command", err
	}
	if !w.withholds(c.UUID) {
		return h, "", nil
	}
	whose := "the queue of the device"
	h, held, err := queueHold(tx, id, 0, Now)
	if err == nil && !held {
		whose = "the user's queue"
		h, _, err = queueHold(tx, id, channel, Now)
	}
	return h, whose, err
}
