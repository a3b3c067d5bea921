package projections

import (
	"time"

	"github.com/rollcall-mdm/rollcall/domain/device"
)

// erased forgets who a device and its users were. Of its spans stays what the open parts of its events tell: when it
// was enrolled, and how that ended; so the counts of the past stay right. It must not matter whether the sealed parts
// could still be opened when the events before were folded.
func (f *fleet) erased(tx Tx, r *record) error {
	for at := range f.users {
		if at[0] == r.device {
			delete(f.users, at)
		}
	}
	for _, query := range []string{
		`DELETE FROM fleet_users WHERE device = ?`,
		`DELETE FROM fleet_users_seen WHERE device = ?`,
		`UPDATE fleet_spans SET udid = '', enrollment_id = '', serial = '', imei = '', meid = '', name = '', product = '',
			model = '', model_name = '', platform = '', os_version = '', os_order = '', build = '', type = '',
			supervised = NULL, user_approved = NULL, awaiting = NULL WHERE device = ?`,
	} {
		if err := tx.Exec(query, r.device); err != nil {
			return err
		}
	}
	delete(f.spans, r.device)
	if err := joinSpans(tx, r.device); err != nil {
		return err
	}
	return f.change(tx, r, func(d *Device) error {
		d.Status, d.StatusReason = device.StatusCheckedOut, "its personal data was erased on "+moment(r.at).Format(time.DateOnly)
		return nil
	})
}

// joinSpans makes one span of those that follow each other and no longer differ.
func joinSpans(tx Tx, number int64) error {
	type span struct{ since, until int64 }
	var kept, gone []span
	var last Device
	err := tx.Query(`SELECT `+spanColumns+`, s.since, COALESCE(s.until, 0) FROM fleet_spans s WHERE s.device = ? ORDER BY s.since`,
		[]any{number}, func(r Row) error {
			d, now := spanDevice(r, 0), span{r.Int(21), r.Int(22)}
			if n := len(kept); n > 0 && kept[n-1].until == now.since && same(d, last) {
				kept[n-1].until = now.until
				gone = append(gone, now)
				return nil
			}
			last, kept = d, append(kept, now)
			return nil
		})
	if err != nil || len(gone) == 0 {
		return err
	}
	for _, s := range gone {
		if err := tx.Exec(`DELETE FROM fleet_spans WHERE device = ? AND since = ?`, number, s.since); err != nil {
			return err
		}
	}
	for _, s := range kept {
		if err := tx.Exec(`UPDATE fleet_spans SET until = ? WHERE device = ? AND since = ?`, orNull(s.until), number, s.since); err != nil {
			return err
		}
	}
	return nil
}
