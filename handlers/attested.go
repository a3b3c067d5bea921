package handlers

import (
	"context"
	"crypto/x509"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/authority"
	"github.com/rollcall-mdm/rollcall/domain/certificate"
	"github.com/rollcall-mdm/rollcall/domain/challenge"
	"github.com/rollcall-mdm/rollcall/domain/issuance"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

// vouched refuses a key for which nobody vouches, where the authority wants somebody to.
func (a *Authority) vouched(g Grant) error {
	if !a.Attest || g.Attested.Vouched() {
		return nil
	}
	return domain.WithHint(domain.Refusef(domain.Forbidden, "this server gives certificates only to keys that Apple attests"),
		"enrol by a profile with an ACME payload that says Attest, on a device that can: --identity-payload acme-attested makes them")
}

// MayAnswer refuses what is no attestation that the authority's policy takes.
func (a *Authority) MayAnswer(attested *domain.Attestation) error {
	return a.vouched(Grant{Attested: attested})
}

// Answer records how an order of ACME's was answered by whoever holds the challenge that ticket names. once says that the
// challenge is good for one key. It is in the log before Answer returns.
func (a *Authority) Answer(ctx context.Context, ticket string, answer challenge.Answered, once bool, meta eventstore.Meta) error {
	_, err := a.Challenges.Update(ctx, ticket, bare(meta), func(c challenge.Challenge, _ time.Time) ([]domain.Event, error) {
		return c.Answer(answer, once)
	})
	return err
}

// Answered returns how an order was answered, whichever server was asked; false if it was not.
func (a *Authority) Answered(ctx context.Context, ticket, order string) (answer challenge.Answered, found bool, err error) {
	now, _, err := a.Challenges.Current(ctx, ticket)
	if err != nil {
		return answer, false, err
	}
	if answer, found = now.AnswerOf(order); found && answer.PublicKey == "" {
		answer.PublicKey = now.PublicKey // the one key by which the challenge may be used
	}
	return answer, found, nil
}

// Holds returns the certificate that a key has on the grounds of a challenge, whichever server gave it; on any grounds if ticket is
// empty. It has none if there is no certificate in it.
func (a *Authority) Holds(ctx context.Context, key, ticket string) (issuance.Issuance, error) {
	now, _, err := a.Issuances.Current(ctx, key)
	if err != nil || ticket != "" && !now.Stands(ticket, a.Now()) {
		return issuance.Issuance{}, err
	}
	return now, nil
}

// Requested returns what is known of a certificate of this server; NotFound if it has issued none such.
func (a *Authority) Requested(ctx context.Context, c *x509.Certificate) (certificate.Certificate, error) {
	known, _, err := a.Certificates.Current(ctx, Fingerprint(c))
	if err == nil && !known.Issued {
		err = domain.Refusef(domain.NotFound, "the certificate is not one that this server has issued")
	}
	return known, err
}

// GiveUp has a certificate believed no longer because whoever holds it, or has asked for it, says so. done is false if it
// was revoked before. Whoever has made sure who asks may call it.
func (a *Authority) GiveUp(ctx context.Context, c *x509.Certificate, because string, meta eventstore.Meta) (done bool, err error) {
	gone := authority.CertificateRevoked{
		Fingerprint: Fingerprint(c), Serial: c.SerialNumber.Text(16), Issuer: a.issuerOf(c), NotAfter: c.NotAfter.UTC(), Because: because,
		Reason: "its holder gave it up",
	}
	change, err := a.Streams.Update(ctx, authority.Devices, bare(meta), func(s authority.Authority, _ time.Time) ([]domain.Event, error) { return s.Revoke(gone) })
	if err != nil {
		return false, err
	}
	return len(change.Events) > 0, a.know(ctx, change.State, change.Version)
}
