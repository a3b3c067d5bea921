package cms_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"testing"
	"time"

	"github.com/smallstep/pkcs7"

	"github.com/rollcall-mdm/rollcall/handlers/cms"
)

// recipient makes a certificate and its key.
func recipient(t testing.TB, name string, serial int64) cms.Recipient {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cms.Recipient{Certificate: certificate, Key: key}
}

func envelope(t testing.TB, content string, whom ...cms.Recipient) []byte {
	t.Helper()
	var list []*x509.Certificate
	for _, r := range whom {
		list = append(list, r.Certificate)
	}
	message, err := pkcs7.Encrypt([]byte(content), list)
	if err != nil {
		t.Fatal(err)
	}
	return message
}

func TestAnEnvelopeIsOpenedByWhomItIsFor(t *testing.T) {
	ada, eve := recipient(t, "Ada", 0x4711), recipient(t, "Eve", 0x4711)
	for _, algorithm := range []int{pkcs7.EncryptionAlgorithmDESCBC, pkcs7.EncryptionAlgorithmAES128CBC, pkcs7.EncryptionAlgorithmAES256CBC, pkcs7.EncryptionAlgorithmAES256GCM} {
		pkcs7.ContentEncryptionAlgorithm = algorithm
		message := envelope(t, "ABCD-EFGH", ada)
		if got, err := cms.Open(message, eve, ada); err != nil || string(got) != "ABCD-EFGH" {
			t.Errorf("algorithm %d: it holds %q (%v)", algorithm, got, err)
		}
		if _, err := cms.Open(message, eve); !errors.Is(err, cms.ErrNotOurs) {
			t.Errorf("algorithm %d: another one is told %v", algorithm, err)
		}
		if got := cms.SerialOf(message); got != "4711" {
			t.Errorf("it is for %q", got)
		}
		for i := range message {
			broken := bytes.Clone(message)
			broken[i] ^= 0x55
			if _, err := cms.Open(broken[:len(broken)-i%3], ada); err == nil && i%3 > 0 {
				t.Errorf("byte %d may be altered and the end cut off", i)
			}
		}
	}
	for _, none := range [][]byte{nil, []byte("no CMS"), make([]byte, 1<<20), bytes.Repeat([]byte{0x30, 0x80}, 5000)} {
		if _, err := cms.Open(none, ada); err == nil {
			t.Errorf("%d bytes are opened", len(none))
		}
		if got := cms.SerialOf(none); got != "" {
			t.Errorf("%d bytes are for %q", len(none), got)
		}
	}
}

// FuzzOpen opens any bytes. Nothing may break, or hold more than it is long.
func FuzzOpen(f *testing.F) {
	ada := recipient(f, "Ada", 1)
	f.Add(envelope(f, "ABCD-EFGH", ada))
	f.Add(envelope(f, "", ada, recipient(f, "Eve", 2)))
	f.Add([]byte{0x30, 0x80, 0, 0})
	f.Fuzz(func(t *testing.T, message []byte) {
		if content, err := cms.Open(message, ada); err == nil && len(content) > len(message) {
			t.Errorf("%d bytes hold %d", len(message), len(content))
		}
		cms.SerialOf(message)
		der, err := cms.DER(message)
		if err != nil {
			return
		}
		if again, err := cms.DER(der); err != nil || !bytes.Equal(again, der) {
			t.Errorf("what was made of it is no DER: %v", err)
		}
	})
}
