package cms_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"software.sslmate.com/src/go-pkcs12"

	"github.com/rollcall-mdm/rollcall/handlers/cms"
)

// signer makes a signer under a CA of its own.
func signer(t testing.TB, key crypto.Signer) *cms.Signer {
	t.Helper()
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "CA"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "Signer"}, NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection},
	}
	parse := func(der []byte, err error) *x509.Certificate {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	root := parse(x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey))
	return &cms.Signer{Chain: []*x509.Certificate{parse(x509.CreateCertificate(rand.Reader, leaf, root, key.Public(), caKey)), root}, Key: key}
}

func rsaKey(t testing.TB) *rsa.PrivateKey {
	t.Helper()
	key, err := theKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// theKey is made once: it takes its time.
var theKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// openssl runs the program by which everybody else reads what is made here, and returns what it prints.
func openssl(t *testing.T, args ...string) []byte {
	t.Helper()
	var said bytes.Buffer
	cmd := exec.Command("openssl", args...)
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("openssl %v: %v\n%s", args, err, &said)
	}
	return out
}

func keep(t *testing.T, name string, content []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func asPEM(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

const content = "<?xml version=\"1.0\"?>\n<plist>ü</plist>\r\n"

func TestOpenSSLVerifiesWhatIsSigned(t *testing.T) {
	elliptical, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]crypto.Signer{"RSA": rsaKey(t), "ECDSA": elliptical} {
		s := signer(t, key)
		message, err := s.Sign([]byte(content))
		if err != nil {
			t.Fatal(err)
		}
		file, root := keep(t, "signed", message), keep(t, "root.pem", asPEM("CERTIFICATE", s.Chain[1].Raw))
		for _, tool := range []string{"cms", "smime"} {
			if got := openssl(t, tool, "-verify", "-inform", "DER", "-binary", "-in", file, "-CAfile", root); string(got) != content {
				t.Errorf("%s: openssl %s reads %q", name, tool, got)
			}
		}
		printed := openssl(t, "cms", "-cmsout", "-print", "-noout", "-inform", "DER", "-in", file)
		if !bytes.Contains(printed, []byte("algorithm: sha256")) || bytes.Count(printed, []byte("d.certificate:")) != 2 {
			t.Errorf("%s: it is not signed with SHA-256, or its chain is not in it:\n%s", name, printed)
		}
		read, by, err := cms.Content(message)
		if err != nil || string(read) != content || by.Subject.CommonName != "Signer" {
			t.Errorf("%s: it holds %q, signed by %v (%v)", name, read, by, err)
		}
	}
}

func TestWhatOpenSSLSignedIsRead(t *testing.T) {
	key := rsaKey(t)
	s := signer(t, key)
	certificate, keyFile := keep(t, "c.pem", asPEM("CERTIFICATE", s.Chain[0].Raw)), keep(t, "k.pem", asPEM("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key)))
	in := keep(t, "in", []byte(content))
	for _, how := range [][]string{{"-nodetach"}, {"-nodetach", "-stream"}, {"-nodetach", "-noattr"}} {
		message := openssl(t, append([]string{"cms", "-sign", "-binary", "-outform", "DER", "-in", in, "-signer", certificate, "-inkey", keyFile}, how...)...)
		read, by, err := cms.Content(message)
		if err != nil || string(read) != content || by.Subject.CommonName != "Signer" {
			t.Errorf("%v: it holds %q, signed by %v (%v)", how, read, by, err)
		}
	}
}

func TestASignatureThatDoesNotFitIsSeen(t *testing.T) {
	message, err := signer(t, rsaKey(t)).Sign([]byte(content))
	if err != nil {
		t.Fatal(err)
	}
	forged := bytes.Replace(message, []byte("<plist>"), []byte("<PLIST>"), 1)
	if _, _, err := cms.Content(forged); err == nil {
		t.Error("altered content is taken")
	}
	for _, none := range [][]byte{nil, []byte(content), {0x30, 0x80, 0, 0}, bytes.Repeat([]byte{0x30, 0x80}, 5000), make([]byte, 5<<20)} {
		if _, _, err := cms.Content(none); err == nil {
			t.Errorf("%d bytes are taken for a signed message", len(none))
		}
	}
	if _, err := (&cms.Signer{}).Sign(nil); err == nil {
		t.Error("nobody signs")
	}
}

func TestOpenSSLDeciphersWhatIsEnciphered(t *testing.T) {
	ada, bob := recipient(t, "Ada", 1), recipient(t, "Bob", 2)
	for _, text := range []string{"", "0123456789abcdef", content} {
		message, err := cms.AES256().Encipher([]byte(text), ada.Certificate, bob.Certificate)
		if err != nil {
			t.Fatal(err)
		}
		file := keep(t, "enciphered", message)
		for _, who := range []cms.Recipient{ada, bob} {
			key := keep(t, "k.pem", asPEM("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(who.Key.(*rsa.PrivateKey))))
			certificate := keep(t, "c.pem", asPEM("CERTIFICATE", who.Certificate.Raw))
			if got := openssl(t, "cms", "-decrypt", "-binary", "-inform", "DER", "-in", file, "-recip", certificate, "-inkey", key); string(got) != text {
				t.Errorf("openssl reads %q, want %q", got, text)
			}
			if got, err := cms.Open(message, who); err != nil || string(got) != text {
				t.Errorf("it is opened to %q (%v), want %q", got, err, text)
			}
		}
		if printed := openssl(t, "cms", "-cmsout", "-print", "-noout", "-inform", "DER", "-in", file); !bytes.Contains(printed, []byte("aes-256-cbc")) {
			t.Errorf("it is enciphered with something else:\n%s", printed)
		}
	}
}

func TestNothingIsEncipheredForNobody(t *testing.T) {
	if _, err := cms.AES256().Encipher([]byte(content)); err == nil {
		t.Error("a message for nobody is made")
	}
	elliptical, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cms.AES256().Encipher([]byte(content), signer(t, elliptical).Chain[0]); err == nil {
		t.Error("a key that cannot open it is taken")
	}
}

func TestOpenSSLReadsAPKCS12(t *testing.T) {
	s := signer(t, rsaKey(t))
	file, password, err := cms.PKCS12(s.Key, s.Chain[0], s.Chain[1:])
	if err != nil || len(password) < 26 {
		t.Fatalf("the password has %d letters (%v)", len(password), err)
	}
	key, certificate, above, err := pkcs12.DecodeChain(file, password)
	if err != nil || !certificate.Equal(s.Chain[0]) || len(above) != 1 || !s.Key.(*rsa.PrivateKey).Equal(key) {
		t.Errorf("it holds %v (%v)", certificate, err)
	}
	out := openssl(t, "pkcs12", "-legacy", "-nodes", "-in", keep(t, "id.p12", file), "-passin", "pass:"+password)
	if block, _ := pem.Decode(out[bytes.Index(out, []byte("-----BEGIN CERTIFICATE")):]); block == nil || !bytes.Equal(block.Bytes, s.Chain[0].Raw) {
		t.Errorf("openssl reads %s", out)
	}
	if _, again, _ := cms.PKCS12(s.Key, s.Chain[0], nil); again == password {
		t.Error("two files have one password")
	}
}

func FuzzContent(f *testing.F) {
	message, err := signer(f, rsaKey(f)).Sign([]byte(content))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(message)
	f.Add([]byte{0x30, 0x80, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		read, by, err := cms.Content(b)
		if err == nil && by == nil {
			t.Errorf("%d bytes are signed by nobody", len(read))
		}
	})
}
