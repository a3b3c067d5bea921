package projections

import (
	"cmp"
	"context"
	"slices"

	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

const commandColumns = `SELECT c.position, c.uuid, d.text, h.text, y.text, c.state, c.priority, c.not_before, c.expires_at,
	c.supersede_key, c.reason, c.no_push, tq.time, c.deliveries, c.deferrals, c.delivered, td.time, tn.time, c.settled,
	ts.time, c.because, a.kind, a.ident, a.name, a.role FROM commands c
	LEFT JOIN names d ON d.vocabulary = 0 AND d.id = c.device
	LEFT JOIN names y ON y.vocabulary = 3 AND y.id = c.type
	LEFT JOIN names h ON h.vocabulary = 2 AND h.id = c.channel
	LEFT JOIN timeline tq ON tq.position = c.position
	LEFT JOIN timeline td ON td.position = c.delivered
	LEFT JOIN timeline tn ON tn.position = c.deferred
	LEFT JOIN timeline ts ON ts.position = c.settled
	LEFT JOIN actors a ON a.id = c.actor`

func readCommand(r Row) Command {
	return Command{
		Position: eventstore.Position(r.Int(0)), UUID: r.Text(1), Device: r.Text(2), Channel: device.ChannelID(r.Text(3)),
		RequestType: r.Text(4), State: states[r.Int(5)-1], Priority: int(r.Int(6)), NotBefore: moment(r.Int(7)),
		ExpiresAt: moment(r.Int(8)), SupersedeKey: r.Text(9), Reason: r.Text(10), NoPush: r.Int(11) != 0,
		QueuedAt: moment(r.Int(12)), Deliveries: int(r.Int(13)), Deferrals: int(r.Int(14)),
		DeliveredPosition: eventstore.Position(r.Int(15)), DeliveredAt: moment(r.Int(16)), DeferredAt: moment(r.Int(17)),
		SettledPosition: eventstore.Position(r.Int(18)), SettledAt: moment(r.Int(19)), Because: r.Text(20),
		QueuedBy: readActor(r, 21, r.Text(2)),
	}
}

func commandsWhere(tx Tx, rest string, args ...any) (list []Command, err error) {
	err = tx.Query(commandColumns+rest, args, func(r Row) error {
		list = append(list, readCommand(r))
		return nil
	})
	return list, err
}

// Command returns the commands with a UUID, newest first: one for each channel that was sent it.
func (v *Views) Command(ctx context.Context, uuid string) (list []Command, err error) {
	err = v.read(ctx, func(tx Tx) error {
		list, err = commandsWhere(tx, " WHERE c.uuid = ? ORDER BY c.position DESC", uuid)
		return err
	})
	return list, err
}

// CommandAt returns the command that was queued at a position.
func (v *Views) CommandAt(ctx context.Context, queued eventstore.Position) (c Command, found bool, err error) {
	err = v.read(ctx, func(tx Tx) error {
		c, found, err = commandAt(tx, int64(queued))
		return err
	})
	return c, found, err
}

func commandAt(tx Tx, queued int64) (c Command, found bool, err error) {
	found, err = one(tx, commandColumns+" WHERE c.position = ?", []any{queued}, func(r Row) { c = readCommand(r) })
	return c, found, err
}

// Commands lists commands, those ordered last first.
func (v *Views) Commands(ctx context.Context, f CommandFilter, p Page) (l Listing[Command], err error) {
	w, err := windowOf[int64](p)
	if err != nil {
		return l, err
	}
	err = v.read(ctx, func(tx Tx) error {
		where, err := f.where(tx)
		var found []Command
		if err == nil && !where.impossible {
			found, err = commandPage(tx, where, w)
		}
		l = listing(w, found, func(c Command) int64 { return int64(c.Position) })
		return err
	})
	return l, err
}

func commandPage(tx Tx, where *where, w window[int64]) ([]Command, error) {
	if w.after != nil {
		where.and("c.position < ?", *w.after)
	}
	if w.before != nil {
		where.and("c.position > ?", *w.before)
	}
	order := " ORDER BY c.position DESC LIMIT ?"
	if w.backward {
		order = " ORDER BY c.position LIMIT ?"
	}
	return commandsWhere(tx, where.String()+order, append(where.args, w.n+1)...)
}

func (f CommandFilter) where(tx Tx) (*where, error) {
	w := &where{}
	f.whereStates(w)
	if len(f.UUIDs) > 0 {
		w.and("c.uuid IN ("+marks(len(f.UUIDs))+")", anys(f.UUIDs)...)
	}
	for _, step := range []func(Tx, *where) error{f.whereTypes, f.whereDevice, f.whereActor, f.whereTimes, f.whereBulk} {
		if err := step(tx, w); err != nil || w.impossible {
			return w, err
		}
	}
	return w, nil
}

func (f CommandFilter) whereStates(w *where) {
	if len(f.States) == 0 {
		return
	}
	var wanted []int64
	waiting, odd := true, true
	for _, s := range f.States {
		wanted = append(wanted, int64(s.number()))
		waiting, odd = waiting && s.Waits(), odd && s.number() > Acknowledged.number()
	}
	w.in("c.state", wanted)
	if waiting { // the indexes of those that wait, and of those that ended otherwise than acknowledged
		w.and("c.waiting = 1")
	}
	if odd {
		w.and("c.state > 4")
	}
}

func (f CommandFilter) whereTypes(tx Tx, w *where) error {
	if len(f.RequestTypes) == 0 {
		return nil
	}
	var ids []int64
	for _, name := range f.RequestTypes {
		id, err := idOf(tx, requestTypes, name)
		if err != nil {
			return err
		}
		if id != 0 {
			ids = append(ids, id)
		}
	}
	w.in("c.type", ids)
	return nil
}

func (f CommandFilter) whereDevice(tx Tx, w *where) error {
	if f.Device != "" {
		id, err := deviceNumber(tx, f.Device)
		if w.impossible = id == 0; err != nil || w.impossible {
			return err
		}
		w.and("c.device = ?", id)
	}
	if f.Channel == nil {
		return nil
	}
	if *f.Channel == "" {
		w.and("c.channel IS NULL")
		return nil
	}
	id, err := idOf(tx, channels, string(*f.Channel))
	w.and("c.channel = ?", id)
	return err
}

func (f CommandFilter) whereActor(tx Tx, w *where) error {
	if f.Actor == "" {
		return nil
	}
	ids, err := numbers(tx, `SELECT id FROM actors WHERE ident = ? OR name = ?`, f.Actor, f.Actor)
	w.in("c.actor", ids)
	return err
}

func (f CommandFilter) whereTimes(tx Tx, w *where) error {
	bounds := &where{}
	if err := (EventFilter{From: f.From, To: f.To}).whereTimes(tx, bounds); err != nil {
		return err
	}
	for i, condition := range bounds.conditions {
		w.and("c"+condition[1:], bounds.args[i]) // of the command's own position
	}
	return nil
}

// Queue returns what waits for a device and its users, channel by channel, in the order in which it will be
// offered: what was never put off first, then by priority, then as it came.
func (v *Views) Queue(ctx context.Context, deviceID string) (list []Command, err error) {
	err = v.read(ctx, func(tx Tx) error {
		id, err := deviceNumber(tx, deviceID)
		if err != nil || id == 0 {
			return err
		}
		list, err = queueOf(tx, id)
		return err
	})
	return list, err
}

func queueOf(tx Tx, id int64) ([]Command, error) {
	list, err := commandsWhere(tx, " WHERE c.device = ? AND c.waiting = 1 ORDER BY c.position", id)
	slices.SortStableFunc(list, func(a, b Command) int {
		putOff := func(c Command) int { return min(c.Deferrals, 1) }
		return cmp.Or(cmp.Compare(a.Channel, b.Channel), cmp.Compare(putOff(a), putOff(b)),
			cmp.Compare(b.Priority, a.Priority), cmp.Compare(a.Position, b.Position))
	})
	return list, err
}

// answers are Apple's words for what came back, by the type of the event.
var answers = map[string]string{
	device.CommandAcknowledged{}.EventType():   device.Acknowledged,
	device.CommandFailed{}.EventType():         device.Error,
	device.CommandFormatRejected{}.EventType(): device.CommandFormatError,
	device.CommandDeferred{}.EventType():       device.NotNow,
}

// Attempts returns each delivery of a command and what came back, oldest first. It reads the timeline.
func (v *Views) Attempts(ctx context.Context, c Command) (list []Attempt, err error) {
	until := Now
	if c.SettledPosition > 0 {
		until = c.SettledPosition
	}
	err = v.read(ctx, func(tx Tx) error {
		id, err := idOf(tx, devices, c.Device)
		if err != nil || id == 0 {
			return err
		}
		return tx.Query(`SELECT t.position, t.time, y.text FROM timeline t JOIN names y ON y.vocabulary = 1 AND y.id = t.type
			WHERE t.device = ? AND t.position >= ? AND t.position <= ? AND t.command = ? ORDER BY t.position`,
			[]any{id, int64(c.Position), int64(until), int64(c.Position)}, func(r Row) error {
				if r.Text(2) == (device.CommandDelivered{}).EventType() {
					list = append(list, Attempt{DeliveredAt: moment(r.Int(1)), Position: eventstore.Position(r.Int(0))})
				}
				if status := answers[r.Text(2)]; status != "" && len(list) > 0 {
					last := &list[len(list)-1]
					last.AnsweredAt, last.Answer, last.Status = moment(r.Int(1)), eventstore.Position(r.Int(0)), status
				}
				return nil
			})
	})
	return list, err
}

// CommandCounts returns how many commands are in each state.
func (v *Views) CommandCounts(ctx context.Context) (map[CommandState]int, error) {
	counts := map[CommandState]int{}
	add := func(r Row) error {
		counts[states[r.Int(0)-1]] += int(r.Int(1))
		return nil
	}
	err := v.read(ctx, func(tx Tx) error {
		if err := tx.Query(`SELECT state, n FROM command_counts WHERE state > 0`, nil, add); err != nil {
			return err
		}
		return tx.Query(`SELECT state, COUNT(*) FROM commands WHERE waiting = 1 GROUP BY state`, nil, add)
	})
	return counts, err
}
