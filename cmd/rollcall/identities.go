package main

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/rollcall-mdm/rollcall/handlers"
	"github.com/rollcall-mdm/rollcall/handlers/scep"
)

// identities are the settings of the certificates with which devices show who they are.
type identities struct {
	CertificateDays int    `name:"certificate-days" default:"365" help:"How many days an identity is good that this server issues; ${default} if not said."`
	SCEPLegacy      bool   `name:"scep-legacy" help:"Also take SCEP messages of clients that know only DES, Triple-DES or SHA-1."`
	SCEPChallenge   string `name:"scep-challenge-file" type:"existingfile" placeholder:"FILE" help:"A file with a challenge by which anybody who knows it gets an identity, on the terms of the default invitation."`
	SCEPWebhook     string `name:"scep-challenge-webhook" placeholder:"URL" help:"A program that is asked about challenges which are not of this server; whatever it does not allow is refused."`
	SCEPURL         string `name:"scep-url" placeholder:"URL" help:"Another SCEP server's address, which enrolment profiles name instead of ours. Give its root as --device-ca."`
	ACMEURL         string `name:"acme-url" placeholder:"URL" help:"An ACME server's directory, which enrolment profiles name instead of SCEP. Give its root as --device-ca."`
	IdentityPayload string `name:"identity-payload" enum:"scep,acme,acme-attested" default:"scep" help:"How enrolment profiles have devices ask for their identity: scep, acme, or acme-attested, where the key is made in hardware and Apple attests it; ${default} if not said."`
	AttestationCA   string `name:"attestation-ca" type:"existingfile" placeholder:"FILE" help:"The roots that Apple's attestations lead to, PEM: Apple publishes its Enterprise Attestation Root CA. Without it what is attested is kept as hearsay."`
	ACMERequire     bool   `name:"acme-require-attestation" help:"Give certificates only to keys that Apple attests, by ACME and by no other way."`
}

// check refuses settings that cannot work.
func (i *identities) check() error {
	if i.CertificateDays < 1 || i.CertificateDays > 825 {
		return errors.New("--certificate-days must be between 1 and 825: a year is usual")
	}
	if i.SCEPURL != "" && i.ACMEURL != "" {
		return errors.New("--scep-url and --acme-url do not go together: devices get one identity")
	}
	for flag, text := range map[string]string{"--scep-challenge-webhook": i.SCEPWebhook, "--scep-url": i.SCEPURL, "--acme-url": i.ACMEURL} {
		u, err := url.Parse(text)
		if text != "" && (err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http") {
			return fmt.Errorf("%s %q is no address: give one like https://ca.example.com/scep", flag, text)
		}
	}
	if err := i.checkACME(); err != nil {
		return err
	}
	_, err := i.staticChallenge()
	return err
}

// staticChallenge reads the challenge that anybody may know; empty if there is none.
func (i *identities) staticChallenge() (string, error) {
	if i.SCEPChallenge == "" {
		return "", nil
	}
	text, err := os.ReadFile(i.SCEPChallenge)
	if err != nil {
		return "", fmt.Errorf("--scep-challenge-file: %w", err)
	}
	challenge := strings.TrimSpace(string(text))
	if len(challenge) < 16 || len(challenge) > 255 {
		return "", errors.New("--scep-challenge-file: the challenge must have 16 to 255 characters, for whoever knows it gets an identity")
	}
	return challenge, nil
}

// newChallenges makes what makes challenges, and tells what they are worth.
func (s *server) newChallenges() (*handlers.Challenges, error) {
	static, err := s.staticChallenge()
	if err != nil {
		return nil, err
	}
	c := &handlers.Challenges{Key: s.pseudonyms.Derive("challenges"), Invitations: s.invitations, Given: s.challenges, Static: static, Now: s.now}
	if s.SCEPWebhook != "" {
		c.Webhook = &handlers.Webhook{URL: s.SCEPWebhook}
	}
	return c, nil
}

// mountSCEP opens the door at which devices get their identities.
func (s *server) mountSCEP(e *echo.Echo) (err error) {
	if s.vouchers, err = s.newChallenges(); err != nil {
		return err
	}
	(&scep.Door{Authority: s.authority, Challenges: s.vouchers, Legacy: s.SCEPLegacy, Log: s.logger, Observe: s.metrics.certified}).Mount(e)
	return nil
}
