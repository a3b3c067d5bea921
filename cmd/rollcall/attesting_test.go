package main

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"howett.net/plist"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/handlers"
	"github.com/rollcall-mdm/rollcall/handlers/mdm/mdmtest"
	"github.com/rollcall-mdm/rollcall/handlers/renew"
)

func TestSettingsOfAttestation(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty.pem")
	if err := os.WriteFile(empty, []byte("nothing\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	apple, err := mdmtest.NewHardware()
	if err != nil {
		t.Fatal(err)
	}
	roots := filepath.Join(dir, "roots.pem")
	if err := os.WriteFile(roots, apple.Root.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, set := range map[string]identities{
		"leave it out with --scep-url":                {IdentityPayload: "acme", SCEPURL: "https://a.example"},
		"needs --attestation-ca":                      {IdentityPayload: "acme-attested", ACMERequire: true},
		"needs --identity-payload acme-attested":      {IdentityPayload: "acme", ACMERequire: true, AttestationCA: roots},
		"certificates that this server gives":         {IdentityPayload: "scep", ACMERequire: true, AttestationCA: roots, ACMEURL: "https://a.example"},
		"--attestation-ca: the file holds no certifi": {IdentityPayload: "acme-attested", AttestationCA: empty},
	} {
		set.CertificateDays = 365
		if err := set.check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", set, err, want)
		}
	}
	good := identities{CertificateDays: 365, IdentityPayload: "acme-attested", ACMERequire: true, AttestationCA: roots}
	if err := good.check(); err != nil {
		t.Error(err)
	}
	if list, err := good.attestationRoots(); err != nil || len(list) != 1 || !list[0].Equal(apple.Root.Certificate) {
		t.Errorf("the roots are %v, %v", list, err)
	}
}

// A device's renewed profile has it ask by ACME, with an identifier that is good for it alone and for one key: by what it attests.
func TestARenewedProfileByACME(t *testing.T) {
	apple, err := mdmtest.NewHardware()
	if err != nil {
		t.Fatal(err)
	}
	err = inHouse(t, filepath.Join(t.TempDir(), "data"), func(s *server) {
		s.enrolments.ACME, s.enrolments.Attest = s.URL+"acme/directory", true
		s.attestations.Roots = []*x509.Certificate{apple.Root.Certificate}
		d := mdmtest.New(1, mdmtest.MacOS)
		id := s.pseudonyms.Device(d.UDID)
		_, err := s.devices.Update(t.Context(), id, eventstore.Meta{}, func(dev device.Device, at time.Time) ([]domain.Event, error) {
			return dev.Authenticate(device.Authenticate{Identity: device.Identity{UDID: d.UDID, SerialNumber: d.SerialNumber}, Topic: mdmtest.DefaultTopic, Certificate: device.Certificate{Fingerprint: "old"}}, at)
		})
		if err != nil {
			t.Fatal(err)
		}
		text, err := s.renewedProfile(t.Context(), renew.Wish{Device: id, Order: "77777777-0000-4000-8000-000000000001", Topic: mdmtest.DefaultTopic, Lasts: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		payload := acmePayload(t, text)
		if payload.Attest != true || payload.HardwareBound != true || payload.KeyType != "ECSECPrimeRandom" || payload.DirectoryURL != s.URL+"acme/directory" {
			t.Errorf("it asks by %+v", payload)
		}
		grant, err := s.vouchers.Check(t.Context(), payload.ClientIdentifier, handlers.Asked{})
		if err != nil || grant.Device != id || !grant.Once || grant.Order == "" {
			t.Errorf("its identifier grants %+v (%v)", grant, err)
		}
		if known, err := s.serialOf(t.Context(), id); err != nil || known != d.SerialNumber {
			t.Errorf("the device is known by %q, %v", known, err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

type acmeKeys struct {
	PayloadType, DirectoryURL, ClientIdentifier, KeyType string
	Attest, HardwareBound                                bool
}

// acmePayload returns the ACME payload of a profile.
func acmePayload(t *testing.T, profile []byte) acmeKeys {
	t.Helper()
	var whole struct{ PayloadContent []acmeKeys }
	if _, err := plist.Unmarshal(profile, &whole); err != nil {
		t.Fatal(err)
	}
	for _, p := range whole.PayloadContent {
		if p.PayloadType == "com.apple.security.acme" {
			return p
		}
	}
	t.Fatalf("it has no ACME payload: %+v", whole)
	return acmeKeys{}
}
