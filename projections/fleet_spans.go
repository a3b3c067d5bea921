package projections

import (
	"github.com/rollcall-mdm/rollcall/domain/device"
)

// spanColumns are the columns of fleet_spans that make a Device, in the order in which spanDevice reads them.
const spanColumns = `s.udid, s.enrollment_id, s.serial, s.imei, s.meid, s.name, s.product, s.model, s.model_name,
	s.platform, s.os_version, s.build, s.topic, s.status, s.reason, s.type, s.generation, s.supervised,
	s.user_approved, s.awaiting, s.enrolled_at`

// spanDevice reads a device from a row that has spanColumns from a column on.
func spanDevice(r Row, from int) Device {
	at := func(i int) string { return r.Text(from + i) }
	return Device{
		UDID: at(0), EnrollmentID: at(1), SerialNumber: at(2), IMEI: at(3), MEID: at(4), Name: at(5),
		ProductName: at(6), Model: at(7), ModelName: at(8), Platform: Platform(at(9)), OSVersion: at(10),
		BuildVersion: at(11), Topic: at(12), Status: device.Status(at(13)), StatusReason: at(14),
		EnrollmentType: at(15), Generation: int(r.Int(from + 16)), Supervised: truthAt(r, from+17),
		UserApproved: truthAt(r, from+18), Awaiting: truthAt(r, from+19), EnrolledAt: moment(r.Int(from + 20)),
	}
}

func truthAt(r Row, column int) *bool {
	if r.Null(column) {
		return nil
	}
	return new(r.Int(column) != 0)
}

// change ends the device's open span and begins another, unless nothing has changed. A device that never
// authenticated has no span, and gets none but by Authenticated.
func (f *fleet) change(tx Tx, r *record, edit func(*Device) error) error {
	before, found, err := f.span(tx, r.device)
	if err != nil {
		return err
	}
	if _, begins := r.event.(device.Authenticated); !found && !begins {
		return nil
	}
	after := before.Device
	if err := edit(&after); err != nil {
		return err
	}
	after.Platform = platformOf(after.ProductName, after.ModelName)
	switch {
	case found && same(before.Device, after):
		return nil
	case found && before.since == r.position: // the same event has changed it already
		err = tx.Exec(`DELETE FROM fleet_spans WHERE device = ? AND since = ?`, r.device, before.since)
	case found:
		err = tx.Exec(`UPDATE fleet_spans SET until = ? WHERE device = ? AND since = ?`, r.position, r.device, before.since)
	}
	if err == nil {
		err = insertSpan(tx, r, after)
	}
	if err == nil {
		keep(f.spans, r.device, span{r.position, after})
	}
	return err
}

// A span is how a device is since a position.
type span struct {
	since int64
	Device
}

// span returns the open span of a device, and whether it has one.
func (f *fleet) span(tx Tx, number int64) (s span, found bool, err error) {
	if s, found = f.spans[number]; found {
		return s, true, nil
	}
	found, err = one(tx, `SELECT `+spanColumns+`, s.since FROM fleet_spans s WHERE s.device = ? AND s.until IS NULL`,
		[]any{number}, func(row Row) { s = span{row.Int(21), spanDevice(row, 0)} })
	if found {
		keep(f.spans, number, s)
	}
	return s, found, err
}

func insertSpan(tx Tx, r *record, d Device) error {
	return tx.Exec(`INSERT INTO fleet_spans (device, since, until, udid, enrollment_id, serial, imei, meid, name,
		product, model, model_name, platform, os_version, os_order, build, topic, status, reason, type, generation,
		supervised, user_approved, awaiting, enrolled_at)
		VALUES (?, ?, NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		r.device, r.position, d.UDID, d.EnrollmentID, d.SerialNumber, d.IMEI, d.MEID, d.Name, d.ProductName, d.Model,
		d.ModelName, string(d.Platform), d.OSVersion, sortable(d.OSVersion), d.BuildVersion, d.Topic,
		string(d.Status), d.StatusReason, d.EnrollmentType, d.Generation, flagOrNull(d.Supervised),
		flagOrNull(d.UserApproved), flagOrNull(d.Awaiting), orNull(microseconds(d.EnrolledAt)))
}

func flagOrNull(b *bool) any {
	if b == nil {
		return nil
	}
	return *b
}

// same reports whether two devices read the same.
func same(a, b Device) bool {
	equal := func(x, y *bool) bool { return (x == nil) == (y == nil) && (x == nil || *x == *y) }
	if !equal(a.Supervised, b.Supervised) || !equal(a.UserApproved, b.UserApproved) || !equal(a.Awaiting, b.Awaiting) {
		return false
	}
	a.Supervised, a.UserApproved, a.Awaiting = b.Supervised, b.UserApproved, b.Awaiting
	return a == b
}

// userToken keeps a user's channel after his TokenUpdate.
func (f *fleet) userToken(tx Tx, r *record, e device.TokenUpdated) error {
	channel, err := f.names.id(channels, string(e.Channel))
	if err != nil {
		return err
	}
	before := UserChannel{}
	found, err := one(tx, `SELECT user_id, enrollment_user_id, short_name, long_name, status FROM fleet_users
		WHERE device = ? AND channel = ? AND until IS NULL`, []any{r.device, channel}, func(row Row) {
		before = UserChannel{UserID: row.Text(0), EnrollmentUserID: row.Text(1), ShortName: row.Text(2),
			LongName: row.Text(3), Status: device.Status(row.Text(4))}
	})
	if err != nil {
		return err
	}
	after := before
	after.Status = device.StatusEnrolled
	assign(&after.UserID, e.User.UserID)
	assign(&after.EnrollmentUserID, e.User.EnrollmentUserID)
	assign(&after.ShortName, e.User.UserShortName)
	assign(&after.LongName, e.User.UserLongName)
	if found && after == before {
		return nil
	}
	if found {
		if err := tx.Exec(`UPDATE fleet_users SET until = ? WHERE device = ? AND channel = ? AND until IS NULL`,
			r.position, r.device, channel); err != nil {
			return err
		}
	}
	return tx.Exec(`INSERT INTO fleet_users (device, channel, since, until, user_id, enrollment_user_id, short_name,
		long_name, status) VALUES (?, ?, ?, NULL, ?, ?, ?, ?, ?)`, r.device, channel, r.position, after.UserID,
		after.EnrollmentUserID, after.ShortName, after.LongName, string(after.Status))
}

// usersLeft closes the channels of all users of a device that checks out.
func (f *fleet) usersLeft(tx Tx, r *record) error {
	left := string(device.StatusCheckedOut)
	if err := tx.Exec(`UPDATE fleet_users SET until = ? WHERE device = ? AND until IS NULL AND status <> ?`,
		r.position, r.device, left); err != nil {
		return err
	}
	return tx.Exec(`INSERT INTO fleet_users (device, channel, since, until, user_id, enrollment_user_id, short_name,
		long_name, status) SELECT device, channel, until, NULL, user_id, enrollment_user_id, short_name, long_name, ?
		FROM fleet_users WHERE device = ? AND until = ?`, left, r.device, r.position)
}
