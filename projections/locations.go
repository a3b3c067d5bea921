package projections

import (
	"context"

	"github.com/rollcall-mdm/rollcall/domain/device"
)

// A LocationDay is a day on which a device told where it is.
type LocationDay struct {
	Device    string // pseudonym
	Day       string
	Version   int64 // of one of the events that say so, in the device's stream
	Forgotten bool  // the log says that the day's key is destroyed
}

// located notes where a location stands.
func (s secrets) located(tx Tx, r *record, e device.Located) error {
	if err := tx.Exec(`INSERT INTO locations (device, day, position, version, forgotten) VALUES (?, ?, ?, ?, 0)`, r.device, e.Day, r.position, r.env.Version); err != nil {
		return err
	}
	return s.only(tx, r, device.DeviceLocation, e.UUID)
}

// unlocated forgets the locations of a day, which nobody can open any more.
func (s secrets) unlocated(tx Tx, r *record, day string) error {
	for _, table := range []string{"secrets", "secrets_past"} {
		if err := tx.Exec(`DELETE FROM `+table+` WHERE device = ? AND kind = ? AND position IN (
			SELECT position FROM locations WHERE device = ? AND day = ?)`, r.device, string(device.DeviceLocation), r.device, day); err != nil {
			return err
		}
	}
	return tx.Exec(`UPDATE locations SET forgotten = 1 WHERE device = ? AND day = ?`, r.device, day)
}

// LocationDays lists the days on which devices told where they are: those that can still be opened, and those that should
// not be.
func (v *Views) LocationDays(ctx context.Context) (list []LocationDay, err error) {
	err = v.read(ctx, func(tx Tx) error {
		return tx.Query(`SELECT d.text, l.day, MAX(l.version), MIN(l.forgotten) FROM locations l
			JOIN names d ON d.vocabulary = ? AND d.id = l.device GROUP BY d.text, l.day ORDER BY l.day, d.text`, []any{int64(devices)}, func(r Row) error {
			list = append(list, LocationDay{Device: r.Text(0), Day: r.Text(1), Version: r.Int(2), Forgotten: r.Int(3) == 1})
			return nil
		})
	})
	return list, err
}
