package projections

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/rawjson"
)

// A thingKey names a managed thing of a device.
type thingKey struct {
	channel     int64
	kind, ident string
}

// A holding is how a managed thing is on a device; its zero is a thing of which nothing is known.
type holding struct {
	state, was             string
	command, removal       int64
	revision, uuid, partOf string
	stays, locked          int64
	about, because         string
	since                  int64 // of the row; no part of the state
}

// present reports whether the thing was put on the device and not taken away, as far as anybody knows.
func (h holding) present() bool {
	switch h.state {
	case ManagedAcknowledged, ManagedVerified, ManagedDiffers, ManagedMissing:
		return true
	}
	return false
}

const holdingColumns = `state, was, command, removal, revision, uuid, part_of, stays, locked, about, because, since`

func readHolding(r Row, from int) holding {
	return holding{
		state: r.Text(from), was: r.Text(from + 1), command: r.Int(from + 2), removal: r.Int(from + 3), revision: r.Text(from + 4), uuid: r.Text(from + 5),
		partOf: r.Text(from + 6), stays: r.Int(from + 7), locked: r.Int(from + 8), about: r.Text(from + 9), because: r.Text(from + 10), since: r.Int(from + 11),
	}
}

// change changes how a thing is, and writes a row if that is not what it was.
func (m managed) change(tx Tx, r *record, key thingKey, change func(*holding)) error {
	var before holding
	if _, err := one(tx, `SELECT `+holdingColumns+` FROM managed WHERE device = ? AND channel = ? AND kind = ? AND ident = ? AND until IS NULL`,
		[]any{r.device, key.channel, key.kind, key.ident}, func(row Row) { before = readHolding(row, 0) }); err != nil {
		return err
	}
	return m.changed(tx, r, key, before, change)
}

func (m managed) changed(tx Tx, r *record, key thingKey, before holding, change func(*holding)) error {
	after := before
	change(&after)
	after.since = before.since
	if after == before {
		return nil
	}
	at := []any{r.device, key.channel, key.kind, key.ident}
	end, args := `UPDATE managed SET until = ?`, append([]any{r.position}, at...)
	if before.since == r.position { // the event says two things of it: only the last was ever true
		end, args = `DELETE FROM managed`, at
	}
	if err := tx.Exec(end+` WHERE device = ? AND channel = ? AND kind = ? AND ident = ? AND until IS NULL`, args...); err != nil {
		return err
	}
	if after.state == "" {
		return nil
	}
	return tx.Exec(`INSERT INTO managed (device, channel, kind, ident, state, was, command, removal, revision, uuid, part_of, stays, locked, about, because, since)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, append(at, after.state, after.was, after.command, after.removal, after.revision, after.uuid,
		after.partOf, after.stays, after.locked, after.about, after.because, r.position)...)
}

// held returns all that is known of a device now, as far as a condition holds.
func held(tx Tx, device int64, where string, args ...any) (map[thingKey]holding, error) {
	all := map[thingKey]holding{}
	err := tx.Query(`SELECT channel, kind, ident, `+holdingColumns+` FROM managed WHERE device = ? AND until IS NULL`+where,
		append([]any{device}, args...), func(row Row) error {
			all[thingKey{row.Int(0), row.Text(1), row.Text(2)}] = readHolding(row, 3)
			return nil
		})
	return all, err
}

// partsOf returns the certificates that a profile brought and that are there still.
func (m managed) partsOf(tx Tx, r *record, of thingKey) (map[string]bool, error) {
	all, err := held(tx, r.device, ` AND channel = ? AND kind = ? AND part_of = ?`, of.channel, KindCertificate, of.ident)
	found := map[string]bool{}
	for key, h := range all {
		if h.present() {
			found[key.ident] = true
		}
	}
	return found, err
}

// enrolment tells what the end of an enrolment, or the belief in it, does to all that was managed.
func (m managed) enrolment(tx Tx, r *record) error {
	switch e := r.event.(type) {
	case device.CheckedOut:
		return m.ended(tx, r, "the device checked out")
	case device.Authenticated:
		if !e.Renewal {
			return m.ended(tx, r, "the device enrolled anew")
		}
	case device.PresumedUnmanaged:
		return m.all(tx, r, func(h *holding) {
			if h.present() && h.stays == 0 {
				h.was, h.state = h.state, ManagedPresumedGone
			}
		})
	case device.SubjectErased:
		return m.erased(tx, r, e.Channel)
	}
	return nil
}

// ended tells what is left when the enrolment ends: what is to stay stays, and is no longer managed.
func (m managed) ended(tx Tx, r *record, because string) error {
	for _, query := range []string{`DELETE FROM managed_orders WHERE device = ?`, `DELETE FROM managed_lists WHERE device = ?`} {
		if err := tx.Exec(query, r.device); err != nil {
			return err
		}
	}
	return m.all(tx, r, func(h *holding) {
		switch {
		case h.state == ManagedOrdered || h.state == ManagedFailed:
			*h = holding{}
		case !h.present() && h.state != ManagedPresumedGone:
		case h.stays != 0:
			h.state, h.was, h.because = ManagedLeft, "", because
		default:
			h.state, h.was, h.because = ManagedGone, "", because
		}
	})
}

// revived takes back what was presumed.
func (m managed) revived(tx Tx, r *record) error {
	return m.all(tx, r, func(h *holding) {
		if h.state == ManagedPresumedGone {
			h.state, h.was = h.was, ""
		}
	})
}

func (m managed) all(tx Tx, r *record, change func(*holding)) error {
	all, err := held(tx, r.device, "")
	for key, h := range all {
		if err == nil {
			err = m.changed(tx, r, key, h, change)
		}
	}
	return err
}

// erased forgets what was ever told of a device, or of one of its users.
func (m managed) erased(tx Tx, r *record, channel device.ChannelID) error {
	where, args := ``, []any{r.device}
	if channel != "" {
		number, err := m.channel(channel)
		if err != nil {
			return err
		}
		where, args = ` AND channel = ?`, append(args, number)
	}
	for _, table := range []string{"managed", "managed_orders", "managed_lists"} {
		if err := tx.Exec(`DELETE FROM `+table+` WHERE device = ?`+where, args...); err != nil {
			return err
		}
	}
	return nil
}

// errandOf reads what a command brings or takes away; its kind is empty if that is nothing.
func errandOf(e device.CommandQueued) errand {
	p := func(name string) json.RawMessage { return within(e.Parameters, name) }
	if _, asks := managedLists[e.RequestType]; asks {
		if raw := p("Identifiers"); raw != nil && string(raw) != "null" {
			return errand{kind: partial}
		}
		return errand{}
	}
	one := errand{kind: bringing[e.RequestType].kind, brings: e.Brings, ident: e.Brings.Identifier}
	switch e.RequestType {
	case "RemoveProfile", "RemoveApplication":
		one.ident = text(p("Identifier"))
	case "RemoveProvisioningProfile":
		one.ident = strings.ToLower(text(p("UUID")))
	case "InstallApplication":
		one.ident, one.stays = text(p("Identifier")), stays(p("ManagementFlags"))
	case "InstallEnterpriseApplication":
		one.ident, one.stays = or(text(within(firstOf(within(p("Manifest"), "items")), "metadata", "bundle-identifier")), one.ident), stays(p("ManagementFlags"))
		if string(p("InstallAsManaged")) != "true" {
			one.stays = 2
		}
	case "InstallMedia", "RemoveMedia":
		one.ident, one.stays = bookOf(p("PersistentID"), p("iTunesStoreID")), boolInt(p("PersistentID") == nil)
	case "AccountConfiguration":
		one.ident, one.stays = text(within(firstOf(p("AutoSetupAdminAccounts")), "shortName")), 1
	case "DeleteUser":
		one.ident = text(p("UserName"))
	}
	return one
}

// stays reads ManagementFlags: an app stays unless it is to go with the enrolment.
func stays(flags json.RawMessage) int64 {
	var n int64
	_ = json.Unmarshal(flags, &n) // what is no number has no flags
	return 1 - n&1
}

// bookOf names a book: by the id that its server gave it, or by the store's.
func bookOf(persistent, store json.RawMessage) string {
	if id := text(persistent); id != "" {
		return id
	}
	if number := strings.Trim(string(store), `"`); number != "" && number != "null" {
		return fmt.Sprintf("store/%s", number)
	}
	return ""
}

// within returns a member of an object, or of one in it; nil if there is none.
func within(raw json.RawMessage, path ...string) json.RawMessage {
	for _, name := range path {
		found, err := rawjson.Get(raw, name)
		if err != nil {
			return nil
		}
		raw = found
	}
	return raw
}

func firstOf(list json.RawMessage) json.RawMessage {
	if all, err := rawjson.Elements(list); err == nil && len(all) > 0 {
		return all[0]
	}
	return nil
}
