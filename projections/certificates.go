package projections

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	_ "embed"
	"encoding/json"
	"fmt"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/authority"
	"github.com/rollcall-mdm/rollcall/domain/certificate"
	"github.com/rollcall-mdm/rollcall/domain/device"
)

//go:embed certificates.sql
var certificatesSQL string

// certificates answers: by which certificates do devices speak, which follows which, when do they end, and which are
// believed no longer?
type certificates struct{ names *names }

func newCertificates(n *names) folder { return certificates{n} }

func (certificates) forget()        {}
func (certificates) flush(Tx) error { return nil }

func (c certificates) apply(tx Tx, r *record) error {
	switch e := r.event.(type) {
	case certificate.Issued:
		return c.issued(tx, r, e)
	case device.IdentityPinned:
		return c.pinned(tx, r, e.Certificate, e.Serial, e.NotAfter)
	case device.IdentityReplaced:
		if err := c.unpinned(tx, r); err != nil {
			return err
		}
		return c.pinned(tx, r, e.Certificate, e.Serial, e.NotAfter)
	case device.CheckedOut:
		return c.unpinned(tx, r)
	case device.IdentityCloneSuspected:
		return tx.Exec(`INSERT INTO certificate_clones (fingerprint, position) VALUES (?, ?)`, e.Certificate, r.position)
	case authority.CertificateRevoked:
		if err := c.heard(tx, r, e.Fingerprint, e.Serial, e.NotAfter); err != nil {
			return err
		}
		return tx.Exec(`UPDATE certificates SET revoked = ?, because = ?, reason = ? WHERE fingerprint = ?`, r.position, e.Because, e.Reason, e.Fingerprint)
	case certificate.RenewalOverdue:
		return tx.Exec(`UPDATE certificates SET overdue = ? WHERE fingerprint = ?`, r.position, r.env.Stream.ID)
	case authority.RootInstalled:
		return c.root(tx, r, e)
	case authority.RootRetired:
		return tx.Exec(`UPDATE roots SET until = ? WHERE fingerprint = ? AND until IS NULL`, r.position, e.Fingerprint)
	}
	return nil
}

// heard makes a row of a certificate that was issued elsewhere, unless there is one.
func (certificates) heard(tx Tx, r *record, fingerprint, serial string, notAfter time.Time) error {
	return tx.Exec(`INSERT INTO certificates (fingerprint, place, serial, not_before, not_after, first, issuer, public_key, session, road, invitation, follows, command)
		VALUES (?, ?, ?, 0, ?, ?, '', '', '', '', '', '', '') ON CONFLICT (fingerprint) DO NOTHING`,
		fingerprint, endPlace(notAfter, fingerprint), serial, microseconds(notAfter), r.position)
}

// endPlace orders certificates by their end.
func endPlace(end time.Time, fingerprint string) string {
	return fmt.Sprintf("%020d %s", microseconds(end), fingerprint)
}

func (c certificates) issued(tx Tx, r *record, e certificate.Issued) error {
	var intended any
	if e.Device != "" {
		number, err := c.names.id(devices, e.Device)
		if err != nil {
			return err
		}
		intended = number
	}
	attested, err := attestation(e.Attested)
	if err != nil {
		return err
	}
	return tx.Exec(`INSERT INTO certificates (fingerprint, place, serial, not_before, not_after, first, issued, issuer, public_key, session, road, invitation, follows, command, intended, attested)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (fingerprint) DO NOTHING`,
		r.env.Stream.ID, endPlace(e.NotAfter, r.env.Stream.ID), e.Serial, microseconds(e.NotBefore), microseconds(e.NotAfter), r.position, r.position,
		e.Issuer, e.PublicKey, e.Session, e.Road, e.Invitation, e.Follows, e.Order, intended, attested)
}

// attestation returns what is vouched for as the view keeps it.
func attestation(a *domain.Attestation) (string, error) {
	if a == nil {
		return "", nil
	}
	text, err := json.Marshal(a)
	return string(text), err
}

func (c certificates) pinned(tx Tx, r *record, fingerprint, serial string, notAfter time.Time) error {
	if err := c.heard(tx, r, fingerprint, serial, notAfter); err != nil {
		return err
	}
	if err := c.unpinned(tx, r); err != nil {
		return err
	}
	return tx.Exec(`INSERT INTO certificate_pins (fingerprint, device, since) VALUES (?, ?, ?)`, fingerprint, r.device, r.position)
}

func (certificates) unpinned(tx Tx, r *record) error {
	return tx.Exec(`UPDATE certificate_pins SET until = ? WHERE device = ? AND until IS NULL`, r.position, r.device)
}

func (certificates) root(tx Tx, r *record, e authority.RootInstalled) error {
	if err := tx.Exec(`UPDATE roots SET issued = ? WHERE issued IS NULL`, r.position); err != nil {
		return err
	}
	if err := tx.Exec(`UPDATE roots SET until = ? WHERE fingerprint = ? AND until IS NULL`, r.position, e.Fingerprint); err != nil {
		return err
	}
	return tx.Exec(`INSERT INTO roots (fingerprint, since, issuing, subject, not_before, not_after, source, algorithm) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		e.Fingerprint, r.position, r.position, e.Subject, microseconds(e.NotBefore), microseconds(e.NotAfter), e.Source, algorithmOf(e.Certificate))
}

// algorithmOf tells of what kind a certificate's key is, and how many bits it has.
func algorithmOf(der []byte) string {
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return ""
	}
	switch key := c.PublicKey.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d", key.N.BitLen())
	case *ecdsa.PublicKey:
		return "ECDSA " + key.Curve.Params().Name
	}
	return c.PublicKeyAlgorithm.String()
}
