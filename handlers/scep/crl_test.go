package scep_test

import (
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain/enrollment"
	"github.com/rollcall-mdm/rollcall/handlers"
)

// list fetches a revocation list and checks what everybody may expect of it.
func (h *house) list(path string, issuer *x509.Certificate) *x509.RevocationList {
	h.t.Helper()
	resp, err := http.Get(h.web.URL + path)
	status, kind, body := h.got(resp, err)
	if status != http.StatusOK || kind != "application/pkix-crl" {
		h.t.Fatalf("%s: %d %s %s", path, status, kind, body)
	}
	list, err := x509.ParseRevocationList(body)
	if err != nil {
		h.t.Fatal(err)
	}
	if err := list.CheckSignatureFrom(issuer); err != nil {
		h.t.Error(err)
	}
	if list.ThisUpdate.After(h.clock()) || !list.NextUpdate.After(h.clock().Add(24*time.Hour)) {
		h.t.Errorf("it holds from %s to %s", list.ThisUpdate, list.NextUpdate)
	}
	return list
}

func TestTheRevocationList(t *testing.T) {
	h := build(t, nil)
	got, _ := h.client().ask(h.pass(handlers.Pass{Invitation: enrollment.Default}))
	empty := h.list("/crl", h.root.Certificate)
	if len(empty.RevokedCertificateEntries) != 0 {
		t.Error("somebody is revoked")
	}
	revoke(t, h, got)
	full := h.list("/crl", h.root.Certificate)
	if n := full.RevokedCertificateEntries; len(n) != 1 || n[0].SerialNumber.Cmp(got.SerialNumber) != 0 || n[0].ReasonCode != 1 || !n[0].RevocationTime.Equal(h.clock()) {
		t.Errorf("it lists %+v", n)
	}
	if full.Number.Cmp(empty.Number) <= 0 {
		t.Errorf("number %s follows %s", full.Number, empty.Number)
	}
	if named := h.list("/crl/"+handlers.Fingerprint(h.root.Certificate), h.root.Certificate); named.Number.Cmp(full.Number) != 0 {
		t.Error("it is made anew for everybody")
	}
	byOpenSSL(t, h, got)
	old := h.root.Certificate
	h.now.Add((2 * time.Hour).Microseconds())
	if later := h.list("/crl", old); later.Number.Cmp(full.Number) <= 0 || len(later.RevokedCertificateEntries) != 1 {
		t.Error("it is not made anew in time")
	}
	h.roll()
	if next := h.list("/crl", h.root.Certificate); len(next.RevokedCertificateEntries) != 0 {
		t.Error("another root's list has it too")
	}
	if still := h.list("/crl/"+handlers.Fingerprint(old), old); len(still.RevokedCertificateEntries) != 1 {
		t.Error("the old root's list has forgotten it")
	}
	h.now.Store(got.NotAfter.Add(time.Hour).UnixMicro())
	if after := h.list("/crl/"+handlers.Fingerprint(old), old); len(after.RevokedCertificateEntries) != 0 {
		t.Error("what has expired is listed on")
	}
	resp, err := http.Get(h.web.URL + "/crl/ffff")
	if status, _, _ := h.got(resp, err); status != http.StatusNotFound {
		t.Errorf("the list of no root: %d", status)
	}
}

// byOpenSSL has openssl check a revoked certificate against the list.
func byOpenSSL(t *testing.T, h *house, revoked *x509.Certificate) {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Fatal("openssl is needed to check the revocation list")
	}
	dir := t.TempDir()
	resp, err := http.Get(h.web.URL + "/crl")
	_, _, crl := h.got(resp, err)
	for name, block := range map[string]*pem.Block{
		"root": {Type: "CERTIFICATE", Bytes: h.root.Certificate.Raw}, "leaf": {Type: "CERTIFICATE", Bytes: revoked.Raw}, "crl": {Type: "X509 CRL", Bytes: crl},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	verify := func(more ...string) error {
		args := append([]string{"verify", "-attime", strconv.FormatInt(h.clock().Unix(), 10), "-purpose", "sslclient", "-CAfile", filepath.Join(dir, "root")}, more...)
		out, err := exec.Command("openssl", append(args, filepath.Join(dir, "leaf"))...).CombinedOutput()
		t.Logf("openssl: %s", out)
		return err
	}
	if err := verify(); err != nil {
		t.Error("openssl does not believe the certificate")
	}
	if err := verify("-crl_check", "-CRLfile", filepath.Join(dir, "crl")); err == nil {
		t.Error("openssl believes a revoked certificate")
	}
}
