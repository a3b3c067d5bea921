package pushcert_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"
	"testing"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/pushcert"
)

var example = pushcert.Applicant{CommonName: "Example Ltd", Email: "mdm@example.com", Country: "DE"}

func rsaKey(t testing.TB) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestARequestIsWhatApplesPortalWants(t *testing.T) {
	key := rsaKey(t)
	made, err := pushcert.Ask(example, topic, key)
	if err != nil {
		t.Fatal(err)
	}
	block, rest := pem.Decode(made.CSR)
	if block == nil || block.Type != "CERTIFICATE REQUEST" || len(rest) > 0 {
		t.Fatalf("the request is no PEM: %s", made.CSR)
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil || csr.CheckSignature() != nil {
		t.Fatalf("the request is not sound: %v", err)
	}
	if csr.SignatureAlgorithm != x509.SHA256WithRSA || csr.Subject.CommonName != "Example Ltd" || csr.Subject.Country[0] != "DE" ||
		!strings.Contains(csr.Subject.String(), "1.2.840.113549.1.9.1=") || !key.PublicKey.Equal(csr.PublicKey) {
		t.Errorf("the request is %s, signed by %s", csr.Subject, csr.SignatureAlgorithm)
	}
	id, err := pushcert.KeyID(csr.PublicKey)
	if err != nil || id != made.ID || made.Topic != topic {
		t.Errorf("the request is %s for %s, want %s, %v", made.ID, made.Topic, id, err)
	}
	var r pushcert.Request
	events, err := r.Make(made)
	if err != nil || len(events) != 1 {
		t.Fatalf("%v, %v", events, err)
	}
	r = r.Evolve(events[0], noon)
	if r.Applicant != example || !r.Made.Equal(noon) || !bytes.Equal(r.CSR, made.CSR) || !bytes.Equal(r.Key, made.Key) {
		t.Errorf("it is remembered as %+v", r.Applicant)
	}
	if _, err := r.Make(made); err == nil {
		t.Error("one key was made twice")
	}
}

func TestRequestsThatTheLogShallNotHave(t *testing.T) {
	key := rsaKey(t)
	for name, change := range map[string]func(*pushcert.Applicant) string{
		"nobody":             func(a *pushcert.Applicant) string { a.CommonName = ""; return "" },
		"a long name":        func(a *pushcert.Applicant) string { a.CommonName = strings.Repeat("ü", 65); return "" },
		"a name of two rows": func(a *pushcert.Applicant) string { a.CommonName = "a\nb"; return "" },
		"no address":         func(a *pushcert.Applicant) string { a.Email = "example.com"; return "" },
		"a letter of ours":   func(a *pushcert.Applicant) string { a.Email = "jürgen@example.com"; return "" },
		"a country's name":   func(a *pushcert.Applicant) string { a.Country = "Germany"; return "" },
		"an app's topic":     func(*pushcert.Applicant) string { return "com.example.app" },
	} {
		a := example
		renewed := change(&a)
		if _, err := pushcert.Ask(a, renewed, key); err == nil {
			t.Errorf("%s: it was asked for", name)
		} else if _, is := domain.Refused(err); !is {
			t.Errorf("%s: %v is no refusal", name, err)
		}
	}
}

func TestACertificateFindsTheKeyThatWasMadeForIt(t *testing.T) {
	key := rsaKey(t)
	made, err := pushcert.Ask(example, "", key)
	if err != nil {
		t.Fatal(err)
	}
	lookup := func(id string) ([]byte, error) {
		if id == made.ID {
			return made.Key, nil
		}
		return nil, nil
	}
	stored, err := pushcert.Read(certify(t, key, topic), lookup)
	if err != nil || stored.KeyID != made.ID || !bytes.Equal(stored.Key, made.Key) || stored.Topic != topic {
		t.Errorf("stored: %s, %v", stored.KeyID, err)
	}
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pushcert.Read(certify(t, other, topic), lookup); err == nil || !strings.Contains(err.Error(), "none that was made here") {
		t.Errorf("a certificate for nobody's key: %v", err)
	}
	away := errors.New("the log is away")
	if _, err := pushcert.Read(certify(t, key, topic), func(string) ([]byte, error) { return nil, away }); !errors.Is(err, away) {
		t.Errorf("a key that cannot be looked for: %v", err)
	}
}
