package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain/authority"
	"github.com/rollcall-mdm/rollcall/domain/enrollment"
	"github.com/rollcall-mdm/rollcall/domain/profile"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/handlers"
	"github.com/rollcall-mdm/rollcall/handlers/renew"
)

// inHouse opens a server on a data directory, and closes it after look.
func inHouse(t *testing.T, data string, look func(*server)) error {
	t.Helper()
	srv, err := openServer(t.Context(), settings{
		Data: data, Listen: "127.0.0.1:0", URL: "http://127.0.0.1:18999/", PlainHTTP: true, Views: "sqlite", Identity: []string{"signature"},
		MaxBody: 8 << 20, LogFormat: "text", LogLevel: "error", Drain: time.Second,
	}, time.Now)
	if err != nil {
		return err
	}
	look(srv)
	return srv.close()
}

// ancientRoot writes a root as earlier releases made it.
func ancientRoot(t *testing.T, data string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "Rollcall Device CA"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(10, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err := errors.Join(err, os.MkdirAll(data, 0o700)); err != nil {
		t.Fatal(err)
	}
	if err := keepRoot(filepath.Join(data, firstRoot), handlers.Root{Certificate: c, Key: key}); err != nil {
		t.Fatal(err)
	}
	return handlers.Fingerprint(c)
}

func TestARootThatCannotServeSCEPIsRolledOver(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	old := ancientRoot(t, data)
	var roots []authority.Root
	if err := inHouse(t, data, func(s *server) { roots = s.authority.Standing().Roots }); err != nil {
		t.Fatal(err)
	}
	if len(roots) != 2 || roots[0].Fingerprint != old {
		t.Fatalf("in force are %+v", roots)
	}
	if files := strings.Join(rootFiles(data), " "); !strings.HasPrefix(files, "device-ca.pem device-ca.key device-ca-"+roots[1].Fingerprint[:16]+".pem ") {
		t.Errorf("the directory has %s", files)
	}
	err := inHouse(t, data, func(s *server) { // and once is enough
		if again := s.authority.Standing().Roots; len(again) != 2 || again[1].Fingerprint != roots[1].Fingerprint {
			t.Errorf("in force are %+v", again)
		}
		if s.authority.Revoked(old) {
			t.Error("a root is revoked")
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestARootOfOnesOwn(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	var first string
	err := inHouse(t, data, func(s *server) {
		now, _ := s.authority.Standing().Issuing()
		first = now.Fingerprint
	})
	if err != nil {
		t.Fatal(err)
	}
	mine, err := newRoot(time.Now())
	if err == nil {
		err = keepRoot(filepath.Join(data, "device-ca-mine.pem"), mine)
	}
	if err != nil {
		t.Fatal(err)
	}
	err = inHouse(t, data, func(s *server) {
		if now, _ := s.authority.Standing().Issuing(); now.Fingerprint != handlers.Fingerprint(mine.Certificate) || len(s.authority.Standing().Roots) != 2 {
			t.Errorf("%+v issues", now)
		}
		if _, err := s.authority.Retire(t.Context(), itself, first, "done"); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	err = inHouse(t, data, func(s *server) { // what was retired stays so, though its file is there
		if roots := s.authority.Standing().Roots; len(roots) != 1 || roots[0].Fingerprint == first {
			t.Errorf("in force are %+v", roots)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	other, err := newRoot(time.Now())
	if err == nil {
		err = writePEM(filepath.Join(data, "device-ca-mine.pem"), "CERTIFICATE", other.Certificate.Raw)
	}
	if err != nil {
		t.Fatal(err)
	}
	_ = keepRoot(filepath.Join(data, "device-ca-zz.pem"), handlers.Root{Certificate: mine.Certificate, Key: mine.Key})
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err == nil {
		err = writeKey(filepath.Join(data, "device-ca-mine.key"), key)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := inHouse(t, data, func(*server) {}); err == nil || !strings.Contains(err.Error(), "device-ca-mine.key") {
		t.Errorf("a key that is not the certificate's: %v", err)
	}
}

func TestTheServerAnswersAtSCEPsDoor(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	err := inHouse(t, data, func(s *server) {
		get := func(path string) *httptest.ResponseRecorder {
			w := httptest.NewRecorder()
			s.web.Handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
			return w
		}
		root, err := x509.ParseCertificate(get("/scep?operation=GetCACert").Body.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		list, err := x509.ParseRevocationList(get("/crl").Body.Bytes())
		if err != nil || list.CheckSignatureFrom(root) != nil {
			t.Errorf("the revocation list: %v", err)
		}
		challenge, err := s.vouchers.New(t.Context(), handlers.Pass{Invitation: enrollment.Default, Road: enrollment.Profile})
		if err != nil || challenge == "" {
			t.Errorf("no challenge: %v", err)
		}
		key, err := newRootKey()
		if err != nil {
			t.Fatal(err)
		}
		c, err := s.authority.Issue(t.Context(), key.Public(), handlers.Grant{By: "x", Invitation: enrollment.Default, Road: enrollment.Profile}, eventstore.Meta{})
		if err != nil {
			t.Fatal(err)
		}
		if got := c.CRLDistributionPoints; len(got) != 1 || got[0] != "http://127.0.0.1:18999/crl/"+handlers.Fingerprint(root) {
			t.Errorf("its list is at %v", got)
		}
		if body := get("/metrics").Body.String(); !strings.Contains(body, "rollcall_identities_ending 0") || !strings.Contains(body, `rollcall_scep_requests_total{operation="GetCACert",outcome="ok"} 1`) {
			t.Error("the metrics tell nothing of it")
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

// The profile that renews a device's certificate takes the place of the one that manages it, and brings a challenge that is
// bound to the device and to the order.
func TestARenewedProfile(t *testing.T) {
	err := inHouse(t, filepath.Join(t.TempDir(), "data"), func(s *server) {
		text, err := s.renewedProfile(t.Context(), renew.Wish{Device: "pseudonym", Order: "77777777-0000-4000-8000-000000000001", Topic: "com.apple.mgmt.External.11111111-2222-4333-8444-555555555555", Rights: 3, Lasts: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"<string>1.0.0.127.rollcall.enrolment</string>", "renewal=77777777-0000-4000-8000-000000000001", "rights=3", "<string>com.apple.mdm</string>"} {
			if !strings.Contains(string(text), want) {
				t.Errorf("it lacks %s", want)
			}
		}
		_, after, _ := strings.Cut(string(text), "<key>Challenge</key>")
		_, after, _ = strings.Cut(after, "<string>")
		challenge, _, _ := strings.Cut(after, "</string>")
		grant, err := s.vouchers.Check(t.Context(), challenge, handlers.Asked{})
		if err != nil || grant.Device != "pseudonym" || grant.Order != "77777777-0000-4000-8000-000000000001" || !grant.Once || grant.Invitation != "" {
			t.Errorf("its challenge grants %+v (%v)", grant, err)
		}
		own, err := s.renewedProfile(t.Context(), renew.Wish{Device: "pseudonym", Order: "7", Road: enrollment.Account, Topic: "com.apple.mgmt.External.11111111-2222-4333-8444-555555555555", Mode: profile.BYOD, Account: "ada@example.com", Lasts: time.Hour})
		if err != nil || !strings.Contains(string(own), "<string>BYOD</string>") || !strings.Contains(string(own), "<string>ada@example.com</string>") || strings.Contains(string(own), "AccessRights") {
			t.Errorf("that of a person's own device: %v\n%s", err, own)
		}
		if _, err := s.renewedProfile(t.Context(), renew.Wish{Device: "pseudonym", Order: "7", Topic: "com.example", Lasts: time.Hour}); err == nil {
			t.Error("one that no device takes is made")
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestSettingsOfIdentities(t *testing.T) {
	short := filepath.Join(t.TempDir(), "short")
	if err := os.WriteFile(short, []byte("tiny\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, set := range map[string]identities{
		"--certificate-days":       {CertificateDays: 1000},
		"do not go together":       {CertificateDays: 1, SCEPURL: "https://a", ACMEURL: "https://b"},
		"--scep-url":               {CertificateDays: 1, SCEPURL: "ca.example.com"},
		"16 to 255":                {CertificateDays: 1, SCEPChallenge: short},
		"--scep-challenge-webhook": {CertificateDays: 1, SCEPWebhook: "file:///etc/passwd"},
	} {
		if err := set.check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", set, err, want)
		}
	}
	if err := (&identities{CertificateDays: 365, SCEPURL: "https://ca.example.com/scep"}).check(); err != nil {
		t.Error(err)
	}
}
