package projections

import (
	"context"
	"time"

	"github.com/rollcall-mdm/rollcall/domain/device"
)

// A Silent is a device that is enrolled and has said nothing for long.
type Silent struct {
	Device   string // pseudonym
	LastSeen time.Time
	Pushed   time.Time // when Apple last took a push for it since; zero if never
}

// SilentDevices lists the enrolled devices that have said nothing since before, the longest silent first, at most limit.
// Those for which a push is due, or refused until they give a new token, are not among them: nothing can be found out
// about these now.
func (v *Views) SilentDevices(ctx context.Context, before time.Time, limit int) (list []Silent, err error) {
	err = v.read(ctx, func(tx Tx) error {
		return tx.Query(`SELECT d.text, f.last_seen, w.state FROM fleet f
			JOIN fleet_spans s ON s.device = f.device AND s.until IS NULL AND s.status = ?
			JOIN wakeups w ON w.device = f.device AND w.channel = 0 AND w.due IS NULL
			JOIN names d ON d.vocabulary = ? AND d.id = f.device
			WHERE f.last_seen < ? ORDER BY f.last_seen`,
			[]any{string(device.StatusEnrolled), int64(devices), before.UnixMicro()}, func(r Row) error {
				state, err := readWaking(r.Text(2))
				if err == nil && !state.Stopped && len(list) < limit {
					list = append(list, Silent{Device: r.Text(0), LastSeen: moment(r.Int(1)), Pushed: moment(state.Latest)})
				}
				return err
			})
	})
	return list, err
}
