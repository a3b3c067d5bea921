package projections

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"time"

	"github.com/rollcall-mdm/rollcall/domain/device"
)

//go:embed wakeups.sql
var wakeupsSQL string

// wakeups answers: which channels should be pushed now, and when is the next? What it does with each event is
// waking's business. Its times are the server's clock as it was, for they are compared with the clock as it is.
type wakeups struct {
	names *names
	kept  map[[2]int64]waking // device and channel; written at each flush
	dirty map[[2]int64]bool
}

func newWakeups(n *names) folder {
	w := &wakeups{names: n}
	w.forget()
	return w
}

func (w *wakeups) forget() { w.kept, w.dirty = map[[2]int64]waking{}, map[[2]int64]bool{} }

func (w *wakeups) apply(tx Tx, r *record) error {
	if r.device == 0 {
		return nil
	}
	switch e := r.event.(type) {
	case device.SubjectErased:
		if e.Channel != "" {
			return w.userErased(tx, r, e.Channel)
		}
		return w.all(tx, r)
	case device.Authenticated, device.CheckedOut:
		return w.all(tx, r)
	case device.QueueHeld:
		if e.Channel == "" {
			return w.allOf(tx, r)
		}
	case device.QueueReleased:
		if e.Channel == "" {
			return w.allOf(tx, r)
		}
	case device.CommandHeld, device.CommandReleased:
	case device.TokenUpdated:
		if e.Channel == "" {
			if err := w.all(tx, r); err != nil {
				return err
			}
		}
	case device.CommandQueued, device.CommandDelivered, device.CommandDeferred, device.ResultUnmatched, device.Seen,
		device.CommandAcknowledged, device.CommandFailed, device.CommandFormatRejected, device.CommandCancelled,
		device.CommandSuperseded, device.CommandExpired, device.PushRequested, device.PushAccepted, device.PushRefused:
	default:
		return nil
	}
	channel := int64(0)
	if id := r.channel(); id != "" {
		var err error
		if channel, err = w.names.id(channels, string(id)); err != nil {
			return err
		}
	}
	at := [2]int64{r.device, channel}
	state, err := w.state(tx, at)
	if err != nil {
		return err
	}
	w.kept[at], w.dirty[at] = state.after(r.event, r.env.Time), true
	return nil
}

// all folds an event into all channels of a device.
func (w *wakeups) all(tx Tx, r *record) error {
	if err := w.flush(tx); err != nil {
		return err
	}
	found := [][2]int64{}
	if err := tx.Query(`SELECT channel FROM wakeups WHERE device = ?`, []any{r.device}, func(row Row) error {
		found = append(found, [2]int64{r.device, row.Int(0)})
		return nil
	}); err != nil {
		return err
	}
	for _, at := range found {
		state, err := w.state(tx, at)
		if err != nil {
			return err
		}
		w.kept[at], w.dirty[at] = state.deviceAfter(r.event, r.env.Time, at[1] == 0), true
	}
	return nil
}

// allOf does what all does, for the device's own channel even if nothing is known of it yet: all later ones ask it.
func (w *wakeups) allOf(tx Tx, r *record) error {
	own := [2]int64{r.device, 0}
	state, err := w.state(tx, own)
	if err != nil {
		return err
	}
	w.kept[own], w.dirty[own] = state, true
	return w.all(tx, r)
}

// state returns a channel's waking. A user's begins held if his device is. A channel without one is closed until its device is enrolled.
func (w *wakeups) state(tx Tx, at [2]int64) (waking, error) {
	if state, ok := w.kept[at]; ok {
		return state, nil
	}
	if len(w.kept) >= maxRemembered/2 {
		if err := w.flush(tx); err != nil {
			return waking{}, err
		}
		clear(w.kept)
	}
	var stored string
	found, err := one(tx, `SELECT state FROM wakeups WHERE device = ? AND channel = ?`, []any{at[0], at[1]},
		func(r Row) { stored = r.Text(0) })
	switch {
	case err != nil:
		return waking{}, err
	case found:
		return readWaking(stored)
	case at[1] == 0:
		return waking{}, nil
	}
	own, err := w.state(tx, [2]int64{at[0], 0})
	return waking{DeviceHeld: own.DeviceHeld}, err
}

func readWaking(stored string) (state waking, err error) {
	if err = json.Unmarshal([]byte(stored), &state); err != nil {
		return state, fmt.Errorf("read a waking: %w", err)
	}
	return state, nil
}

func (w *wakeups) flush(tx Tx) error {
	for at := range w.dirty {
		state, err := json.Marshal(w.kept[at])
		if err != nil {
			return err
		}
		if err := tx.Exec(`INSERT INTO wakeups (device, channel, due, state) VALUES (?, ?, ?, ?)
			ON CONFLICT (device, channel) DO UPDATE SET due = excluded.due, state = excluded.state`,
			at[0], at[1], orNull(w.kept[at].wants()), string(state)); err != nil {
			return err
		}
	}
	clear(w.dirty)
	return nil
}

// Due returns the channels that should be pushed at the time now, the longest due first, at most limit. A push
// that was sent has to be recorded with its device: only that strikes it off.
func (v *Views) Due(ctx context.Context, now time.Time, limit int) (due []Wakeup, err error) {
	err = v.read(ctx, func(tx Tx) error {
		return tx.Query(`SELECT d.text, COALESCE(c.text, ''), w.due, w.state FROM wakeups w
			JOIN names d ON d.vocabulary = ? AND d.id = w.device
			LEFT JOIN names c ON c.vocabulary = ? AND c.id = w.channel
			WHERE w.due <= ? ORDER BY w.due LIMIT ?`,
			[]any{int64(devices), int64(channels), now.UnixMicro(), limit}, func(r Row) error {
				state, err := readWaking(r.Text(3))
				due = append(due, Wakeup{
					Device: r.Text(0), Channel: device.ChannelID(r.Text(1)), DueAt: moment(r.Int(2)),
					Reason: state.Reason, Attempt: state.Accepted + state.Refusals + 1,
				})
				return err
			})
	})
	return due, err
}

// NextDue returns when the next push is due, which may be in the past; false if none is foreseen.
func (v *Views) NextDue(ctx context.Context) (at time.Time, foreseen bool, err error) {
	err = v.read(ctx, func(tx Tx) error {
		var due int64
		foreseen, err = onerow(tx, `SELECT due FROM wakeups WHERE due IS NOT NULL ORDER BY due LIMIT 1`, nil, &due)
		at = moment(due)
		return err
	})
	return at, foreseen, err
}

// wakingOf returns a channel's waking.
func wakingOf(tx Tx, device, channel int64) (state waking, err error) {
	var stored string
	found, err := one(tx, `SELECT state FROM wakeups WHERE device = ? AND channel = ?`, []any{device, channel},
		func(r Row) { stored = r.Text(0) })
	if err != nil || !found {
		return state, err
	}
	return readWaking(stored)
}
