package scep_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	micromdm509 "github.com/micromdm/scep/v2/cryptoutil/x509util"
	micromdm "github.com/micromdm/scep/v2/scep"
	"github.com/smallstep/pkcs7"

	"github.com/rollcall-mdm/rollcall/domain/enrollment"
	"github.com/rollcall-mdm/rollcall/handlers"
)

// A shell runs openssl in a directory of its own.
type shell struct {
	t   *testing.T
	dir string
}

func newShell(t *testing.T) shell {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Fatal("openssl is needed to play a client")
	}
	return shell{t, t.TempDir()}
}

func (s shell) file(name string) string { return filepath.Join(s.dir, name) }

func (s shell) write(name string, text []byte) {
	s.t.Helper()
	if err := os.WriteFile(s.file(name), text, 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func (s shell) read(name string) []byte {
	s.t.Helper()
	text, err := os.ReadFile(s.file(name))
	if err != nil {
		s.t.Fatal(err)
	}
	return text
}

// openssl runs openssl with words that blanks part.
func (s shell) openssl(words string) []byte {
	s.t.Helper()
	cmd := exec.Command("openssl", strings.Fields(words)...)
	cmd.Dir = s.dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("openssl %s: %v\n%s", words, err, out)
	}
	return out
}

// A request whose every part but the outermost attributes was made by openssl: key, PKCS #10 with its challenge, envelope.
// What comes back is taken apart by openssl too.
func TestOpenSSLsRequestAndWhatItReadsOfTheAnswer(t *testing.T) {
	h := build(t, func(h *house) { h.now.Store(time.Now().UnixMicro()) })
	s := newShell(t)
	s.write("root.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: h.root.Certificate.Raw}))
	s.write("req.cnf", []byte("[req]\ndistinguished_name=dn\nattributes=at\nprompt=no\n[dn]\nCN=made by openssl\n[at]\nchallengePassword="+
		h.pass(handlers.Pass{Invitation: enrollment.Default, Once: true})+"\n"))
	s.openssl("req -new -newkey rsa:2048 -nodes -sha256 -config req.cnf -keyout key.pem -outform DER -out req.der")
	s.openssl("req -x509 -key key.pem -sha256 -days 2 -subj /CN=self -out self.pem")
	s.openssl("cms -encrypt -binary -in req.der -outform DER -out envelope.der -aes128 root.pem")
	message := s.wrap("envelope.der", "19")
	status, _, answer := h.post(message)
	if status != http.StatusOK {
		t.Fatalf("%d: %s", status, answer)
	}
	s.write("answer.der", answer)
	s.openssl("cms -verify -inform DER -in answer.der -CAfile root.pem -purpose any -out inner.der -binary")
	s.openssl("cms -decrypt -inform DER -in inner.der -recip self.pem -inkey key.pem -out degenerate.der -binary")
	s.openssl("pkcs7 -inform DER -in degenerate.der -print_certs -out issued.pem")
	s.openssl("verify -purpose sslclient -CAfile root.pem issued.pem")
	block, _ := pem.Decode(s.read("issued.pem")[strings.Index(string(s.read("issued.pem")), "-----BEGIN"):])
	issued, err := x509.ParseCertificate(block.Bytes)
	if err != nil || issued.Subject.CommonName == "made by openssl" {
		t.Errorf("%v %v", issued.Subject, err)
	}
}

// wrap signs an envelope as a SCEP message of a type, with openssl's key. The command line of openssl cannot name SCEP's
// attributes.
func (s shell) wrap(envelope, kind string) []byte {
	s.t.Helper()
	keyBlock, _ := pem.Decode(s.read("key.pem"))
	certBlock, _ := pem.Decode(s.read("self.pem"))
	key, err := x509.ParsePKCS8PrivateKey(keyBlock.Bytes)
	if err != nil {
		s.t.Fatal(err)
	}
	self, err := x509.ParseCertificate(certBlock.Bytes)
	if err != nil {
		s.t.Fatal(err)
	}
	signed, err := pkcs7.NewSignedData(s.read(envelope))
	if err != nil {
		s.t.Fatal(err)
	}
	signed.SetDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA512)
	attribute := func(last int, value any) pkcs7.Attribute {
		return pkcs7.Attribute{Type: asn1.ObjectIdentifier{2, 16, 840, 1, 113733, 1, 9, last}, Value: value}
	}
	err = signed.AddSigner(self, key, pkcs7.SignerInfoConfig{ExtraSignedAttributes: []pkcs7.Attribute{
		attribute(2, kind), attribute(7, "made-by-openssl"), attribute(5, []byte("sixteen bytes ok")),
	}})
	if err != nil {
		s.t.Fatal(err)
	}
	message, err := signed.Finish()
	if err != nil {
		s.t.Fatal(err)
	}
	return message
}

// What MicroMDM's scepclient and devices that are played with its library do, with CMS of another make: the type of the
// answer to GetCACert tells how it is read, messages go by POST, DES and SHA-1 are used whatever the server can do.
func TestMicroMDMsLibrary(t *testing.T) {
	h := build(t, nil)
	key := h.key()
	self := selfSigned(t, key, h.clock())
	ask := func(kind micromdm.MessageType, signer *x509.Certificate, key *rsa.PrivateKey, challenge string) (*x509.Certificate, micromdm.FailInfo) {
		_, contentType, body := h.get(url.Values{"operation": {"GetCACert"}})
		if contentType != "application/x-x509-ca-cert" {
			t.Fatalf("GetCACert: %s", contentType)
		}
		root, err := x509.ParseCertificates(body)
		if err != nil {
			t.Fatal(err)
		}
		der, err := micromdm509.CreateCertificateRequest(rand.Reader, &micromdm509.CertificateRequest{
			CertificateRequest: x509.CertificateRequest{Subject: pkix.Name{CommonName: "scepclient"}}, ChallengePassword: challenge,
		}, key)
		if err != nil {
			t.Fatal(err)
		}
		csr, err := x509.ParseCertificateRequest(der)
		if err != nil {
			t.Fatal(err)
		}
		message, err := micromdm.NewCSRRequest(csr, &micromdm.PKIMessage{MessageType: kind, Recipients: root, SignerKey: key, SignerCert: signer})
		if err != nil {
			t.Fatal(err)
		}
		_, _, body = h.post(message.Raw)
		answer, err := micromdm.ParsePKIMessage(body, micromdm.WithCACerts(root))
		if err != nil {
			t.Fatal(err)
		}
		if answer.PKIStatus != micromdm.SUCCESS {
			return nil, answer.FailInfo
		}
		if err := answer.DecryptPKIEnvelope(signer, key); err != nil {
			t.Fatal(err)
		}
		return answer.Certificate, ""
	}
	challenge := h.pass(handlers.Pass{Invitation: enrollment.Default, Once: true, Lenient: true})
	first, refused := ask(micromdm.PKCSReq, self, key, challenge)
	if refused != "" || !key.PublicKey.Equal(first.PublicKey) {
		t.Fatalf("refused: %s", refused)
	}
	if again, _ := ask(micromdm.PKCSReq, self, key, challenge); !again.Equal(first) {
		t.Error("a retry brings another certificate")
	}
	other := h.key()
	if _, refused := ask(micromdm.PKCSReq, selfSigned(t, other, h.clock()), other, challenge); refused != micromdm.BadRequest {
		t.Errorf("a replayed challenge: %q", refused)
	}
	if _, refused := ask(micromdm.PKCSReq, self, key, "wrong"); refused != micromdm.BadRequest {
		t.Errorf("a wrong challenge: %q", refused)
	}
	if _, refused := ask(micromdm.RenewalReq, first, key, ""); refused != micromdm.BadAlg {
		t.Errorf("a renewal with SHA-1: %q", refused)
	}
	h.door.Legacy = true
	if next, refused := ask(micromdm.RenewalReq, first, key, ""); refused != "" || next.Equal(first) || next.Subject.CommonName != first.Subject.CommonName {
		t.Errorf("a renewal where old clients may come: %q", refused)
	}
}
