package mdm

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smallstep/pkcs7"

	guard "github.com/rollcall-mdm/rollcall/handlers/cms"
)

// The parts of a CMS message, for those who make one.
type (
	contentInfo struct {
		Type    asn1.ObjectIdentifier
		Content signedData `asn1:"explicit,tag:0"`
	}
	signedData struct {
		Version      int
		Digests      asn1.RawValue
		Content      encapsulated
		Certificates asn1.RawValue `asn1:"optional,tag:0"`
		Revocations  asn1.RawValue `asn1:"optional,tag:1"`
		Signers      []signerInfo  `asn1:"set"`
	}
	encapsulated struct {
		Type    asn1.ObjectIdentifier
		Content asn1.RawValue `asn1:"explicit,optional,tag:0"`
	}
	signerInfo struct {
		Version    int
		ID         asn1.RawValue // issuer and serial number, or a subject key identifier
		Digest     pkix.AlgorithmIdentifier
		Attributes asn1.RawValue `asn1:"optional,tag:0"`
		Scheme     pkix.AlgorithmIdentifier
		Signature  []byte
		Unsigned   asn1.RawValue `asn1:"optional,tag:1"`
	}
	issuerAndSerial struct {
		Issuer asn1.RawValue
		Serial asn1.RawValue
	}
	attribute struct {
		Type   asn1.ObjectIdentifier
		Values []asn1.RawValue `asn1:"set"`
	}
)

var (
	oidData          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	oidSignedData    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	oidContentType   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}
	oidMessageDigest = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
)

func sum(hash crypto.Hash, data []byte) []byte {
	h := hash.New()
	h.Write(data)
	return h.Sum(nil)
}

// A signing says how a message is signed. The zero value is what devices do, but with SHA-256.
type signing struct {
	hash       crypto.Hash
	attributes bool
	time       time.Time
	keyID      bool // name the certificate by its key, not by issuer and serial
	attached   bool
	signers    int // one if zero
	digest     []byte
	content    asn1.ObjectIdentifier // that the attributes speak of
	scheme     asn1.ObjectIdentifier
	twice      bool // an attribute twice
	extra      []*x509.Certificate
}

var digestNames = map[crypto.Hash]asn1.ObjectIdentifier{
	crypto.SHA1: {1, 3, 14, 3, 2, 26}, crypto.SHA256: {2, 16, 840, 1, 101, 3, 4, 2, 1}, crypto.SHA384: {2, 16, 840, 1, 101, 3, 4, 2, 2},
}

// signCMS returns a Mdm-Signature of a body.
func signCMS(t testing.TB, id identity, body []byte, how signing) string {
	t.Helper()
	return base64.StdEncoding.EncodeToString(cms(t, id, body, how))
}

func cms(t testing.TB, id identity, body []byte, how signing) []byte {
	t.Helper()
	if how.hash == 0 {
		how.hash = crypto.SHA256
	}
	info := signerInfo{
		Version: 1, ID: raw(t, issuerAndSerial{raw2(id.cert.RawIssuer), raw(t, id.cert.SerialNumber)}),
		Digest: pkix.AlgorithmIdentifier{Algorithm: digestNames[how.hash]},
	}
	if how.keyID {
		info.ID = asn1.RawValue{FullBytes: append(guard.AppendHeader(nil, 0x80, len(id.cert.SubjectKeyId)), id.cert.SubjectKeyId...)}
	}
	signed := body
	if how.attributes {
		attrs := how.signedAttributes(t, body)
		info.Attributes = asn1.RawValue{FullBytes: append(guard.AppendHeader(nil, 0xa0, len(attrs)), attrs...)}
		signed = append(guard.AppendHeader(nil, 0x31, len(attrs)), attrs...)
	}
	info.Scheme.Algorithm = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
	if _, ec := id.key.(*ecdsa.PrivateKey); ec {
		info.Scheme.Algorithm = asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}
	}
	if how.scheme != nil {
		info.Scheme.Algorithm = how.scheme
	}
	var err error
	if info.Signature, err = id.key.Sign(rand.Reader, sum(how.hash, signed), how.hash); err != nil {
		t.Fatal(err)
	}
	return how.wrap(t, info, id.cert, body)
}

func (how signing) signedAttributes(t testing.TB, body []byte) []byte {
	t.Helper()
	kind, digest := oidData, sum(how.hash, body)
	if how.content != nil {
		kind = how.content
	}
	if how.digest != nil {
		digest = how.digest
	}
	all := []byte{}
	add := func(name asn1.ObjectIdentifier, value any) {
		all = append(all, raw(t, attribute{name, []asn1.RawValue{raw(t, value)}}).FullBytes...)
	}
	add(oidContentType, kind)
	if !how.time.IsZero() {
		add(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 5}, how.time)
	}
	add(oidMessageDigest, digest)
	if how.twice {
		add(oidMessageDigest, digest)
	}
	return all
}

func (how signing) wrap(t testing.TB, info signerInfo, cert *x509.Certificate, body []byte) []byte {
	t.Helper()
	certs := slicesOf(append(how.extra, cert))
	data := signedData{
		Version: 1, Digests: raw2([]byte{0x31, 0}), Content: encapsulated{Type: oidData},
		Certificates: asn1.RawValue{FullBytes: append(guard.AppendHeader(nil, 0xa0, len(certs)), certs...)},
		Signers:      []signerInfo{info},
	}
	for len(data.Signers) < how.signers {
		data.Signers = append(data.Signers, info)
	}
	if how.attached {
		inner := raw(t, body).FullBytes
		data.Content.Content = asn1.RawValue{FullBytes: append(guard.AppendHeader(nil, 0xa0, len(inner)), inner...)}
	}
	return raw(t, contentInfo{oidSignedData, data}).FullBytes
}

func slicesOf(certs []*x509.Certificate) (all []byte) {
	for _, c := range certs {
		all = append(all, c.Raw...)
	}
	return all
}

func raw(t testing.TB, v any) asn1.RawValue {
	t.Helper()
	der, err := asn1.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return raw2(der)
}

func raw2(der []byte) asn1.RawValue { return asn1.RawValue{FullBytes: der} }

// indefinite rewrites DER as devices write it: constructed elements without a length, octet strings in two pieces.
func indefinite(der []byte) []byte {
	var out []byte
	for len(der) > 0 {
		var v asn1.RawValue
		rest, err := asn1.Unmarshal(der, &v)
		if err != nil {
			panic(err)
		}
		der = rest
		switch {
		case v.IsCompound:
			out = append(append(append(out, v.FullBytes[0], 0x80), indefinite(v.Bytes)...), 0, 0)
		case v.Class == asn1.ClassUniversal && v.Tag == asn1.TagOctetString && len(v.Bytes) > 40:
			half := len(v.Bytes) / 2
			out = append(out, 0x24, 0x80)
			out = append(guard.AppendHeader(out, 4, half), v.Bytes[:half]...)
			out = append(guard.AppendHeader(out, 4, len(v.Bytes)-half), v.Bytes[half:]...)
			out = append(out, 0, 0)
		default:
			out = append(out, v.FullBytes...)
		}
	}
	return out
}

func TestSignatures(t *testing.T) {
	ca := newAuthority(t, "Device CA")
	ec := ca.issue(t, "ec")
	rsaID := ca.issueFor(t, "rsa", noon.Add(-time.Hour), noon.Add(time.Hour), rsaKey(t))
	body := []byte("<plist>the exact bytes\r\n of a body</plist>")
	for _, test := range []struct {
		name string
		id   identity
		how  signing
		good bool
	}{
		{"ECDSA over the body", ec, signing{}, true},
		{"ECDSA with SHA-1", ec, signing{hash: crypto.SHA1}, true},
		{"RSA over the body", rsaID, signing{}, true},
		{"RSA with SHA-1", rsaID, signing{hash: crypto.SHA1}, true},
		{"RSA with SHA-384 and attributes", rsaID, signing{hash: crypto.SHA384, attributes: true}, true},
		{"RSA with attributes", rsaID, signing{attributes: true, time: noon}, true},
		{"ECDSA with attributes", ec, signing{attributes: true}, true},
		{"a signing time out of any bounds says nothing", ec, signing{attributes: true, time: noon.AddDate(20, 0, 0)}, true},
		{"the certificate named by its key", ec, signing{keyID: true}, true},
		{"the chain sent along, before the signer's", ec, signing{extra: []*x509.Certificate{ca.cert, rsaID.cert}}, true},
		{"an algorithm that names its hash", rsaID, signing{scheme: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}}, true},
		{"an algorithm that names another hash", rsaID, signing{scheme: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 5}}, false},
		{"an algorithm for another key", ec, signing{scheme: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}}, false},
		{"an algorithm nobody knows", ec, signing{scheme: asn1.ObjectIdentifier{1, 2, 3}}, false},
		{"attributes of another body", ec, signing{attributes: true, digest: make([]byte, 32)}, false},
		{"attributes of other content", ec, signing{attributes: true, content: oidSignedData}, false},
		{"an attribute twice", ec, signing{attributes: true, twice: true}, false},
		{"the body inside", ec, signing{attached: true}, false},
		{"two signers", ec, signing{signers: 2}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			der := cms(t, test.id, body, test.how)
			for form, bytes := range map[string][]byte{"DER": der, "BER": indefinite(der)} {
				s, err := readSignature(base64.StdEncoding.EncodeToString(bytes))
				if err == nil {
					err = s.covers(body)
				}
				if (err == nil) != test.good {
					t.Errorf("%s: %v", form, err)
				}
				if err == nil && !s.certificates[0].Equal(test.id.cert) {
					t.Errorf("%s: the signer is %s", form, s.certificates[0].Subject)
				}
			}
		})
	}
}

func TestNoByteOfAMessageOrItsSignatureCanBeAltered(t *testing.T) {
	ca := newAuthority(t, "Device CA")
	id := ca.issue(t, "U1")
	trusting := &Identity{Authorities: ca.pool()}
	body := []byte("a body")
	for _, how := range []signing{{}, {attributes: true}} {
		der := cms(t, id, body, how)
		for i := range body {
			altered := bytes.Clone(body)
			altered[i] ^= 1
			if s, err := readSignature(base64.StdEncoding.EncodeToString(der)); err != nil || s.covers(altered) == nil {
				t.Fatalf("byte %d of the body was altered, and the signature holds (%v)", i, err)
			}
		}
		for i := range der {
			altered := bytes.Clone(der)
			altered[i] ^= 1
			s, err := readSignature(base64.StdEncoding.EncodeToString(altered))
			if err != nil || s.covers(body) != nil {
				continue
			}
			if who, err := trusting.trust(s.certificates, noon); err == nil && who.Fingerprint != certificateOf(id.cert).Fingerprint {
				t.Fatalf("byte %d of the signature was altered, and it holds for another certificate", i)
			}
		}
	}
}

func TestWhatNoSignatureIs(t *testing.T) {
	deep := bytes.Repeat([]byte{0x30, 0x80}, 5000)
	wide := append([]byte{0x30, 0x82, 0x2e, 0xe0}, bytes.Repeat([]byte{5, 0}, 6000)...)
	for name, ber := range map[string][]byte{
		"nothing": {}, "one byte": {0x30}, "nested deeply": deep, "nested deeply, with an end": append(deep, make([]byte, 10000)...),
		"too many elements": wide, "a length beyond the end": {0x30, 0x84, 0xff, 0xff, 0xff, 0xff}, "a length of eight bytes": {0x30, 0x88, 0, 0, 0, 0, 0, 0, 0, 1, 5},
		"a tag of many bytes": {0x3f, 0x81, 0x00}, "an indefinite primitive": {0x04, 0x80, 0, 0}, "no end": {0x30, 0x80, 5, 0},
		"an inner length beyond the outer": {0x30, 0x02, 0x04, 0x7f}, "something behind": {0x30, 0x00, 0x00}, "an empty sequence": {0x30, 0x00},
		"an octet string of something else": {0x24, 0x80, 5, 0, 0, 0},
	} {
		if _, err := readSignature(base64.StdEncoding.EncodeToString(ber)); err == nil {
			t.Errorf("%s was read as a signature", name)
		}
	}
	for name, text := range map[string]string{
		"no base64": "%%%", "the URL's base64": "MI-_", "too long": strings.Repeat("A", 20<<10), "PEM": "-----BEGIN PKCS7-----",
	} {
		if _, err := readSignature(text); err == nil {
			t.Errorf("%s was read as a signature", name)
		}
	}
}

func TestSignaturesOfAnotherLibrary(t *testing.T) {
	ca := newAuthority(t, "Device CA")
	body := []byte("a body")
	for _, id := range []identity{ca.issue(t, "ec"), ca.issueFor(t, "rsa", noon, noon.Add(time.Hour), rsaKey(t))} {
		for _, digest := range []asn1.ObjectIdentifier{pkcs7.OIDDigestAlgorithmSHA1, pkcs7.OIDDigestAlgorithmSHA256} {
			signed, err := pkcs7.NewSignedData(body)
			if err != nil {
				t.Fatal(err)
			}
			signed.SetDigestAlgorithm(digest)
			if err := signed.AddSigner(id.cert, id.key, pkcs7.SignerInfoConfig{}); err != nil {
				t.Fatal(err)
			}
			signed.Detach()
			der, err := signed.Finish()
			if err != nil {
				t.Fatal(err)
			}
			holds(t, base64.StdEncoding.EncodeToString(der), body)
		}
	}
}

// TestSignaturesOfOpenSSL reads what another program signs. The examples in testdata were made by it too, and
// stand in where it is not installed.
func TestSignaturesOfOpenSSL(t *testing.T) {
	body := read(t, "testdata/signed-body.plist")
	for _, name := range []string{"smime-sha1-noattr", "smime-sha256", "cms-keyid-sha256", "smime-ec-sha256"} {
		t.Run(name, func(t *testing.T) {
			holds(t, strings.TrimSpace(string(read(t, "testdata/"+name+".b64"))), body)
		})
	}
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Log("openssl is not installed: only the kept examples were read")
		return
	}
	dir := t.TempDir()
	id := newAuthority(t, "Device CA").issueFor(t, "U1", noon.Add(-time.Hour), noon.Add(time.Hour), rsaKey(t))
	key, err := x509.MarshalPKCS8PrivateKey(id.key)
	if err != nil {
		t.Fatal(err)
	}
	keep(t, dir, "key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))
	keep(t, dir, "cert.pem", id.pem())
	keep(t, dir, "body", body)
	for _, args := range []string{
		"smime -sign -binary -noattr -md sha1 -outform DER", "smime -sign -binary -md sha256 -outform DER",
		"cms -sign -binary -noattr -md sha1 -outform DER", "cms -sign -binary -keyid -md sha256 -outform DER",
	} {
		cmd := exec.Command(openssl, append(strings.Fields(args), "-signer", "cert.pem", "-inkey", "key.pem", "-in", "body")...)
		cmd.Dir = dir
		der, err := cmd.Output()
		if err != nil {
			t.Fatalf("openssl %s: %v", args, err)
		}
		t.Run(args, func(t *testing.T) {
			holds(t, base64.StdEncoding.EncodeToString(der), body)
			ber := indefinite(der)
			holds(t, base64.StdEncoding.EncodeToString(ber), body)
			if !strings.Contains(args, "noattr") {
				return // openssl wants attributes in DER, as RFC 5652 does; we put up with less
			}
			keep(t, dir, "ber", ber)
			check := exec.Command(openssl, strings.Fields("cms -verify -binary -inform DER -in ber -content body -noverify -out out")...)
			check.Dir = dir
			if out, err := check.CombinedOutput(); err != nil {
				t.Errorf("what we hold for a device's way of writing is none to openssl: %v %s", err, out)
			}
		})
	}
}

func holds(t *testing.T, header string, body []byte) {
	t.Helper()
	s, err := readSignature(header)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.covers(body); err != nil {
		t.Error(err)
	}
	if s.covers(append(bytes.Clone(body), '\n')) == nil {
		t.Error("the signature holds for another body")
	}
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	all, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func keep(t testing.TB, dir, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
		t.Fatal(err)
	}
}
