package projections

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

// deviceNumber finds a device by pseudonym, UDID, EnrollmentID or serial number; 0 if there is none. If several
// had a serial number, it is the one that had it last.
func deviceNumber(tx Tx, id string) (number int64, err error) {
	if id == "" {
		return 0, nil
	}
	if number, err = idOf(tx, devices, id); err != nil || number != 0 {
		return number, err
	}
	for _, column := range []string{"udid", "enrollment_id", "serial"} {
		found, err := onerow(tx, `SELECT device FROM fleet_spans WHERE `+column+` = ? AND `+column+` <> ''
			ORDER BY CASE WHEN until IS NULL THEN 0 ELSE 1 END, since DESC LIMIT 1`, []any{id}, &number)
		if err != nil || found {
			return number, err
		}
	}
	return 0, nil
}

// Device finds a device by pseudonym, UDID, EnrollmentID or serial number, as it was at a moment. Not found: it
// is not known, or had not authenticated yet.
func (v *Views) Device(ctx context.Context, id string, asOf eventstore.Position) (d Device, found bool, err error) {
	err = v.read(ctx, func(tx Tx) error {
		number, err := deviceNumber(tx, id)
		if err != nil || number == 0 {
			return err
		}
		d, found, err = newAlbum(tx, asOf).device(number)
		return err
	})
	return d, found, err
}

// DevicesByID returns the devices with these pseudonyms as they are now; unknown ones are absent.
func (v *Views) DevicesByID(ctx context.Context, ids []string) (map[string]Device, error) {
	byID := map[string]Device{}
	err := v.read(ctx, func(tx Tx) error {
		album := newAlbum(tx, Now)
		for _, id := range ids {
			number, err := idOf(tx, devices, id)
			if err != nil {
				return err
			}
			if d, found, err := album.device(number); err != nil {
				return err
			} else if found {
				byID[id] = d
			}
		}
		return nil
	})
	return byID, err
}

// An album shows devices as they were at one moment.
type album struct {
	tx     Tx
	asOf   eventstore.Position
	spoken []int64 // numbers of the types that are proofs of life; nil if not read yet
	pushed int64
}

func newAlbum(tx Tx, asOf eventstore.Position) *album { return &album{tx: tx, asOf: asOf} }

// at is the condition that a span covers the moment.
func (a *album) at(alias string) (condition string, args []any) {
	if a.asOf == Now {
		return alias + ".until IS NULL", nil
	}
	return alias + ".since <= ? AND (" + alias + ".until IS NULL OR " + alias + ".until > ?)",
		[]any{int64(a.asOf), int64(a.asOf)}
}

func (a *album) device(number int64) (d Device, found bool, err error) {
	covers, args := a.at("s")
	found, err = one(a.tx, `SELECT `+spanColumns+` FROM fleet_spans s WHERE s.device = ? AND `+covers,
		append([]any{number}, args...), func(r Row) { d = spanDevice(r, 0) })
	if err != nil || !found {
		return d, found, err
	}
	if d.ID, err = textOf(a.tx, devices, number); err != nil {
		return d, found, err
	}
	if d.LastSeenAt, d.LastPushAt, err = a.sighted(number); err != nil {
		return d, found, err
	}
	d.QueueLength, err = a.queued(number)
	return d, found, err
}

// sighted returns when a device last spoke, and when Apple last took a push for it.
func (a *album) sighted(number int64) (seen, pushed time.Time, err error) {
	var seenAt, pushedAt int64
	if a.asOf == Now {
		_, err = onerow(a.tx, `SELECT last_seen, last_push FROM fleet WHERE device = ?`, []any{number}, &seenAt, &pushedAt)
		return moment(seenAt), moment(pushedAt), err
	}
	types, err := a.types()
	if err != nil {
		return seen, pushed, err
	}
	if _, err = onerow(a.tx, lastOfTypes(len(types)), append([]any{number, int64(a.asOf)}, anys(types)...), &seenAt); err != nil {
		return seen, pushed, err
	}
	_, err = onerow(a.tx, lastOfTypes(1), []any{number, int64(a.asOf), a.pushed}, &pushedAt)
	return moment(seenAt), moment(pushedAt), err
}

func lastOfTypes(n int) string {
	return `SELECT t.time FROM timeline t WHERE t.device = ? AND t.position <= ? AND t.type IN (` + marks(n) + `)
		ORDER BY t.position DESC LIMIT 1`
}

func (a *album) types() ([]int64, error) {
	if a.spoken != nil {
		return a.spoken, nil
	}
	a.spoken = []int64{0}
	for _, e := range spoken() {
		id, err := idOf(a.tx, types, e.EventType())
		if err != nil {
			return nil, err
		}
		a.spoken = append(a.spoken, id)
	}
	var err error
	a.pushed, err = idOf(a.tx, types, device.PushAccepted{}.EventType())
	return a.spoken, err
}

func (a *album) queued(number int64) (int, error) {
	var n int64
	if a.asOf == Now {
		_, err := onerow(a.tx, `SELECT COUNT(*) FROM commands WHERE device = ? AND waiting = 1`, []any{number}, &n)
		return int(n), err
	}
	_, err := onerow(a.tx, `SELECT COUNT(*) FROM commands WHERE device = ? AND position <= ?
		AND (settled IS NULL OR settled > ?)`, []any{number, int64(a.asOf), int64(a.asOf)}, &n)
	return int(n), err
}

// Users lists the users of a device at a moment, in the order in which they were first known.
func (v *Views) Users(ctx context.Context, deviceID string, asOf eventstore.Position) (list []UserChannel, err error) {
	err = v.read(ctx, func(tx Tx) error {
		number, err := deviceNumber(tx, deviceID)
		if err != nil || number == 0 {
			return err
		}
		list, err = newAlbum(tx, asOf).users(number)
		return err
	})
	return list, err
}

func (a *album) users(number int64) (list []UserChannel, err error) {
	covers, args := a.at("u")
	var channelIDs []int64
	err = a.tx.Query(`SELECT u.channel, c.text, u.user_id, u.enrollment_user_id, u.short_name, u.long_name, u.status
		FROM fleet_users u JOIN names c ON c.vocabulary = 2 AND c.id = u.channel
		WHERE u.device = ? AND `+covers+` ORDER BY u.channel`, append([]any{number}, args...), func(r Row) error {
		channelIDs = append(channelIDs, r.Int(0))
		list = append(list, UserChannel{
			ID: device.ChannelID(r.Text(1)), UserID: r.Text(2), EnrollmentUserID: r.Text(3), ShortName: r.Text(4),
			LongName: r.Text(5), Status: device.Status(r.Text(6)),
		})
		return nil
	})
	for i := 0; err == nil && i < len(list); i++ {
		list[i].LastSeenAt, err = a.userSeen(number, channelIDs[i])
	}
	return list, err
}

func (a *album) userSeen(number, channel int64) (time.Time, error) {
	var seen int64
	if a.asOf == Now {
		_, err := onerow(a.tx, `SELECT last_seen FROM fleet_users_seen WHERE device = ? AND channel = ?`,
			[]any{number, channel}, &seen)
		return moment(seen), err
	}
	types, err := a.types()
	if err != nil {
		return time.Time{}, err
	}
	_, err = onerow(a.tx, `SELECT t.time FROM timeline t WHERE t.device = ? AND t.position <= ? AND t.channel = ?
		AND t.type IN (`+marks(len(types))+`) ORDER BY t.position DESC LIMIT 1`,
		append([]any{number, int64(a.asOf), channel}, anys(types)...), &seen)
	return moment(seen), err
}

func waitingTotal(tx Tx, asOf eventstore.Position) (int, error) {
	var n int64
	if asOf == Now {
		_, err := onerow(tx, `SELECT COUNT(*) FROM commands WHERE waiting = 1`, nil, &n)
		return int(n), err
	}
	_, err := onerow(tx, `SELECT COUNT(*) FROM commands WHERE position <= ? AND (settled IS NULL OR settled > ?)`,
		[]any{int64(asOf), int64(asOf)}, &n)
	return int(n), err
}

// Fleet counts the fleet at a moment. It reads each device's span once.
func (v *Views) Fleet(ctx context.Context, asOf eventstore.Position) (f Fleet, err error) {
	f = Fleet{ByStatus: map[device.Status]int{}, ByPlatform: map[Platform]int{}}
	byOS := map[OSCount]int{}
	err = v.read(ctx, func(tx Tx) error {
		f.Position, f.Time, err = timeOf(tx, asOf)
		if err != nil {
			return err
		}
		if f.WaitingTotal, err = waitingTotal(tx, asOf); err != nil {
			return err
		}
		covers, args := newAlbum(tx, asOf).at("s")
		return tx.Query(`SELECT s.status, s.platform, s.os_version, s.supervised, s.awaiting, COUNT(*) FROM fleet_spans s
			WHERE `+covers+` GROUP BY s.status, s.platform, s.os_version, s.supervised, s.awaiting`, args, func(r Row) error {
			n := int(r.Int(5))
			f.Devices += n
			f.ByStatus[device.Status(r.Text(0))] += n
			if device.Status(r.Text(0)) != device.StatusEnrolled {
				return nil
			}
			f.ByPlatform[Platform(r.Text(1))] += n
			byOS[OSCount{Platform: Platform(r.Text(1)), Version: r.Text(2)}] += n
			f.Supervised += n * int(r.Int(3))
			f.Awaiting += n * int(r.Int(4))
			return nil
		})
	})
	for os, n := range byOS {
		f.ByOS = append(f.ByOS, OSCount{os.Platform, os.Version, n})
	}
	slices.SortFunc(f.ByOS, func(a, b OSCount) int {
		return cmp.Or(cmp.Compare(b.Devices, a.Devices), cmp.Compare(a.Platform, b.Platform),
			cmp.Compare(sortable(b.Version), sortable(a.Version)))
	})
	return f, err
}
