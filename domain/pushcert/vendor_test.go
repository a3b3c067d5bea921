package pushcert_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain/pushcert"
)

// A link is one certificate of a make-believe Apple's, and its key.
type link struct {
	certificate *x509.Certificate
	key         crypto.Signer
}

func (l link) pem() []byte { return block("CERTIFICATE", l.certificate.Raw) }

func (l link) keyPEM() []byte {
	return block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(l.key.(*rsa.PrivateKey)))
}

// issue makes a certificate, which by signs; it signs itself if by is nil.
func issue(t *testing.T, name string, until time.Time, by *link) link {
	t.Helper()
	var key crypto.Signer
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if name == "Vendor" {
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{
		SerialNumber: big.NewInt(int64(len(name))), Subject: pkix.Name{CommonName: name}, NotBefore: noon.Add(-time.Hour), NotAfter: until,
		IsCA: true, BasicConstraintsValid: true,
	}
	issuer := link{about, key}
	if by != nil {
		issuer = *by
	}
	der, err := x509.CreateCertificate(rand.Reader, about, issuer.certificate, key.Public(), issuer.key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return link{c, key}
}

func TestAVendorVouchesForARequest(t *testing.T) {
	year := noon.AddDate(1, 0, 0)
	root := issue(t, "Root", year, nil)
	middle := issue(t, "Developer Relations", year, &root)
	vendor := issue(t, "Vendor", year, &middle)
	made, err := pushcert.Ask(example, "", rsaKey(t))
	if err != nil {
		t.Fatal(err)
	}
	v, err := pushcert.ReadVendor(slices.Concat(root.pem(), vendor.keyPEM(), vendor.pem(), middle.pem()), noon) // in any order
	if err != nil {
		t.Fatal(err)
	}
	got, err := v.Sign(made.CSR)
	if err != nil {
		t.Fatal(err)
	}
	der, _ := pem.Decode(made.CSR)
	if got.PushCertRequestCSR != base64.StdEncoding.EncodeToString(der.Bytes) {
		t.Error("the request is not the DER in base64, in one line")
	}
	signature, err := base64.StdEncoding.DecodeString(got.PushCertSignature)
	sum := sha256.Sum256(der.Bytes)
	if err != nil || rsa.VerifyPKCS1v15(vendor.key.Public().(*rsa.PublicKey), crypto.SHA256, sum[:], signature) != nil {
		t.Error("the signature is not the vendor's over the request's DER")
	}
	if got.PushCertCertificateChain != string(slices.Concat(vendor.pem(), middle.pem(), root.pem())) {
		t.Error("the chain is not the vendor's certificate, the intermediate, the root")
	}
	for _, text := range strings.Split(got.PushCertCertificateChain, "-----") {
		lines := strings.Split(strings.Trim(text, "\n"), "\n")
		for i, line := range lines {
			if len(line) > 64 || i < len(lines)-1 && len(line) != 64 {
				t.Errorf("a line of %d characters: Apple takes 64", len(line))
			}
		}
	}
	again, err := v.Sign(der.Bytes)
	if err != nil || again.PushCertRequestCSR != got.PushCertRequestCSR {
		t.Errorf("a request as DER: %v", err)
	}
	for name, csr := range map[string][]byte{
		"a certificate": vendor.pem(), "nothing": nil, "a request that was altered": append(slices.Clone(der.Bytes[:len(der.Bytes)-1]), der.Bytes[len(der.Bytes)-1]^1),
	} {
		if _, err := v.Sign(csr); err == nil {
			t.Errorf("%s was signed", name)
		}
	}
}

func TestAVendorThatApplesPortalWouldRefuse(t *testing.T) {
	year := noon.AddDate(1, 0, 0)
	root := issue(t, "Root", year, nil)
	middle := issue(t, "Developer Relations", year, &root)
	vendor := issue(t, "Vendor", year, &middle)
	ended := issue(t, "Vendor", noon.Add(-time.Minute), &middle)
	other := issue(t, "Developer Relations", year, &root) // another generation of the same name
	for name, c := range map[string]struct {
		text []byte
		want string
	}{
		"no intermediate":      {slices.Concat(vendor.pem(), vendor.keyPEM(), root.pem()), `certificate of "CN=Developer Relations" is missing`},
		"another intermediate": {slices.Concat(vendor.pem(), vendor.keyPEM(), other.pem(), root.pem()), `certificate of "CN=Developer Relations" is missing`},
		"no root":              {slices.Concat(vendor.pem(), vendor.keyPEM(), middle.pem()), `certificate of "CN=Root" is missing`},
		"ended":                {slices.Concat(ended.pem(), ended.keyPEM(), middle.pem(), root.pem()), "has expired on 2026-01-31"},
		"no key":               {slices.Concat(vendor.pem(), middle.pem(), root.pem()), "RSA key is missing"},
		"somebody else's key":  {slices.Concat(vendor.pem(), ended.keyPEM(), middle.pem(), root.pem()), "not the vendor certificate's"},
		"nothing":              {nil, "no certificate"},
	} {
		if _, err := pushcert.ReadVendor(c.text, noon); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want that %s", name, err, c.want)
		}
	}
}
