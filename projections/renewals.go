package projections

import (
	"context"
	"time"

	"github.com/rollcall-mdm/rollcall/domain/device"
)

// A Renewal is a device whose certificate is to be followed by another one soon: two thirds of its life are over.
type Renewal struct {
	Device      string // pseudonym
	Fingerprint string // of the certificate
	NotAfter    time.Time
	Road        string
	Invitation  string
	Tries       int       // how often a renewed profile was ordered for it
	Waiting     bool      // one of them still waits
	Last        time.Time // when the latest was ordered; zero if none was
	Place       string    // in the list: the next page begins after it
}

// RenewalKey begins the SupersedeKey of commands that bring a renewed enrolment profile; the certificate's fingerprint follows.
const RenewalKey = "renewal/"

// Renewals lists a page of up to most devices whose certificates, of this server's making, are to be followed by others at
// the time now: those that end first before the others, from the place after on (the first if empty). A certificate that
// has ended proves nothing any more, and is not listed. Whether the devices are enrolled they know themselves.
func (v *Views) Renewals(ctx context.Context, now time.Time, after string, most int) (list []Renewal, err error) {
	const ordered = ` FROM commands k WHERE k.device = p.device AND k.supersede_key = ? || c.fingerprint)`
	err = v.read(ctx, func(tx Tx) error {
		return tx.Query(`SELECT d.text, c.fingerprint, c.not_after, c.road, c.invitation, (SELECT COUNT(*)`+ordered+`, (SELECT MAX(k.waiting)`+ordered+`,
			(SELECT t.time FROM timeline t WHERE t.position = (SELECT MAX(k.position)`+ordered+`), c.place
			FROM certificate_pins p JOIN certificates c ON c.fingerprint = p.fingerprint JOIN names d ON d.vocabulary = ? AND d.id = p.device
			WHERE p.until IS NULL AND c.issued IS NOT NULL AND c.revoked IS NULL AND c.not_before + 2 * c.not_after <= 3 * ? AND c.not_after > ? AND c.place > ?
			ORDER BY c.place LIMIT ?`, []any{RenewalKey, RenewalKey, RenewalKey, int64(devices), microseconds(now), microseconds(now), after, most}, func(r Row) error {
			list = append(list, Renewal{
				Device: r.Text(0), Fingerprint: r.Text(1), NotAfter: moment(r.Int(2)), Road: r.Text(3), Invitation: r.Text(4),
				Tries: int(r.Int(5)), Waiting: r.Int(6) == 1, Last: moment(r.Int(7)), Place: r.Text(8),
			})
			return nil
		})
	})
	return list, err
}

// A Missed is a device that is enrolled and speaks by a certificate that ends soon, though another should have come by now.
type Missed struct {
	Device      string // pseudonym
	Fingerprint string
	NotAfter    time.Time
	Tries       int // how often a renewed profile was ordered
}

// elsewhere is how long before its end a certificate is missed that nobody here can renew.
const elsewhere = 30 * 24 * time.Hour

// Missed lists up to most of those that nobody was told of yet. A certificate of this server's is missed when a sixth of its life is
// left, half of the time that there was to renew it; one of another authority thirty days before its end.
func (v *Views) Missed(ctx context.Context, now time.Time, most int) (list []Missed, err error) {
	at := microseconds(now)
	err = v.read(ctx, func(tx Tx) error {
		return tx.Query(`SELECT d.text, c.fingerprint, c.not_after, (SELECT COUNT(*) FROM commands k WHERE k.device = p.device AND k.supersede_key = ? || c.fingerprint)
			FROM certificates c JOIN certificate_pins p ON p.fingerprint = c.fingerprint AND p.until IS NULL JOIN names d ON d.vocabulary = ? AND d.id = p.device
			JOIN fleet_spans s ON s.device = p.device AND s.until IS NULL AND s.status = ?
			WHERE c.place < ? AND c.not_after > 0 AND c.overdue IS NULL AND c.revoked IS NULL
			AND CASE WHEN c.issued IS NULL THEN c.not_after <= ? ELSE 6 * (c.not_after - ?) <= c.not_after - c.not_before END
			ORDER BY c.place LIMIT ?`,
			[]any{RenewalKey, int64(devices), string(device.StatusEnrolled), endPlace(now.Add(longestLife/6), ""), microseconds(now.Add(elsewhere)), at, most}, func(r Row) error {
				list = append(list, Missed{Device: r.Text(0), Fingerprint: r.Text(1), NotAfter: moment(r.Int(2)), Tries: int(r.Int(3))})
				return nil
			})
	})
	return list, err
}

// longestLife is longer than any certificate of a device is good here.
const longestLife = 1000 * 24 * time.Hour
