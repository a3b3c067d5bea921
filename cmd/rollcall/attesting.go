package main

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/rollcall-mdm/rollcall/handlers"
	"github.com/rollcall-mdm/rollcall/handlers/acme"
)

// How enrolment profiles have devices ask for their identity.
const (
	byACME     = "acme"
	byAttested = "acme-attested"
)

// checkACME refuses settings that cannot work.
func (i *identities) checkACME() error {
	switch elsewhere := i.SCEPURL != "" || i.ACMEURL != ""; {
	case (i.IdentityPayload == byACME || i.IdentityPayload == byAttested) && elsewhere:
		return errors.New("--identity-payload speaks of this server's own ACME: leave it out with --scep-url or --acme-url")
	case i.ACMERequire && elsewhere:
		return errors.New("--acme-require-attestation speaks of the certificates that this server gives: leave it out with --scep-url or --acme-url")
	case i.ACMERequire && i.AttestationCA == "":
		return errors.New("--acme-require-attestation needs --attestation-ca: without a root nobody can tell whether an attestation is Apple's")
	case i.ACMERequire && i.IdentityPayload != byAttested:
		return errors.New("--acme-require-attestation needs --identity-payload acme-attested: no other profile has a device attest its key")
	}
	_, err := i.attestationRoots()
	return err
}

// attestationRoots reads the roots that attestations lead to.
func (i *identities) attestationRoots() ([]*x509.Certificate, error) {
	return certificatesIn("--attestation-ca", i.AttestationCA)
}

// certificatesIn reads the certificates in a setting's file, PEM; none if it names none.
func certificatesIn(setting, file string) ([]*x509.Certificate, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file) // #nosec G304 -- whoever runs the server names it
	if err != nil {
		return nil, fmt.Errorf("%s: %w", setting, err)
	}
	var list []*x509.Certificate
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", setting, err)
		}
		list = append(list, c)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s: the file holds no certificate in PEM form", setting)
	}
	return list, nil
}

// mountACME opens the door at which devices get identities whose keys Apple attests.
func (s *server) mountACME(e *echo.Echo) error {
	roots, err := s.attestationRoots()
	if err != nil {
		return err
	}
	if len(roots) == 0 && s.IdentityPayload == byAttested {
		s.logger.Warn("devices are asked to attest their keys, and nobody here can tell whether an attestation is Apple's",
			"hint", "give Apple's Enterprise Attestation Root CA as --attestation-ca")
	}
	s.attestations.Roots = roots
	(&acme.Door{
		Authority: s.authority, Challenges: s.vouchers, Attestations: s.attestations, URL: s.URL, Key: s.pseudonyms.Derive("acme"), Pseudonyms: s.pseudonyms,
		Serial: s.serialOf, Now: s.now, Log: s.logger, Observe: s.metrics.attested,
	}).Mount(e)
	return nil
}

// serialOf is the serial number that a device is known by.
func (s *server) serialOf(ctx context.Context, deviceID string) (string, error) {
	d, _, err := s.devices.Load(ctx, deviceID)
	return d.Known.SerialNumber, err
}

// directory is where devices ask for their identity by ACME; empty where they do so by SCEP.
func (s *server) directory() string {
	switch {
	case s.ACMEURL != "":
		return s.ACMEURL
	case s.IdentityPayload == byACME || s.IdentityPayload == byAttested:
		return strings.TrimRight(s.URL, "/") + acme.DirectoryPath
	}
	return ""
}

// marks are those by which attestations tell of which device they are.
func (s *server) marks() *handlers.Attestations {
	return &handlers.Attestations{Stamp: s.pseudonyms.Stamp}
}
