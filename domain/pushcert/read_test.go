package pushcert_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/pushcert"
)

const topic = "com.apple.mgmt.External.11111111-2222-4333-8444-555555555555"

var notAfter = time.Date(2031, 1, 2, 3, 4, 5, 0, time.UTC)

// certify returns a certificate of the key that signs itself, as PEM.
func certify(t testing.TB, key crypto.Signer, uid string) []byte {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: notAfter, Subject: pkix.Name{
		ExtraNames: []pkix.AttributeTypeAndValue{{Type: asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 1}, Value: uid}},
	}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return block("CERTIFICATE", der)
}

// none is whoever has made no key.
func none(string) ([]byte, error) { return nil, nil }

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func must(t testing.TB) func(der []byte, err error) []byte {
	return func(der []byte, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
}

func TestReadTakesKeysOfAllFormsInAnyOrder(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	old, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	chain := certify(t, stranger, "com.example.authority")
	for name, text := range map[string][]byte{
		"PKCS 8":               append(certify(t, ec, topic), block("PRIVATE KEY", must(t)(x509.MarshalPKCS8PrivateKey(ec)))...),
		"EC":                   append(certify(t, ec, topic), block("EC PRIVATE KEY", must(t)(x509.MarshalECPrivateKey(ec)))...),
		"RSA":                  append(certify(t, old, topic), block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(old))...),
		"the key first":        append(block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(old)), certify(t, old, topic)...),
		"the chain first":      bytes.Join([][]byte{chain, certify(t, ec, topic), block("PRIVATE KEY", must(t)(x509.MarshalPKCS8PrivateKey(ec)))}, nil),
		"with words around it": bytes.Join([][]byte{[]byte("Bag Attributes\n"), certify(t, ec, topic), []byte("\nhello\n"), block("PRIVATE KEY", must(t)(x509.MarshalPKCS8PrivateKey(ec)))}, nil),
	} {
		t.Run(name, func(t *testing.T) {
			s, err := pushcert.Read(text, none)
			if err != nil || s.Topic != topic || !s.NotAfter.Equal(notAfter) || len(s.Fingerprint) != 64 {
				t.Fatalf("%+v, %v", s, err)
			}
			first, _ := pem.Decode(s.Certificate)
			leaf, err := x509.ParseCertificate(first.Bytes)
			if err != nil || pushcert.Topic(leaf) != topic {
				t.Errorf("the first certificate is not the leaf (%v)", err)
			}
			key, rest := pem.Decode(s.Key)
			if key == nil || key.Type != "PRIVATE KEY" || len(rest) != 0 {
				t.Errorf("the key is stored as %v", key)
			}
		})
	}
}

func FuzzRead(f *testing.F) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(append(certify(f, key, topic), block("PRIVATE KEY", must(f)(x509.MarshalPKCS8PrivateKey(key)))...))
	f.Add([]byte("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE----------BEGIN PRIVATE KEY-----"))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := pushcert.Read(text, none)
		if err != nil {
			if _, refused := domain.Refused(err); !refused || s.Topic != "" || s.Key != nil {
				t.Errorf("%+v, %v: want a refusal alone", s, err)
			}
			return
		}
		again, err := pushcert.Read(append(bytes.Clone(s.Certificate), s.Key...), none)
		if err != nil || again.Fingerprint != s.Fingerprint || again.Topic != s.Topic {
			t.Errorf("what was read is not read again: %v", err)
		}
	})
}
