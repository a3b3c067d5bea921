package projections

import (
	"context"
	_ "embed"

	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/domain/pushcert"
)

//go:embed pushcerts.sql
var pushcertsSQL string

// pushcerts answers: with which certificates are devices pushed, and when do these expire?
type pushcerts struct{ names *names }

func newPushcerts(n *names) folder { return pushcerts{n} }

func (pushcerts) forget()        {}
func (pushcerts) flush(Tx) error { return nil }

func (p pushcerts) apply(tx Tx, r *record) error {
	switch e := r.event.(type) {
	case pushcert.Stored:
		return p.stored(tx, r, e)
	case pushcert.Requested:
		actor, err := p.names.actorOf(r)
		if err != nil {
			return err
		}
		return tx.Exec(`INSERT INTO pushcert_requests (id, topic, common_name, made, actor) VALUES (?, ?, ?, ?, ?)`,
			e.ID, e.Topic, e.CommonName, r.at, actor)
	}
	return nil
}

func (p pushcerts) stored(tx Tx, r *record, e pushcert.Stored) error {
	actor, err := p.names.actorOf(r)
	if err != nil {
		return err
	}
	err = tx.Exec(`INSERT INTO pushcerts (topic, fingerprint, not_before, not_after, stored, actor, renewals)
		VALUES (?, ?, ?, ?, ?, ?, 0) ON CONFLICT (topic) DO UPDATE SET fingerprint = excluded.fingerprint,
		not_before = excluded.not_before, not_after = excluded.not_after, stored = excluded.stored,
		actor = excluded.actor, renewals = pushcerts.renewals + 1`,
		e.Topic, e.Fingerprint, microseconds(e.NotBefore), microseconds(e.NotAfter), r.at, actor)
	if err != nil || e.KeyID == "" {
		return err
	}
	return tx.Exec(`UPDATE pushcert_requests SET answered = ? WHERE id = ? AND answered IS NULL`, r.at, e.KeyID)
}

// PushCertificates lists the newest certificate of each topic, and how many devices enrolled with it.
func (v *Views) PushCertificates(ctx context.Context) (list []PushCertificate, err error) {
	err = v.read(ctx, func(tx Tx) error {
		return tx.Query(`SELECT p.topic, p.fingerprint, p.not_before, p.not_after, p.stored, p.renewals,
			(SELECT COUNT(*) FROM fleet_spans s WHERE s.until IS NULL AND s.topic = p.topic AND s.status = ?),
			a.kind, a.ident, a.name, a.role FROM pushcerts p LEFT JOIN actors a ON a.id = p.actor ORDER BY p.topic`,
			[]any{string(device.StatusEnrolled)}, func(r Row) error {
				list = append(list, PushCertificate{
					Topic: r.Text(0), Fingerprint: r.Text(1), NotBefore: moment(r.Int(2)), NotAfter: moment(r.Int(3)),
					StoredAt: moment(r.Int(4)), Renewals: int(r.Int(5)), Devices: int(r.Int(6)), StoredBy: readActor(r, 7, ""),
				})
				return nil
			})
	})
	return list, err
}

// PushCertificateRequests lists the requests for push certificates, the newest first.
func (v *Views) PushCertificateRequests(ctx context.Context) (list []PushCertificateRequest, err error) {
	err = v.read(ctx, func(tx Tx) error {
		return tx.Query(`SELECT p.id, p.topic, p.common_name, p.made, COALESCE(p.answered, 0), a.kind, a.ident, a.name, a.role
			FROM pushcert_requests p LEFT JOIN actors a ON a.id = p.actor ORDER BY p.made DESC, p.id`, nil, func(r Row) error {
			list = append(list, PushCertificateRequest{
				ID: r.Text(0), Topic: r.Text(1), CommonName: r.Text(2), MadeAt: moment(r.Int(3)), AnsweredAt: moment(r.Int(4)), MadeBy: readActor(r, 5, ""),
			})
			return nil
		})
	})
	return list, err
}

// Orphans tells which enrolled devices cannot be reached with a topic: the serial numbers of some (the UDID where there is
// none), and how many they are.
func (v *Views) Orphans(ctx context.Context, topic string, most int) (serials []string, all int, err error) {
	err = v.read(ctx, func(tx Tx) error {
		return tx.Query(`SELECT COALESCE(NULLIF(serial, ''), NULLIF(udid, ''), enrollment_id) FROM fleet_spans
			WHERE until IS NULL AND status = ? AND topic <> ? ORDER BY 1`, []any{string(device.StatusEnrolled), topic}, func(r Row) error {
			if all++; all <= most {
				serials = append(serials, r.Text(0))
			}
			return nil
		})
	})
	return serials, all, err
}
