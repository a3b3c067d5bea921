package projections

import (
	"context"
	"encoding/json"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

// A Certificate is one by which a device speaks or may speak, as it was at a moment.
type Certificate struct {
	Fingerprint string // SHA-256 of the DER, hex
	Serial      string // hex
	NotBefore   time.Time
	NotAfter    time.Time
	IssuedAt    time.Time // zero if it was issued elsewhere
	Issuer      string    // fingerprint of the root
	PublicKey   string    // SHA-256, hex
	Session     string
	Road        string
	Invitation  string
	Follows     string // fingerprint of the certificate in whose place it came
	FollowedBy  string // that of the newest one which came in its place
	Command     string // CommandUUID of the InstallProfile that brought it
	IntendedFor string // pseudonym of the device that it was issued for
	Device      string // of the one for which it speaks at the moment
	Since       time.Time
	Clones      int // how often it spoke for another device than its own
	RevokedAt   time.Time
	Because     string
	Reason      string
	OverdueAt   time.Time           // when somebody was told that no other one has come in its place
	Attested    *domain.Attestation // what is vouched for about its key; nil if nothing is
	place       string
}

// A CertificateFilter says which certificates are wanted. The zero filter is all.
type CertificateFilter struct {
	Device        string // pseudonym: those that it speaks by, spoke by, or that were issued for it
	ExpiresBefore time.Time
	Revoked       *bool
	Speaks        *bool // whether a device speaks by it
	Overdue       *bool // whether another one should have come in its place, and did not
	Fingerprint   string
	Serial        string // hex, as it is stored: no leading zeros
	AsOf          eventstore.Position
}

// certificateColumns tells of certificates. What follows what is told by what was pinned; where nothing was, by what was asked for.
const certificateColumns = `SELECT c.fingerprint, c.serial, c.not_before, c.not_after, (SELECT t.time FROM timeline t WHERE t.position = c.issued),
	c.issuer, c.public_key, c.session, c.road, c.invitation,
	COALESCE((SELECT q.fingerprint FROM certificate_pins m JOIN certificate_pins q ON q.device = m.device AND q.until = m.since AND q.fingerprint <> m.fingerprint
		WHERE m.fingerprint = c.fingerprint AND m.since <= ? ORDER BY m.since LIMIT 1), c.follows),
	COALESCE((SELECT m.fingerprint FROM certificate_pins q JOIN certificate_pins m ON m.device = q.device AND m.since = q.until AND q.fingerprint <> m.fingerprint
		WHERE q.fingerprint = c.fingerprint AND m.since <= ? ORDER BY m.since DESC LIMIT 1),
		(SELECT f.fingerprint FROM certificates f WHERE f.follows = c.fingerprint AND f.first <= ? ORDER BY f.first DESC LIMIT 1)),
	c.command, (SELECT n.text FROM names n WHERE n.vocabulary = ? AND n.id = c.intended), d.text, s.time,
	(SELECT COUNT(*) FROM certificate_clones k WHERE k.fingerprint = c.fingerprint AND k.position <= ?),
	(SELECT t.time FROM timeline t WHERE t.position = c.revoked AND c.revoked <= ?), CASE WHEN c.revoked <= ? THEN c.because END, CASE WHEN c.revoked <= ? THEN c.reason END, c.place,
	(SELECT t.time FROM timeline t WHERE t.position = c.overdue AND c.overdue <= ?), c.attested
	FROM certificates c LEFT JOIN certificate_pins p ON p.fingerprint = c.fingerprint AND p.since <= ? AND (p.until IS NULL OR p.until > ?)
	LEFT JOIN names d ON d.vocabulary = ? AND d.id = p.device LEFT JOIN timeline s ON s.position = p.since`

// Certificates lists certificates, those that end first before the others.
func (v *Views) Certificates(ctx context.Context, f CertificateFilter, p Page) (l Listing[Certificate], err error) {
	w, err := windowOf[string](p)
	if err != nil {
		return l, err
	}
	err = v.read(ctx, func(tx Tx) error {
		where, err := f.where(tx)
		if err != nil {
			return err
		}
		if w.after != nil {
			where.and("c.place > ?", *w.after)
		}
		if w.before != nil {
			where.and("c.place < ?", *w.before)
		}
		order := ` ORDER BY c.place LIMIT ?`
		if w.backward {
			order = ` ORDER BY c.place DESC LIMIT ?`
		}
		list, err := certificatesAt(tx, f.AsOf, where, order, w.n+1)
		l = listing(w, list, func(c Certificate) string { return c.place })
		return err
	})
	return l, err
}

// Certificate returns the certificate with this fingerprint as it was at a moment, and whether it was known.
func (v *Views) Certificate(ctx context.Context, fingerprint string, asOf eventstore.Position) (c Certificate, found bool, err error) {
	l, err := v.Certificates(ctx, CertificateFilter{Fingerprint: fingerprint, AsOf: asOf}, Page{First: 1})
	if err != nil || len(l.Edges) == 0 {
		return c, false, err
	}
	return l.Edges[0].Node, true, nil
}

func (f CertificateFilter) where(tx Tx) (where where, err error) {
	at := lastly(f.AsOf)
	where.and("c.first <= ?", at)
	if f.Fingerprint != "" {
		where.and("c.fingerprint = ?", f.Fingerprint)
	}
	if f.Serial != "" {
		where.and("c.serial = ?", f.Serial)
	}
	if f.Device != "" {
		number, err := idOf(tx, devices, f.Device)
		if err != nil {
			return where, err
		}
		where.and("(c.intended = ? OR EXISTS (SELECT 1 FROM certificate_pins q WHERE q.fingerprint = c.fingerprint AND q.device = ? AND q.since <= ?))", number, number, at)
	}
	if !f.ExpiresBefore.IsZero() {
		where.and("c.not_after < ? AND c.not_after > 0", microseconds(f.ExpiresBefore))
	}
	switch {
	case f.Revoked == nil:
	case *f.Revoked:
		where.and("c.revoked <= ?", at)
	default:
		where.and("(c.revoked IS NULL OR c.revoked > ?)", at)
	}
	switch {
	case f.Overdue == nil:
	case *f.Overdue:
		where.and("c.overdue <= ? AND p.fingerprint IS NOT NULL", at)
	default:
		where.and("(c.overdue IS NULL OR c.overdue > ? OR p.fingerprint IS NULL)", at)
	}
	switch {
	case f.Speaks == nil:
	case *f.Speaks:
		where.and("p.fingerprint IS NOT NULL")
	default:
		where.and("p.fingerprint IS NULL")
	}
	return where, nil
}

func certificatesAt(tx Tx, asOf eventstore.Position, where where, rest string, more ...any) (list []Certificate, err error) {
	at := lastly(asOf)
	args := append([]any{at, at, at, int64(devices), at, at, at, at, at, at, at, int64(devices)}, append(where.args, more...)...)
	err = tx.Query(certificateColumns+where.String()+rest, args, func(r Row) error {
		var attested *domain.Attestation
		if text := r.Text(22); text != "" {
			if err := json.Unmarshal([]byte(text), &attested); err != nil {
				return err
			}
		}
		list = append(list, Certificate{
			Attested: attested, Fingerprint: r.Text(0), Serial: r.Text(1), NotBefore: moment(r.Int(2)), NotAfter: moment(r.Int(3)), IssuedAt: moment(r.Int(4)),
			Issuer: r.Text(5), PublicKey: r.Text(6), Session: r.Text(7), Road: r.Text(8), Invitation: r.Text(9), Follows: r.Text(10),
			FollowedBy: r.Text(11), Command: r.Text(12), IntendedFor: r.Text(13), Device: r.Text(14), Since: moment(r.Int(15)), Clones: int(r.Int(16)),
			RevokedAt: moment(r.Int(17)), Because: r.Text(18), Reason: r.Text(19), place: r.Text(20), OverdueAt: moment(r.Int(21)),
		})
		return nil
	})
	return list, err
}

// A Root is one that issued identities of devices or was believed, as it was at a moment.
type Root struct {
	Fingerprint string
	Subject     string
	NotBefore   time.Time
	NotAfter    time.Time
	Source      string
	Since       time.Time
	Issues      bool
	Algorithm   string // of its key: RSA 2048
	Issued      int    // certificates that it has issued
	Good        int    // those of them that had not ended and were not revoked
	Speaking    int    // devices that spoke by one of them
}

// rootColumns tells of roots. Devices that speak by a certificate of a root need it: while there are any, it cannot be retired.
const rootColumns = `SELECT r.fingerprint, r.subject, r.not_before, r.not_after, r.source, t.time, CASE WHEN r.issued IS NULL OR r.issued > ? THEN 1 ELSE 0 END, r.algorithm,
	(SELECT COUNT(*) FROM certificates c WHERE c.issuer = r.fingerprint AND c.first <= ?),
	(SELECT COUNT(*) FROM certificates c WHERE c.issuer = r.fingerprint AND c.first <= ? AND c.not_after > ? AND (c.revoked IS NULL OR c.revoked > ?)),
	(SELECT COUNT(*) FROM certificates c JOIN certificate_pins p ON p.fingerprint = c.fingerprint WHERE c.issuer = r.fingerprint AND p.since <= ? AND (p.until IS NULL OR p.until > ?))
	FROM roots r JOIN timeline t ON t.position = r.since WHERE r.since <= ? AND (r.until IS NULL OR r.until > ?) ORDER BY r.since DESC`

// Roots lists the roots in force at a position, the issuing one first. What is still good is told of the time when.
func (v *Views) Roots(ctx context.Context, asOf eventstore.Position, when time.Time) (list []Root, err error) {
	at := lastly(asOf)
	err = v.read(ctx, func(tx Tx) error {
		return tx.Query(rootColumns, []any{at, at, at, microseconds(when), at, at, at, at, at}, func(r Row) error {
			list = append(list, Root{
				Fingerprint: r.Text(0), Subject: r.Text(1), NotBefore: moment(r.Int(2)), NotAfter: moment(r.Int(3)), Source: r.Text(4),
				Since: moment(r.Int(5)), Issues: r.Int(6) == 1, Algorithm: r.Text(7), Issued: int(r.Int(8)), Good: int(r.Int(9)), Speaking: int(r.Int(10)),
			})
			return nil
		})
	})
	return list, err
}

// An Ending counts the certificates by which devices speak that end before a moment.
type Ending struct {
	First time.Time // when the first of all ends; zero if no device speaks by one whose end is known
	Count int
	Late  int // those whose renewal did not end in time
}

// Endings tells when the first certificate by which a device speaks ends, and how many do before a moment.
func (v *Views) Endings(ctx context.Context, before time.Time) (e Ending, err error) {
	err = v.read(ctx, func(tx Tx) error {
		_, err := one(tx, `SELECT MIN(c.not_after), SUM(CASE WHEN c.not_after < ? THEN 1 ELSE 0 END), SUM(CASE WHEN c.overdue IS NULL THEN 0 ELSE 1 END) FROM certificate_pins p JOIN certificates c ON c.fingerprint = p.fingerprint
			WHERE p.until IS NULL AND c.not_after > 0 AND c.revoked IS NULL`, []any{microseconds(before)},
			func(r Row) { e = Ending{moment(r.Int(0)), int(r.Int(1)), int(r.Int(2))} })
		return err
	})
	return e, err
}
