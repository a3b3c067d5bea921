package acme_test

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/certificate"
	"github.com/rollcall-mdm/rollcall/domain/challenge"
	"github.com/rollcall-mdm/rollcall/domain/enrollment"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/handlers"
	"github.com/rollcall-mdm/rollcall/handlers/mdm/mdmtest"
)

func TestAnAttestedKeyGetsACertificate(t *testing.T) {
	h := build(t, nil)
	d := h.device(1, mdmtest.IOS)
	got, err := d.comes(h.pass(handlers.Pass{Once: true, Road: enrollment.Profile, Invitation: enrollment.Default}))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(h.root.Certificate)
	if _, err := got.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: h.clock(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		t.Error(err)
	}
	if got.Subject.CommonName == "device" || got.IsCA || got.KeyUsage != x509.KeyUsageDigitalSignature {
		t.Errorf("the request has had wishes fulfilled: %s %v", got.Subject, got.KeyUsage)
	}
	told := domain.Attestation{
		Root: handlers.Fingerprint(h.apple.Root.Certificate), SerialMark: stamp("attestation", "serial", d.SerialNumber), UDIDMark: stamp("attestation", "udid", d.UDID),
		OSVersion: d.OSVersion, SepOSVersion: "2341.41.1", LLBVersion: "11881.61.3", SoftwareUpdateID: d.Model,
	}
	issued, answered := events[certificate.Issued](h), events[challenge.Answered](h)
	if len(issued) != 1 || issued[0].Attested == nil || *issued[0].Attested != told || issued[0].Requester == "" || issued[0].Road != enrollment.Profile {
		t.Errorf("the log has issued %+v, want attested %+v", issued, told)
	}
	if len(answered) != 1 || !reflect.DeepEqual(answered[0].Attested, &told) || answered[0].PublicKey != issued[0].PublicKey {
		t.Errorf("the log has answered %+v", answered)
	}
}

// What a Mac says of itself, in whatever way it writes that.
func TestWhatAMacAttests(t *testing.T) {
	h := build(t, nil)
	if _, err := h.device(2, mdmtest.MacOS).comes(h.pass(handlers.Pass{})); err != nil {
		t.Fatal(err)
	}
	a := events[certificate.Issued](h)[0].Attested
	if a.SIP != "0" || a.SecureBoot != "2" || a.ThirdPartyKexts != "0" {
		t.Errorf("it says %+v", *a)
	}
}

// Where no attestation is wanted, a key that nobody vouches for gets a certificate too, and the log says so.
func TestNothingAttested(t *testing.T) {
	h := build(t, nil)
	d := h.device(1, mdmtest.IOS)
	d.silent = true
	if _, err := d.comes(h.pass(handlers.Pass{})); err != nil {
		t.Fatal(err)
	}
	if issued := events[certificate.Issued](h); len(issued) != 1 || issued[0].Attested != nil {
		t.Errorf("the log has %+v", issued)
	}
}

// Without a root nobody can tell whether an attestation is Apple's: what it says is kept as hearsay.
func TestHearsay(t *testing.T) {
	h := build(t, func(h *house) { h.door.Attestations.Roots = nil })
	if _, err := h.device(1, mdmtest.IOS).comes(h.pass(handlers.Pass{})); err != nil {
		t.Fatal(err)
	}
	if issued := events[certificate.Issued](h); len(issued) != 1 || issued[0].Attested == nil || issued[0].Attested.Vouched() || issued[0].Attested.OSVersion == "" {
		t.Errorf("the log has %+v", issued)
	}
}

func TestWhatIsRefused(t *testing.T) {
	h := build(t, nil)
	used := h.pass(handlers.Pass{Once: true})
	if _, err := h.device(1, mdmtest.IOS).comes(used); err != nil {
		t.Fatal(err)
	}
	expired := h.pass(handlers.Pass{Lasts: time.Second})
	h.now.Add(2 * time.Second.Microseconds())
	stranger, err := mdmtest.NewHardware()
	if err != nil {
		t.Fatal(err)
	}
	mine := mdmtest.New(1, mdmtest.IOS)
	h.door.Serial = nil
	before := len(events[certificate.Issued](h))
	for name, tt := range map[string]struct {
		identifier string
		change     func(*device)
		problem    string
	}{
		"wrong freshness":         {h.pass(handlers.Pass{}), func(d *device) { d.fresh = make([]byte, 32) }, "badAttestationStatement"},
		"no freshness":            {h.pass(handlers.Pass{}), func(d *device) { d.fresh = []byte{} }, "badAttestationStatement"},
		"another key is attested": {h.pass(handlers.Pass{}), func(d *device) { d.attested = newKey(t).Public() }, "badCSR"},
		"a foreign chain":         {h.pass(handlers.Pass{}), func(d *device) { d.apple = stranger }, "badAttestationStatement"},
		"a used identifier":       {used, func(*device) {}, "unauthorized"},
		"an expired identifier":   {expired, func(*device) {}, "rejectedIdentifier"},
		"one that is made up":     {"open sesame", func(*device) {}, "rejectedIdentifier"},
		"none":                    {"", func(*device) {}, "rejectedIdentifier"},
		"another device": {h.pass(handlers.Pass{Device: "d-" + mine.UDID, Road: enrollment.ADE, Invitation: enrollment.Default}), func(d *device) {
			d.Device = mdmtest.New(99, mdmtest.IOS)
		}, "unauthorized"},
	} {
		t.Run(name, func(t *testing.T) {
			d := h.device(7, mdmtest.IOS)
			tt.change(d)
			_, err := d.comes(tt.identifier)
			want(t, err, tt.problem)
		})
	}
	if after := len(events[certificate.Issued](h)); after != before {
		t.Errorf("%d certificates were issued", after-before)
	}
}

// An identifier that was made for a device is good for that device, by what it attests: a Mac by its serial number, for its
// ProvisioningUDID is not what it tells otherwise.
func TestAnIdentifierForADevice(t *testing.T) {
	h := build(t, nil)
	known := ""
	h.door.Serial = func(_ context.Context, _ string) (string, error) { return known, nil }
	for _, platform := range []mdmtest.Platform{mdmtest.IOS, mdmtest.MacOS} {
		d := h.device(3, platform)
		pass := func() string {
			return h.pass(handlers.Pass{Device: "d-" + d.UDID, Order: "O1", Road: enrollment.Profile, Invitation: "", Once: true})
		}
		known = d.SerialNumber
		got, err := d.comes(pass())
		if err != nil {
			t.Fatalf("%s: %v", platform, err)
		}
		if c, err := h.authority.Requested(t.Context(), got); err != nil || c.For != "d-"+d.UDID {
			t.Errorf("%s: it is for %q, %v", platform, c.For, err)
		}
		known = "another"
		_, err = d.comes(pass())
		want(t, err, "unauthorized")
	}
}

func TestAttestationOnDemand(t *testing.T) {
	h := build(t, func(h *house) { h.authority.Attest = true })
	d := h.device(1, mdmtest.IOS)
	d.silent = true
	_, err := d.comes(h.pass(handlers.Pass{}))
	want(t, err, "badAttestationStatement")
	d.silent = false
	if _, err := d.comes(h.pass(handlers.Pass{})); err != nil {
		t.Error(err)
	}
	_, err = h.authority.Issue(t.Context(), newKey(t).Public(), handlers.Grant{By: "by SCEP", Road: enrollment.Profile}, eventstore.Meta{})
	if r, refused := domain.Refused(err); !refused || r.Reason != domain.Forbidden {
		t.Errorf("by another door: %v", err)
	}
}

// Whoever has lost an answer asks again, and gets the same: the same order at another server, or after a restart; the same
// identifier with the same key in another order.
func TestTheSameKeyGetsTheSameCertificate(t *testing.T) {
	h := build(t, nil)
	ctx := t.Context()
	d := h.device(1, mdmtest.IOS)
	identifier := h.pass(handlers.Pass{Once: true})
	o, err := d.client.Order(ctx, identifier)
	if err != nil {
		t.Fatal(err)
	}
	object := d.object(o)
	for range 2 {
		if err := d.client.Answer(ctx, o, object); err != nil {
			t.Fatal(err)
		}
		h.furnish(nil)
	}
	first, err := d.client.Certify(ctx, o, d.key)
	if err != nil {
		t.Fatal(err)
	}
	h.furnish(nil)
	again, err := d.client.Certify(ctx, o, d.key)
	if err != nil || !first[0].Equal(again[0]) {
		t.Errorf("the same order gets another certificate, or %v", err)
	}
	anew, err := d.comes(identifier)
	if err != nil || !first[0].Equal(anew) {
		t.Errorf("another order gets another certificate, or %v", err)
	}
	var stands mdmtest.ACMEOrder
	if _, err := d.client.Post(ctx, o.Address, nil, &stands); err != nil || stands.Status != "valid" {
		t.Errorf("the order stands at %q, %v", stands.Status, err)
	}
	if chain, err := d.client.Fetch(ctx, stands.Certificate); err != nil || len(chain) != 2 || !chain[0].Equal(first[0]) || !chain[1].Equal(h.root.Certificate) {
		t.Errorf("its certificate is %v, %v", chain, err)
	}
	if n := len(events[certificate.Issued](h)); n != 1 {
		t.Errorf("%d certificates were issued", n)
	}
}

// A program elsewhere that knows which identifiers are good is asked for the order, when no key is known, and for the certificate.
func TestIdentifiersThatAreKnownElsewhere(t *testing.T) {
	h := build(t, nil)
	var mu sync.Mutex
	var asked []string
	program := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q struct{ Challenge, PublicKey string }
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
			t.Error(err)
		}
		mu.Lock()
		asked = append(asked, q.PublicKey)
		mu.Unlock()
		_ = json.NewEncoder(w).Encode(map[string]bool{"allow": q.Challenge == "theirs", "once": true})
	}))
	defer program.Close()
	h.challenges.Webhook = &handlers.Webhook{URL: program.URL}
	got, err := h.device(1, mdmtest.IOS).comes("theirs")
	if err != nil {
		t.Fatal(err)
	}
	key, err := handlers.PublicKeyID(got.PublicKey)
	mu.Lock()
	defer mu.Unlock()
	if err != nil || len(asked) != 2 || asked[0] != "" || asked[1] != key {
		t.Errorf("it was asked about %q, want none and %s (%v)", asked, key, err)
	}
}

// One that is good once is good for one key, whoever knows it.
func TestIdentifiersThatAreKnownElsewhereAreGoodOnce(t *testing.T) {
	h := build(t, nil)
	program := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q struct{ Challenge string }
		_ = json.NewDecoder(r.Body).Decode(&q)
		_ = json.NewEncoder(w).Encode(map[string]bool{"allow": q.Challenge == "theirs", "once": true})
	}))
	defer program.Close()
	h.challenges.Webhook = &handlers.Webhook{URL: program.URL}
	if _, err := h.device(1, mdmtest.IOS).comes("theirs"); err != nil {
		t.Fatal(err)
	}
	_, err := h.device(2, mdmtest.IOS).comes("theirs")
	want(t, err, "unauthorized")
	_, err = h.device(3, mdmtest.IOS).comes("nobody's")
	want(t, err, "rejectedIdentifier")
}

// openssl believes the chain.
func TestOpenSSLVerifiesTheChain(t *testing.T) {
	program, err := exec.LookPath("openssl")
	if err != nil {
		t.Fatalf("openssl is needed for this test: %v", err)
	}
	h := build(t, nil)
	d := h.device(1, mdmtest.IOS)
	got, err := d.comes(h.pass(handlers.Pass{}))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, c := range map[string]*x509.Certificate{"root.pem": h.root.Certificate, "leaf.pem": got} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.CommandContext(t.Context(), program, "verify", "-purpose", "sslclient", "-CAfile", filepath.Join(dir, "root.pem"), filepath.Join(dir, "leaf.pem")).CombinedOutput()
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
