package scep_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/smallstep/pkcs7"
	library "github.com/smallstep/scep"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/authority"
	"github.com/rollcall-mdm/rollcall/domain/enrollment"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/handlers"
)

// TestMain lets the library that plays the clients encrypt with AES; what it does if nobody says so has a test of its own.
func TestMain(m *testing.M) {
	pkcs7.ContentEncryptionAlgorithm = pkcs7.EncryptionAlgorithmAES256CBC
	if err := pkcs7.SetDefaultDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA256); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

func TestAClientLearnsWhatWeCanDo(t *testing.T) {
	h := build(t, nil)
	status, kind, body := h.get(url.Values{"operation": {"GetCACaps"}, "message": {"device-ca"}})
	if status != http.StatusOK || !strings.HasPrefix(kind, "text/plain") || string(body) != "AES\nPOSTPKIOperation\nRenewal\nSCEPStandard\nSHA-256\nSHA-512\n" {
		t.Errorf("%d %s: %q", status, kind, body)
	}
	status, kind, body = h.get(url.Values{"operation": {"GetCACert"}})
	if status != http.StatusOK || kind != "application/x-x509-ca-cert" || !bytes.Equal(body, h.root.Certificate.Raw) {
		t.Errorf("one root: %d %s", status, kind)
	}
	first := h.root.Certificate
	h.now.Add(time.Hour.Microseconds())
	h.roll()
	status, kind, body = h.get(url.Values{"operation": {"GetCACert"}})
	if status != http.StatusOK || kind != "application/x-x509-ca-ra-cert" {
		t.Errorf("two roots: %d %s", status, kind)
	}
	both, err := library.CACerts(body)
	if err != nil || len(both) != 2 || !both[0].Equal(h.root.Certificate) || !both[1].Equal(first) {
		t.Errorf("two roots: %v", err)
	}
	for _, wrong := range []string{"", "GetNextCACert", "getcacaps"} {
		if status, _, _ := h.get(url.Values{"operation": {wrong}}); status != http.StatusBadRequest {
			t.Errorf("%q: %d", wrong, status)
		}
	}
	h.door.Legacy = true
	if _, _, body := h.get(url.Values{"operation": {"GetCACaps"}}); !strings.Contains(string(body), "SHA-1\nDES3\n") {
		t.Errorf("old clients are not told that they may come: %q", body)
	}
}

func TestAGoodChallengeBringsACertificate(t *testing.T) {
	h := build(t, nil)
	c := h.client()
	got, refused := c.ask(h.pass(handlers.Pass{Invitation: enrollment.Default}))
	if refused != "" {
		t.Fatalf("refused: %s", refused)
	}
	lint(t, h, c, got)
	if h.issued() != 1 {
		t.Errorf("the log knows %d", h.issued())
	}
}

// lint checks all that a certificate of ours must be.
func lint(t *testing.T, h *house, c *client, got *x509.Certificate) {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(h.root.Certificate)
	if _, err := got.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: h.clock(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		t.Error(err)
	}
	if !c.key.PublicKey.Equal(got.PublicKey) {
		t.Error("it is for another key")
	}
	if got.Subject.CommonName == c.name || !strings.HasPrefix(got.Subject.CommonName, handlers.SessionPrefix) || len(got.Subject.Names) != 1 {
		t.Errorf("its subject is %s", got.Subject)
	}
	if got.IsCA || got.KeyUsage != x509.KeyUsageDigitalSignature|x509.KeyUsageKeyEncipherment || len(got.ExtKeyUsage) != 1 || len(got.UnknownExtKeyUsage) > 0 {
		t.Errorf("it may be used for %v %v, CA: %t", got.KeyUsage, got.ExtKeyUsage, got.IsCA)
	}
	if life := got.NotAfter.Sub(got.NotBefore); life > 366*24*time.Hour || got.NotBefore.After(h.clock()) {
		t.Errorf("it is good from %s to %s", got.NotBefore, got.NotAfter)
	}
	if bits := got.SerialNumber.BitLen(); bits < 100 || bits > 159 {
		t.Errorf("its serial number has %d bits", bits)
	}
	if len(got.DNSNames)+len(got.EmailAddresses)+len(got.URIs)+len(got.IPAddresses) > 0 {
		t.Error("it has names that somebody else chose")
	}
	if want := "http://crl.example.com/crl/" + handlers.Fingerprint(h.root.Certificate); !slices.Contains(got.CRLDistributionPoints, want) {
		t.Errorf("its revocation list is at %v", got.CRLDistributionPoints)
	}
}

func TestTheSameKeyGetsTheSameCertificate(t *testing.T) {
	h := build(t, nil)
	c := h.client()
	challenge := h.pass(handlers.Pass{Invitation: enrollment.Default, Once: true})
	message := c.message(challenge).Raw
	first, refused := c.send(message)
	if refused != "" {
		t.Fatal(refused)
	}
	again, _ := c.send(message) // the answer was lost on the way
	anew, _ := c.ask(challenge) // and the client begins again
	if !first.Equal(again) || !first.Equal(anew) {
		t.Error("it gets another one")
	}
	other, refused := c.ask(h.pass(handlers.Pass{Invitation: enrollment.Default}))
	if refused != "" || first.Equal(other) {
		t.Error("on other grounds it gets no other one")
	}
	if n := h.issued(); n != 2 {
		t.Errorf("the log knows %d", n)
	}
}

func TestWhoIsRefused(t *testing.T) {
	h := build(t, nil)
	used := h.pass(handlers.Pass{Invitation: enrollment.Default, Once: true})
	if _, refused := h.client().ask(used); refused != "" {
		t.Fatal(refused)
	}
	invite(t, h, "withdrawn", enrollment.Terms{Name: "W"})
	withdrawn := h.pass(handlers.Pass{Invitation: "withdrawn"})
	if _, err := (&handlers.Invitations{Invitations: h.authority.Invitations}).Withdraw(t.Context(), ada, "withdrawn", ""); err != nil {
		t.Fatal(err)
	}
	invite(t, h, "single", enrollment.Terms{Name: "S", Uses: 1})
	single := h.pass(handlers.Pass{Invitation: "single"})
	if _, refused := h.client().ask(single); refused != "" {
		t.Fatal(refused)
	}
	good := h.pass(handlers.Pass{Invitation: enrollment.Default})
	expired := h.pass(handlers.Pass{Invitation: enrollment.Default, Lasts: time.Second})
	h.now.Add(time.Second.Microseconds())
	before := h.issued()
	for name, challenge := range map[string]string{
		"none": "", "made up": "open sesame", "replayed with another key": used, "expired": expired,
		"of a withdrawn invitation": withdrawn, "of one that is used up": single,
		"altered": "A" + good[1:], "cut off": good[:len(good)-4], "very long": strings.Repeat("x", 4000),
	} {
		if _, refused := h.client().ask(challenge); refused != library.BadRequest {
			t.Errorf("%s: %q", name, refused)
		}
	}
	if h.issued() != before {
		t.Error("a certificate was issued")
	}
}

func invite(t *testing.T, h *house, id string, terms enrollment.Terms) {
	t.Helper()
	if _, _, err := (&handlers.Invitations{Invitations: h.authority.Invitations}).Invite(t.Context(), ada, id, terms); err != nil {
		t.Fatal(err)
	}
}

func TestWeakKeysAreRefused(t *testing.T) {
	h := build(t, nil)
	t.Setenv("GODEBUG", "rsa1024min=0")
	c := h.client()
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	signer, key := c.signer, c.key
	c.key = small
	challenge := h.pass(handlers.Pass{Invitation: enrollment.Default, Once: true})
	c.signer = selfSigned(t, small, h.clock())
	if _, refused := c.ask(challenge); refused != library.BadAlg {
		t.Errorf("1,024 bits: %q", refused)
	}
	c.signer, c.key = signer, key
	if _, refused := c.ask(challenge); refused != "" {
		t.Errorf("the challenge is used up by it: %s", refused)
	}
	for name, public := range map[string]any{
		"an exponent of 3": &rsa.PublicKey{N: key.N, E: 3}, "an even modulus": &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 2047), E: 65537},
		"16,384 bits": &rsa.PublicKey{N: new(big.Int).SetBit(big.NewInt(1), 16383, 1), E: 65537}, "no key": "x",
	} {
		if r, ok := domain.Refused(handlers.CheckKey(public)); !ok || r.Reason != domain.Invalid {
			t.Errorf("%s is good enough", name)
		}
	}
}

func TestOtherMessagesAreRefusedBeforeAnythingIsDecrypted(t *testing.T) {
	h := build(t, nil)
	c := h.client()
	for _, kind := range []library.MessageType{"3", "18", "20", "21", "22", "99", ""} {
		c.kind = kind
		if _, refused := c.ask(h.pass(handlers.Pass{Invitation: enrollment.Default})); refused != library.BadRequest {
			t.Errorf("type %q: %q", kind, refused)
		}
	}
	c.kind = library.RenewalReq // signed by nobody we know
	if _, refused := c.ask(""); refused != library.BadCertID {
		t.Errorf("a renewal of nobody's: %q", refused)
	}
	if n := h.decrypted.Load(); n != 0 {
		t.Errorf("%d were decrypted", n)
	}
}

func TestRenewal(t *testing.T) {
	h := build(t, nil)
	c := h.client()
	old, refused := c.ask(h.pass(handlers.Pass{Invitation: enrollment.Default, Device: "pseudonym"}))
	if refused != "" {
		t.Fatal(refused)
	}
	renewing := func(with *x509.Certificate, key *rsa.PrivateKey, name string) (*x509.Certificate, library.FailInfo) {
		r := *c
		r.kind, r.signer, r.key, r.name = library.RenewalReq, with, key, name
		return r.ask("")
	}
	next, refused := renewing(old, c.key, "") // with the same key, as scepclient does it
	if refused != "" {
		t.Fatal(refused)
	}
	if again, _ := renewing(old, c.key, old.Subject.CommonName); next.Equal(old) || !again.Equal(next) || next.Subject.CommonName != old.Subject.CommonName {
		t.Error("a renewal that is asked for again is another one, or has another name")
	}
	known, _, err := h.authority.Certificates.Load(t.Context(), handlers.Fingerprint(next))
	if err != nil || known.For != "pseudonym" || known.Road != enrollment.Profile {
		t.Errorf("what is known of it: %+v (%v)", known, err)
	}
	if _, refused := renewing(old, c.key, handlers.SessionPrefix+"of-another"); refused != library.BadCertID {
		t.Errorf("in the name of another device: %q", refused)
	}
	if _, refused := renewing(selfSigned(t, c.key, h.clock()), c.key, ""); refused != library.BadCertID {
		t.Errorf("by a self-signed certificate: %q", refused)
	}
	foreign := build(t, nil)
	foreign.keys = h.keys
	stranger := foreign.client()
	alien, _ := stranger.ask(foreign.pass(handlers.Pass{Invitation: enrollment.Default}))
	if _, refused := renewing(alien, c.key, ""); refused != library.BadMessageCheck {
		t.Errorf("with a key that is not the certificate's: %q", refused)
	}
	if _, refused := renewing(alien, stranger.key, ""); refused != library.BadCertID {
		t.Errorf("by another authority's: %q", refused)
	}
	revoke(t, h, next)
	if _, refused := renewing(next, c.key, ""); refused != library.BadCertID {
		t.Errorf("by a revoked one: %q", refused)
	}
	h.now.Store(old.NotAfter.Add(time.Second).UnixMicro())
	if _, refused := renewing(old, c.key, ""); refused != library.BadCertID {
		t.Errorf("by an expired one: %q", refused)
	}
}

func revoke(t *testing.T, h *house, c *x509.Certificate) {
	t.Helper()
	_, err := h.authority.Revoke(t.Context(), ada, authority.CertificateRevoked{
		Fingerprint: handlers.Fingerprint(c), Serial: c.SerialNumber.Text(16), Issuer: handlers.Fingerprint(h.root.Certificate), NotAfter: c.NotAfter, Because: "key-compromise",
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Whoever stole a key may have stolen the profile with the challenge too.
func TestAKeyWhoseCertificateWasRevokedGetsNoOther(t *testing.T) {
	h := build(t, nil)
	c := h.client()
	challenge := h.pass(handlers.Pass{Invitation: enrollment.Default})
	first, _ := c.ask(challenge)
	revoke(t, h, first)
	for name, challenge := range map[string]string{"with its challenge": challenge, "with a new one": h.pass(handlers.Pass{Invitation: enrollment.Default, Once: true})} {
		if again, refused := c.ask(challenge); refused == "" {
			t.Errorf("%s it got %v", name, again.SerialNumber)
		}
	}
	if _, refused := h.client().ask(challenge); refused != "" {
		t.Errorf("another key is refused: %s", refused)
	}
}

func TestOneChallengeOneCertificateHoweverManyAskAtOnce(t *testing.T) {
	h := build(t, nil)
	challenge := h.pass(handlers.Pass{Invitation: enrollment.Default, Once: true})
	const clients, each = 10, 10 // T34
	messages := make([][]byte, clients)
	for i := range messages {
		messages[i] = h.client().message(challenge).Raw
	}
	var wg sync.WaitGroup
	for i := range clients * each {
		wg.Go(func() { h.post(messages[i%clients]) })
	}
	wg.Wait()
	if n := h.issued(); n != 1 {
		t.Errorf("%d certificates were issued", n)
	}
}

func TestMessagesInTheAddress(t *testing.T) {
	h := build(t, nil)
	c := h.client()
	raw := c.message(h.pass(handlers.Pass{Invitation: enrollment.Default})).Raw
	text := base64.StdEncoding.EncodeToString(raw)
	for name, query := range map[string]string{
		"escaped":                        url.QueryEscape(text),
		"plus signs that nobody escaped": strings.ReplaceAll(text, "/", "%2F"),
		"base64 for addresses":           base64.URLEncoding.EncodeToString(raw),
		"without its end":                url.QueryEscape(strings.TrimRight(text, "=")),
		"with line ends":                 url.QueryEscape(text[:64] + "\r\n" + text[64:]),
	} {
		resp, err := http.Get(h.web.URL + "/scep?operation=PKIOperation&message=" + query)
		status, kind, body := h.got(resp, err)
		if status != http.StatusOK || kind != "application/x-pki-message" {
			t.Fatalf("%s: %d %s %s", name, status, kind, body)
		}
		if _, refused := c.read(body); refused != "" {
			t.Errorf("%s: %s", name, refused)
		}
	}
}

func TestGarbageIsRefusedSoon(t *testing.T) {
	h := build(t, nil)
	whole := h.client().message(h.pass(handlers.Pass{Invitation: enrollment.Default})).Raw
	altered := bytes.Clone(whole)
	altered[len(altered)-40] ^= 1
	for name, message := range map[string][]byte{
		"nothing": nil, "text": []byte("hello"), "nested 5,000 deep": bytes.Repeat([]byte{0x30, 0x80}, 5000), "too long": make([]byte, 65<<10),
		"cut off": whole[:len(whole)/2],
	} {
		if status, _, body := h.post(message); status != http.StatusBadRequest || len(body) > 1000 {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
	if _, refused := h.client().send(altered); refused != library.BadMessageCheck {
		t.Errorf("with an altered signature: %q", refused)
	}
	if n := h.decrypted.Load(); n != 0 {
		t.Errorf("%d were decrypted", n)
	}
}

func TestOldClientsComeInWhenTheyMay(t *testing.T) {
	h := build(t, nil)
	pkcs7.ContentEncryptionAlgorithm = pkcs7.EncryptionAlgorithmDESCBC // as the library does it if nobody says otherwise
	_ = pkcs7.SetDefaultDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA1)
	defer func() {
		pkcs7.ContentEncryptionAlgorithm = pkcs7.EncryptionAlgorithmAES256CBC
		_ = pkcs7.SetDefaultDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA256)
	}()
	c := h.client()
	if _, refused := c.ask(h.pass(handlers.Pass{Invitation: enrollment.Default})); refused != library.BadAlg {
		t.Errorf("by any challenge: %q", refused)
	}
	if _, refused := c.ask(h.pass(handlers.Pass{Invitation: enrollment.Default, Lenient: true})); refused != "" {
		t.Errorf("by a challenge that was made for it: %q", refused)
	}
	h.door.Legacy = true
	if _, refused := c.ask(h.pass(handlers.Pass{Invitation: enrollment.Default})); refused != "" {
		t.Errorf("where old clients may come: %q", refused)
	}
}

// Some clients sign the message with a key that they make for it alone. The request in it is signed with its own.
func TestTheMessageMayBeSignedWithAnotherKey(t *testing.T) {
	h := build(t, nil)
	c := h.client()
	other := h.key()
	message := func() []byte {
		request := c.message(h.pass(handlers.Pass{Invitation: enrollment.Default}))
		m, err := library.NewCSRRequest(request.CSR, &library.PKIMessage{MessageType: library.PKCSReq, Recipients: c.roots, SignerKey: other, SignerCert: selfSigned(t, other, h.clock())})
		if err != nil {
			t.Fatal(err)
		}
		return m.Raw
	}()
	_, _, body := h.post(message)
	answer, err := library.ParsePKIMessage(body)
	if err != nil || answer.PKIStatus != library.SUCCESS {
		t.Fatalf("%v %+v", err, answer)
	}
}

func TestAfterARolloverOldMessagesAreStillOpened(t *testing.T) {
	h := build(t, nil)
	c := h.client()
	message := c.message(h.pass(handlers.Pass{Invitation: enrollment.Default})).Raw // for the old root
	old := h.root
	h.now.Add(time.Hour.Microseconds())
	h.roll()
	c.roots = append(c.roots, h.root.Certificate)
	got, refused := c.send(message)
	if refused != "" || got.CheckSignatureFrom(h.root.Certificate) != nil {
		t.Fatalf("it is not issued by the new root (%q)", refused)
	}
	if _, err := h.authority.Retire(t.Context(), ada, handlers.Fingerprint(old.Certificate), "done"); err != nil {
		t.Fatal(err)
	}
	c.roots = c.roots[:1] // it has not heard of the new one
	message = c.message(h.pass(handlers.Pass{Invitation: enrollment.Default})).Raw
	c.roots = []*x509.Certificate{h.root.Certificate}
	if _, refused := c.send(message); refused != library.BadMessageCheck {
		t.Errorf("a message for a retired root: %q", refused)
	}
}

// Whatever append fails, nobody has a certificate that the log does not know, and the same key gets one when it asks again.
func TestWhereTheLogFails(t *testing.T) {
	var broken *failing
	h := build(t, func(h *house) {
		broken = &failing{Log: h.log}
		h.authority.Issuances.Log, h.authority.Certificates.Log, h.authority.Challenges.Log, h.authority.Invitations.Log = broken, broken, broken, broken
	})
	for n := range 4 {
		c := h.client()
		message := c.message(h.pass(handlers.Pass{Invitation: enrollment.Default, Once: true})).Raw
		before := h.issued()
		broken.fail(n)
		if status, _, _ := h.post(message); status != http.StatusServiceUnavailable || h.issued() != before {
			t.Errorf("append %d: the answer is %d", n, status)
		}
		if got, refused := c.send(message); refused != "" || h.issued() != before+1 {
			t.Errorf("append %d: again: %v %s", n, got, refused)
		}
	}
}

// A failing log fails one append.
type failing struct {
	eventstore.Log
	mu   sync.Mutex
	left int
}

func (f *failing) fail(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left = n + 1
}

var errBroken = errors.New("the disk is on fire")

func (f *failing) count() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left--
	return f.left == 0
}

func TestNothingInAChallengeCanBeAltered(t *testing.T) {
	h := build(t, nil)
	text := h.pass(handlers.Pass{Invitation: "default", Road: enrollment.ADE, Device: strings.Repeat("d", 32), Order: strings.Repeat("o", 36), Once: true})
	if len(text) > 255 {
		t.Errorf("it is %d bytes long", len(text))
	}
	grant, err := h.challenges.Check(t.Context(), text, handlers.Asked{})
	if err != nil || grant.Road != enrollment.ADE || grant.Device != strings.Repeat("d", 32) || grant.Order != strings.Repeat("o", 36) || !grant.Once || grant.Lenient || grant.Invitation != "default" {
		t.Errorf("%+v (%v)", grant, err)
	}
	if strings.Contains(text, grant.By) || len(grant.By) != hex.EncodedLen(16) {
		t.Errorf("the log is told %q", grant.By)
	}
	for i := range len(text) - 1 { // the last character has bits that mean nothing
		altered := text[:i] + string(text[i]^1) + text[i+1:]
		if _, err := h.challenges.Check(t.Context(), altered, handlers.Asked{}); err == nil {
			t.Errorf("character %d may be altered", i)
		}
	}
}

// Append fulfils eventstore.Log.
func (f *failing) Append(ctx context.Context, stream eventstore.Stream, expected int64, events []eventstore.Envelope) error {
	if f.count() {
		return errBroken
	}
	return f.Log.Append(ctx, stream, expected, events)
}
