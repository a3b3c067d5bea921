package handlers

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/certificate"
	"github.com/rollcall-mdm/rollcall/domain/challenge"
	"github.com/rollcall-mdm/rollcall/domain/enrollment"
	"github.com/rollcall-mdm/rollcall/domain/issuance"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

// A Grant is on what grounds a key gets a certificate.
type Grant struct {
	By         string // hash of a challenge, or the fingerprint of the certificate that is followed: the same grounds give the same certificate
	Once       bool   // the challenge is good for one key
	Lenient    bool   // it may come from a client that knows only old algorithms
	Invitation string // whose limits count; none if empty
	Road       string
	Device     string // pseudonym of the device that it is for; any if empty
	Follows    string // fingerprint of the certificate in whose place it comes
	Order      string // the InstallProfile that brings the renewed profile
	Session    string // the name in the subject; a new one if empty
	Identity   enrollment.Identity
	Attested   *domain.Attestation // what is vouched for about the key; nil if nothing is
	Requester  string              // who asks by ACME: thumbprint of the account's key
}

// slack is how far a device's clock may be behind ours when it gets its certificate.
const slack = 10 * time.Minute

// PublicKeyID returns the SHA-256 of a key's SubjectPublicKeyInfo, hex: by it the log knows the key.
func PublicKeyID(public any) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return "", domain.Refusef(domain.Invalid, "the public key is of a kind that gets no certificate")
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:]), nil
}

// CheckKey refuses public keys that are weak or odd.
func CheckKey(public any) error {
	switch k := public.(type) {
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); bits < 2048 || bits > 8192 || k.E < 65537 || k.E%2 == 0 || k.N.Bit(0) == 0 {
			return domain.WithHint(domain.Refusef(domain.Invalid, "the RSA key has %d bits and the exponent %d", bits, k.E),
				"Keysize in the profile's SCEP payload must be 2048 or more")
		}
		return nil
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P256() || k.Curve == elliptic.P384() || k.Curve == elliptic.P521() {
			return nil
		}
	}
	return domain.Refusef(domain.Invalid, "the public key is of a kind that gets no certificate")
}

// Issue gives a key a certificate, or the one that it has on the same grounds. It is in the log before it is returned.
// Refused: keys that are weak (Invalid), grounds that are not good or no longer, and keys whose last certificate was
// revoked (Forbidden): somebody else may have them.
func (a *Authority) Issue(ctx context.Context, public any, g Grant, meta eventstore.Meta) (*x509.Certificate, error) {
	if err := CheckKey(public); err != nil {
		return nil, err
	}
	if err := a.vouched(g); err != nil {
		return nil, err
	}
	key, err := PublicKeyID(public)
	if err != nil {
		return nil, err
	}
	unlock, err := a.busy.lock(ctx, key)
	if err != nil {
		return nil, err
	}
	defer unlock()
	has, _, err := a.Issuances.Load(ctx, key)
	if err != nil {
		return nil, err
	}
	if a.Revoked(has.Fingerprint) {
		return nil, domain.WithHint(domain.Refusef(domain.Forbidden, "the last certificate of this key was revoked"), "install a new profile: the device makes another key for it")
	}
	if !has.Stands(g.By, a.Now()) {
		if err := a.admit(ctx, key, g, meta); err != nil {
			return nil, err
		}
		if has, err = a.sign(ctx, public, key, g, bare(meta)); err != nil {
			return nil, err
		}
	}
	return a.issued(ctx, has, key, g, bare(meta))
}

// bare is meta without what would have to be sealed: streams about certificates need no keys then.
func bare(meta eventstore.Meta) eventstore.Meta {
	meta.Actor.Address = ""
	return meta
}

// admit makes sure that the key may come in.
func (a *Authority) admit(ctx context.Context, key string, g Grant, meta eventstore.Meta) error {
	if g.Once {
		_, err := a.Challenges.Update(ctx, g.By, bare(meta), func(c challenge.Challenge, at time.Time) ([]domain.Event, error) {
			if c.PublicKey == "" && g.Invitation != "" { // nobody uses up a challenge whose invitation is closed
				if invitation, _, err := a.Invitations.Load(ctx, g.Invitation); err != nil || invitation.OpenFor(g.Device, g.Road, at) != nil {
					return nil, orElse(err, invitation.OpenFor(g.Device, g.Road, at))
				}
			}
			return c.Use(key)
		})
		if err != nil {
			return err
		}
	}
	if g.Invitation == "" {
		return nil
	}
	came := enrollment.Admitted{Road: g.Road, Ticket: g.By, PublicKey: key, Device: g.Device, Identity: g.Identity}
	_, err := a.Invitations.Update(ctx, g.Invitation, meta, func(i enrollment.Invitation, at time.Time) ([]domain.Event, error) {
		return i.Admit(came, at)
	})
	return err
}

func orElse(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

// sign makes the certificate and records it with its key.
func (a *Authority) sign(ctx context.Context, public any, key string, g Grant, meta eventstore.Meta) (issuance.Issuance, error) {
	root, err := a.issuing()
	if err != nil {
		return issuance.Issuance{}, err
	}
	done, err := a.Issuances.Update(ctx, key, meta, func(has issuance.Issuance, at time.Time) ([]domain.Event, error) {
		if has.Stands(g.By, at) {
			return nil, nil // another server was faster
		}
		template := a.template(root, public, g, at)
		der, err := x509.CreateCertificate(rand.Reader, template, root.Certificate, public, root.Key)
		if err != nil {
			return nil, fmt.Errorf("sign a certificate: %w", err)
		}
		sum := sha256.Sum256(der)
		return []domain.Event{issuance.Signed{
			Fingerprint: hex.EncodeToString(sum[:]), By: g.By, NotBefore: template.NotBefore, NotAfter: template.NotAfter, Certificate: der,
		}}, nil
	})
	return done.State, err
}

// template decides what is in a certificate. Nothing of what the request wished for is.
func (a *Authority) template(root Root, public any, g Grant, at time.Time) *x509.Certificate {
	end := at.AddDate(0, 0, a.Days).Truncate(time.Second)
	if end.After(root.Certificate.NotAfter) {
		end = root.Certificate.NotAfter
	}
	session := g.Session
	if session == "" {
		session = newSession()
	}
	t := &x509.Certificate{
		SerialNumber: newSerial(), Subject: pkix.Name{CommonName: session},
		NotBefore: at.Add(-slack).Truncate(time.Second).UTC(), NotAfter: end.UTC(), BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if _, isRSA := public.(*rsa.PublicKey); isRSA {
		t.KeyUsage |= x509.KeyUsageKeyEncipherment
	}
	if a.CRL != "" {
		t.CRLDistributionPoints = []string{a.CRL + "/" + Fingerprint(root.Certificate)}
	}
	return t
}

// newSerial returns a serial number of 127 bits, of which 126 are random.
func newSerial() *big.Int {
	serial := make([]byte, 16)
	_, _ = rand.Read(serial) // never fails
	serial[0] = serial[0]&0x7f | 0x40
	return new(big.Int).SetBytes(serial)
}

// SessionPrefix begins the name in the subject of each certificate that is issued here.
const SessionPrefix = "rollcall-"

// newSession returns a name that nobody can guess: 80 random bits.
func newSession() string {
	random := make([]byte, 10)
	_, _ = rand.Read(random) // never fails
	return SessionPrefix + strings.ToLower(base32.StdEncoding.EncodeToString(random))
}

// issued makes sure that the certificate's own stream knows it.
func (a *Authority) issued(ctx context.Context, has issuance.Issuance, key string, g Grant, meta eventstore.Meta) (*x509.Certificate, error) {
	c, err := x509.ParseCertificate(has.Certificate)
	if err != nil {
		return nil, fmt.Errorf("read a certificate of our own: %w", err)
	}
	ticket := g.By
	if g.Follows == g.By {
		ticket = ""
	}
	_, err = a.Certificates.Update(ctx, has.Fingerprint, meta, func(known certificate.Certificate, _ time.Time) ([]domain.Event, error) {
		return known.Issue(certificate.Issued{
			Issuer: a.issuerOf(c), Serial: c.SerialNumber.Text(16), NotBefore: has.NotBefore, NotAfter: has.NotAfter, PublicKey: key,
			Session: c.Subject.CommonName, Road: g.Road, Invitation: g.Invitation, Ticket: ticket, Device: g.Device, Follows: g.Follows, Order: g.Order,
			Requester: g.Requester, Attested: g.Attested,
		})
	})
	if err != nil {
		return nil, err
	}
	return c, nil
}

// issuerOf returns the fingerprint of the root that has issued a certificate; empty if it is none of those in force.
func (a *Authority) issuerOf(c *x509.Certificate) string {
	for _, r := range a.Standing().Roots {
		if root, err := x509.ParseCertificate(r.Certificate); err == nil && c.CheckSignatureFrom(root) == nil {
			return r.Fingerprint
		}
	}
	return ""
}
