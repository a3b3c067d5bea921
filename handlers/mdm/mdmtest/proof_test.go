package mdmtest_test

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"net/url"
	"strings"
	"testing"

	"github.com/smallstep/pkcs7"

	"github.com/rollcall-mdm/rollcall/handlers/mdm/mdmtest"
)

// TestProofs lets a device prove itself in every way and checks each as a server would.
func TestProofs(t *testing.T) {
	for _, rsa := range []bool{false, true} {
		ca, err := mdmtest.NewCA("Test CA")
		if err != nil {
			t.Fatal(err)
		}
		ca.RSA = rsa
		for text, check := range map[string]func(*testing.T, message) *x509.Certificate{
			"header:X-Ssl-Client-Cert": fromPEM, "rfc9440": fromRFC9440, "signature": fromSignature, "signature-sha1": fromSignature,
		} {
			t.Run(text, func(t *testing.T) {
				proof, err := mdmtest.ParseProof(text)
				if err != nil {
					t.Fatal(err)
				}
				s := newServer(t)
				d := s.device(mdmtest.IOS)
				d.Proof = proof
				if d.Identity, err = ca.Issue(d.UDID); err != nil {
					t.Fatal(err)
				}
				enrol(t, d)
				for _, m := range s.messages {
					verify(t, ca, check(t, m), d.UDID)
				}
			})
		}
	}
}

func verify(t *testing.T, ca *mdmtest.CA, cert *x509.Certificate, name string) {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(ca.Certificate)
	_, err := cert.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	if err != nil || cert.Subject.CommonName != name {
		t.Errorf("the certificate of %s: %v", cert.Subject.CommonName, err)
	}
}

func fromPEM(t *testing.T, m message) *x509.Certificate {
	text, err := url.QueryUnescape(m.header.Get("X-Ssl-Client-Cert"))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode([]byte(text))
	return parse(t, block.Bytes)
}

func fromRFC9440(t *testing.T, m message) *x509.Certificate {
	text := m.header.Get("Client-Cert")
	der, err := base64.StdEncoding.DecodeString(strings.Trim(text, ":"))
	if err != nil || !strings.HasPrefix(text, ":") || !strings.HasSuffix(text, ":") {
		t.Fatalf("%q: %v", text, err)
	}
	return parse(t, der)
}

func fromSignature(t *testing.T, m message) *x509.Certificate {
	der, err := base64.StdEncoding.DecodeString(m.header.Get("Mdm-Signature"))
	if err != nil {
		t.Fatal(err)
	}
	signed, err := pkcs7.Parse(der)
	if err != nil {
		t.Fatal(err)
	}
	if len(signed.Content) != 0 {
		t.Error("the signature is not detached")
	}
	signed.Content = m.body
	if err := signed.Verify(); err != nil {
		t.Errorf("verify: %v", err)
	}
	signed.Content = append([]byte("x"), m.body...)
	if err := signed.Verify(); err == nil {
		t.Error("the signature fits another body too")
	}
	return signed.GetOnlySigner()
}

func parse(t *testing.T, der []byte) *x509.Certificate {
	t.Helper()
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func TestCAFromItsFiles(t *testing.T) {
	ca, err := mdmtest.NewCA("Test CA")
	if err != nil {
		t.Fatal(err)
	}
	key, err := ca.KeyPEM()
	if err != nil {
		t.Fatal(err)
	}
	again, err := mdmtest.ParseCA(ca.PEM(), key)
	if err != nil {
		t.Fatal(err)
	}
	id, err := again.Issue("one")
	if err != nil {
		t.Fatal(err)
	}
	verify(t, ca, id.Certificate, "one")
	for _, c := range [][2][]byte{{nil, key}, {ca.PEM(), nil}, {key, key}, {ca.PEM(), ca.PEM()}} {
		if _, err := mdmtest.ParseCA(c[0], c[1]); err == nil {
			t.Error("a CA was made of the wrong files")
		}
	}
}

func TestParseProofRefusesTheUnknown(t *testing.T) {
	if _, err := mdmtest.ParseProof("password"); err == nil {
		t.Error("password is no way to prove an identity")
	}
}
