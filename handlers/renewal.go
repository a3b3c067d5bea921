package handlers

import (
	"context"
	"crypto/x509"
	"strings"

	"github.com/rollcall-mdm/rollcall/domain"
)

// Renewal returns on what grounds the holder of a certificate gets another one: it was issued here, is in the log, is
// good now, chains to a root in force and was not revoked. named is the name that the request gives itself; one of
// another session is refused. Whoever has made sure that the request was signed with the certificate's key may ask.
func (a *Authority) Renewal(ctx context.Context, old *x509.Certificate, named string) (Grant, error) {
	fingerprint := Fingerprint(old)
	if err := a.Good(old); err != nil {
		return Grant{}, err
	}
	known, _, err := a.Certificates.Load(ctx, fingerprint)
	if err != nil {
		return Grant{}, err
	}
	if !known.Issued {
		return Grant{}, domain.Refusef(domain.Forbidden, "the certificate is not one that this server has issued")
	}
	if strings.HasPrefix(named, SessionPrefix) && named != known.Session {
		return Grant{}, domain.Refusef(domain.Forbidden, "the request is for another device than the certificate")
	}
	device := known.Device
	if device == "" {
		device = known.For
	}
	return Grant{By: fingerprint, Follows: fingerprint, Road: known.Road, Device: device, Session: known.Session}, nil
}

// Good refuses a certificate that does not chain to a root in force by our own clock, or was revoked.
func (a *Authority) Good(c *x509.Certificate) error {
	roots := x509.NewCertPool()
	for _, r := range a.Standing().Roots {
		if root, err := x509.ParseCertificate(r.Certificate); err == nil {
			roots.AddCert(root)
		}
	}
	if _, err := c.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: a.Now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		return domain.Refusef(domain.Forbidden, "the certificate is not good here now")
	}
	if a.Revoked(Fingerprint(c)) {
		return domain.Refusef(domain.Forbidden, "the certificate was revoked")
	}
	return nil
}
