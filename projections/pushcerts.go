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
	e, ok := r.event.(pushcert.Stored)
	if !ok {
		return nil
	}
	actor, err := p.names.actorOf(r)
	if err != nil {
		return err
	}
	return tx.Exec(`INSERT INTO pushcerts (topic, fingerprint, not_before, not_after, stored, actor, renewals)
		VALUES (?, ?, ?, ?, ?, ?, 0) ON CONFLICT (topic) DO UPDATE SET fingerprint = excluded.fingerprint,
		not_before = excluded.not_before, not_after = excluded.not_after, stored = excluded.stored,
		actor = excluded.actor, renewals = pushcerts.renewals + 1`,
		e.Topic, e.Fingerprint, microseconds(e.NotBefore), microseconds(e.NotAfter), r.at, actor)
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
