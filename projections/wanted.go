package projections

import (
	_ "embed"

	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/domain/profile"
	"github.com/rollcall-mdm/rollcall/domain/wanted"
	"github.com/rollcall-mdm/rollcall/rawjson"
)

//go:embed wanted.sql
var wantedSQL string

// wantedView answers: what are devices to have, and how far has each of them come?
type wantedView struct{ names *names }

func newWanted(n *names) folder { return wantedView{n} }

func (wantedView) forget()        {}
func (wantedView) flush(Tx) error { return nil }

func (w wantedView) apply(tx Tx, r *record) error {
	if r.device != 0 {
		return w.channel(tx, r)
	}
	id := r.env.Stream.ID
	switch e := r.event.(type) {
	case wanted.Put:
		actor, err := w.names.actorOf(r)
		if err == nil {
			err = tx.Exec(`UPDATE wanted_things SET until = ? WHERE id = ? AND until IS NULL`, r.position, id)
		}
		if err != nil {
			return err
		}
		return w.put(tx, r, actor, e)
	case profile.Stored:
		return w.stored(tx, r, e)
	case wanted.Assigned:
		if err := w.unassign(tx, r, e.Assignment); err != nil {
			return err
		}
		return tx.Exec(`INSERT INTO wanted_groups (thing, grouping, users, first, since) VALUES (?, ?, ?, ?, ?)`,
			id, e.Assignment.Group, boolInt(e.Assignment.Users), boolInt(e.Assignment.First), r.position)
	case wanted.Unassigned:
		return w.unassign(tx, r, e.Assignment)
	case wanted.Withdrawn:
		if err := tx.Exec(`UPDATE wanted_groups SET until = ? WHERE thing = ? AND until IS NULL`, r.position, id); err != nil {
			return err
		}
		return tx.Exec(`UPDATE wanted_things SET until = ? WHERE id = ? AND until IS NULL`, r.position, id)
	}
	return nil
}

func (w wantedView) unassign(tx Tx, r *record, a wanted.Assignment) error {
	return tx.Exec(`UPDATE wanted_groups SET until = ? WHERE thing = ? AND grouping = ? AND users = ? AND until IS NULL`,
		r.position, r.env.Stream.ID, a.Group, boolInt(a.Users))
}

// channel keeps how far a channel has come.
func (w wantedView) channel(tx Tx, r *record) error {
	switch e := r.event.(type) {
	case device.WantedOrdered:
		return w.ordered(tx, r, e)
	case device.WantedRefused:
		return w.change(tx, r, e.Channel, e.Thing, func(s *reached) {
			*s = reached{state: "REFUSED", revision: e.Revision, removes: boolInt(e.Removes), attempt: s.attempt, ordered: s.ordered, at: r.at, because: e.Because}
		})
	case device.WantedRetried:
		return w.change(tx, r, e.Channel, e.Thing, func(s *reached) { s.state, s.attempt, s.at, s.because = "RETRY", 0, r.at, "" })
	case device.CommandAcknowledged:
		state, because, err := outcomeOf(e)
		if err == nil {
			err = w.settled(tx, r, state, because)
		}
		if err != nil {
			return err
		}
		if e.RequestType == "DeviceConfigured" && e.Channel == "" || e.RequestType == "UserConfigured" {
			return w.waits(tx, r, e.Channel, new(false))
		}
	case device.CommandFailed:
		return w.settled(tx, r, "FAILED", or(firstError(e.ErrorChain), "the device could not do it"))
	case device.CommandFormatRejected:
		return w.settled(tx, r, "FAILED", "the device did not understand the command")
	case device.CommandCancelled:
		return w.settled(tx, r, "FAILED", "the command was taken back")
	case device.CommandSuperseded:
		return w.settled(tx, r, "FAILED", or(e.Reason, "another command took its place"))
	case device.CommandExpired:
		return w.settled(tx, r, "FAILED", "the device did not fetch the command in time")
	case device.TokenUpdated:
		return w.waits(tx, r, e.Channel, e.AwaitingConfiguration)
	case device.BootstrapTokenEscrowed:
		return w.waits(tx, r, "", e.AwaitingConfiguration)
	case device.BootstrapTokenDeleted:
		return w.waits(tx, r, "", e.AwaitingConfiguration)
	case device.BootstrapTokenReleased:
		return w.waits(tx, r, "", e.AwaitingConfiguration)
	case device.Authenticated:
		if !e.Renewal {
			return w.ended(tx, r)
		}
	case device.CheckedOut:
		return w.ended(tx, r)
	case device.SubjectErased:
		return w.erased(tx, r, e.Channel)
	}
	return nil
}

// outcomeOf returns what became of an acknowledged command: of settings each is acknowledged, or not, by itself.
func outcomeOf(e device.CommandAcknowledged) (state, because string, err error) {
	if e.RequestType != "Settings" {
		return "DONE", "", nil
	}
	settings, err := rawjson.Get(e.Result, "Settings")
	if err != nil || len(settings) == 0 || settings[0] != '[' {
		return "DONE", "", err
	}
	entries, err := rawjson.Elements(settings)
	if err != nil {
		return "", "", err
	}
	for _, one := range entries {
		status, err := rawjson.Get(one, "Status")
		if err != nil {
			return "", "", err
		}
		if s := text(status); s != "" && s != "Acknowledged" {
			chain, err := rawjson.Get(one, "ErrorChain")
			return "FAILED", or(firstError(chain), "the device could not do it"), err
		}
	}
	return "DONE", "", nil
}

// A reached is how far a channel has come with a thing; its zero is one of which nothing was ever ordered.
type reached struct {
	position         int64 // since which; read for standings alone
	state, revision  string
	removes, attempt int64
	ordered, at      int64
	because          string
}

const reachedColumns = `state, revision, removes, attempt, ordered, at, because`

func readReached(r Row, from int) reached {
	return reached{state: r.Text(from), revision: r.Text(from + 1), removes: r.Int(from + 2), attempt: r.Int(from + 3), ordered: r.Int(from + 4), at: r.Int(from + 5), because: r.Text(from + 6)}
}

func (w wantedView) number(id device.ChannelID) (int64, error) { return managed(w).channel(id) }

func (w wantedView) change(tx Tx, r *record, channel device.ChannelID, thing string, change func(*reached)) error {
	number, err := w.number(channel)
	if err != nil {
		return err
	}
	return w.changeAt(tx, r, number, thing, change)
}

func (w wantedView) changeAt(tx Tx, r *record, channel int64, thing string, change func(*reached)) error {
	at := []any{r.device, channel, thing}
	var s reached
	var since int64
	if _, err := one(tx, `SELECT `+reachedColumns+`, since FROM wanted_states WHERE device = ? AND channel = ? AND thing = ? AND until IS NULL`, at,
		func(row Row) { s, since = readReached(row, 0), row.Int(7) }); err != nil {
		return err
	}
	change(&s)
	end, args := `UPDATE wanted_states SET until = ?`, append([]any{r.position}, at...)
	if since == r.position {
		end, args = `DELETE FROM wanted_states`, at
	}
	if err := tx.Exec(end+` WHERE device = ? AND channel = ? AND thing = ? AND until IS NULL`, args...); err != nil {
		return err
	}
	return tx.Exec(`INSERT INTO wanted_states (device, channel, thing, since, state, revision, removes, attempt, ordered, at, because) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		append(at, r.position, s.state, s.revision, s.removes, s.attempt, s.ordered, s.at, s.because)...)
}

func (w wantedView) ordered(tx Tx, r *record, e device.WantedOrdered) error {
	number, err := w.number(e.Channel)
	if err == nil {
		err = tx.Exec(`DELETE FROM wanted_orders WHERE device = ? AND channel = ? AND thing = ?`, r.device, number, e.Thing)
	}
	if err != nil {
		return err
	}
	for _, uuid := range e.UUIDs {
		command, err := w.names.command(r.device, uuid, r.position)
		if err == nil && command != 0 {
			err = tx.Exec(`INSERT INTO wanted_orders (command, device, channel, thing) VALUES (?, ?, ?, ?)`, command, r.device, number, e.Thing)
		}
		if err != nil {
			return err
		}
	}
	return w.changeAt(tx, r, number, e.Thing, func(s *reached) {
		*s = reached{state: "ORDERED", revision: e.Revision, removes: boolInt(e.Removes), attempt: int64(e.Attempt), ordered: r.at, at: r.at}
	})
}

// settled tells that a command has ended. A thing of several commands has come through when the last of them has.
func (w wantedView) settled(tx Tx, r *record, state, because string) error {
	var channel, left int64
	var thing string
	found, err := one(tx, `SELECT channel, thing FROM wanted_orders WHERE command = ?`, []any{r.command}, func(row Row) { channel, thing = row.Int(0), row.Text(1) })
	if err != nil || !found {
		return err
	}
	if err := tx.Exec(`DELETE FROM wanted_orders WHERE command = ?`, r.command); err != nil {
		return err
	}
	if _, err := onerow(tx, `SELECT COUNT(*) FROM wanted_orders WHERE device = ? AND channel = ? AND thing = ?`, []any{r.device, channel, thing}, &left); err != nil {
		return err
	}
	return w.changeAt(tx, r, channel, thing, func(s *reached) {
		s.at, s.because = r.at, or(because, s.because)
		if left == 0 {
			s.state = state
			if s.because != "" {
				s.state = "FAILED"
			}
		}
	})
}

// waits notes whether a channel waits in Setup Assistant; nil says nothing.
func (w wantedView) waits(tx Tx, r *record, channel device.ChannelID, told *bool) error {
	if told == nil {
		return nil
	}
	number, err := w.number(channel)
	if err != nil {
		return err
	}
	if !*told {
		return tx.Exec(`UPDATE wanted_setup SET until = ? WHERE device = ? AND channel = ? AND until IS NULL`, r.position, r.device, number)
	}
	var n int64
	if _, err := onerow(tx, `SELECT COUNT(*) FROM wanted_setup WHERE device = ? AND channel = ? AND until IS NULL`, []any{r.device, number}, &n); err != nil || n > 0 {
		return err
	}
	return tx.Exec(`INSERT INTO wanted_setup (device, channel, since) VALUES (?, ?, ?)`, r.device, number, r.position)
}

// ended forgets, from now on, how far the enrolment before had come.
func (w wantedView) ended(tx Tx, r *record) error {
	if err := tx.Exec(`DELETE FROM wanted_orders WHERE device = ?`, r.device); err != nil {
		return err
	}
	for _, table := range []string{"wanted_states", "wanted_setup"} {
		if err := tx.Exec(`UPDATE `+table+` SET until = ? WHERE device = ? AND until IS NULL`, r.position, r.device); err != nil {
			return err
		}
	}
	return nil
}

func (w wantedView) erased(tx Tx, r *record, channel device.ChannelID) error {
	where, args := ``, []any{r.device}
	if channel != "" {
		number, err := w.number(channel)
		if err != nil {
			return err
		}
		where, args = ` AND channel = ?`, append(args, number)
	}
	for _, table := range []string{"wanted_states", "wanted_orders", "wanted_setup"} {
		if err := tx.Exec(`DELETE FROM `+table+` WHERE device = ?`+where, args...); err != nil {
			return err
		}
	}
	return nil
}
