package handlers

import (
	"context"
	"crypto/x509"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/authority"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

// Revoke has a certificate believed no longer, here at once and by whoever reads the revocation list. Only administrators
// may. It returns the position after which views show it; 0 if it was revoked before.
func (a *Authority) Revoke(ctx context.Context, c Caller, r authority.CertificateRevoked) (eventstore.Position, error) {
	return a.decide(ctx, c, func(s authority.Authority) ([]domain.Event, error) { return s.Revoke(r) })
}

// Retire has a root believed no longer, with all that it has issued.
func (a *Authority) Retire(ctx context.Context, c Caller, fingerprint, reason string) (eventstore.Position, error) {
	return a.decide(ctx, c, func(s authority.Authority) ([]domain.Event, error) { return s.Retire(fingerprint, reason) })
}

// Install has a root issue from now on; the ones before it are believed on. Its key must be kept safe by the caller before,
// and is given with Keep.
func (a *Authority) Install(ctx context.Context, c Caller, root Root, source string) (eventstore.Position, error) {
	if err := CheckRoot(root.Certificate, a.Now()); err != nil {
		return 0, err
	}
	a.Keep(root)
	return a.decide(ctx, c, func(s authority.Authority) ([]domain.Event, error) {
		return s.Install(installed(root.Certificate, source))
	})
}

func installed(c *x509.Certificate, source string) authority.RootInstalled {
	return authority.RootInstalled{
		Fingerprint: Fingerprint(c), Subject: c.Subject.String(), NotBefore: c.NotBefore.UTC(), NotAfter: c.NotAfter.UTC(),
		Source: source, Certificate: c.Raw,
	}
}

// CheckRoot refuses a certificate that cannot issue others.
func CheckRoot(c *x509.Certificate, now time.Time) error {
	switch {
	case !c.IsCA || !c.BasicConstraintsValid || c.KeyUsage&x509.KeyUsageCertSign == 0 || c.KeyUsage&x509.KeyUsageCRLSign == 0:
		return domain.Refusef(domain.Invalid, "the certificate is not that of an authority: it needs CA:TRUE, keyCertSign and cRLSign")
	case now.Before(c.NotBefore) || !now.Before(c.NotAfter):
		return domain.Refusef(domain.Invalid, "the authority's certificate is not good now")
	}
	return nil
}

func (a *Authority) decide(ctx context.Context, c Caller, decide func(authority.Authority) ([]domain.Event, error)) (eventstore.Position, error) {
	if err := c.Administer(); err != nil {
		return 0, err
	}
	done, err := a.Streams.Update(ctx, authority.Devices, Meta(ctx, c), func(s authority.Authority, _ time.Time) ([]domain.Event, error) { return decide(s) })
	if err != nil {
		return 0, err
	}
	return done.Position, a.know(ctx, done.State, done.Version)
}
