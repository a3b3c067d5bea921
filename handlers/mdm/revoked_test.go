package mdm

import (
	"crypto/x509"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rollcall-mdm/rollcall/domain/device"
)

// revoking is a door's word on what is revoked: one certificate at most.
func revoking(door *Door) *atomic.Value {
	var one atomic.Value
	one.Store("")
	door.Revoked = func(fingerprint string) bool { return fingerprint == one.Load() }
	return &one
}

func TestARevokedCertificateSpeaksForNobody(t *testing.T) {
	var revoked *atomic.Value
	h := build(t, func(h *house) { revoked = revoking(h.door) })
	g := h.enrolled("U1")
	g.order("", "DeviceLock", "C1")
	revoked.Store(certificateOf(g.id.cert).Fingerprint)
	for path, keys := range map[string]map[string]any{
		"/mdm/connect": {"Status": "Idle"},
		"/mdm/checkin": {"MessageType": "Authenticate", "Topic": topic},
		"/mdm":         {"MessageType": "CheckOut", "Topic": topic},
	} {
		before := len(g.history())
		if w := g.say(400, path, keys); !strings.Contains(w.Body.String(), "revoked-certificate") {
			t.Errorf("%s: it is told %s", path, w.Body)
		}
		refused, _ := last[device.IdentityRefused](g)
		if refused.Certificate != certificateOf(g.id.cert).Fingerprint || !strings.Contains(refused.Reason, "revoked") || len(g.history()) != before+1 {
			t.Errorf("%s: kept as %+v", path, refused)
		}
	}
	h.door.Declarations = onePassword{g.stream()}
	if w := h.get("GET", "/mdm/data/right", byProxy(g.id)); w.Code != 400 || !strings.Contains(w.Body.String(), "revoked-certificate") {
		t.Errorf("what a declaration refers to is answered with %d %s", w.Code, w.Body)
	}
	h.enrolled("U2").report("Idle", "", nil) // others speak on
	revoked.Store("")
	if next := g.report("Idle", "", nil); next != "C1" {
		t.Errorf("it was handed %q", next)
	}
}

// Whom to believe may change while devices speak, also for certificates that were verified before.
func TestRootsMayChangeWhileTheDoorIsOpen(t *testing.T) {
	h := build(t, nil)
	g := h.enrolled("U1")
	next := newAuthority(t, "Next CA")
	both := h.ca.pool()
	both.AddCert(next.cert)
	h.door.Identity.Believe(both)
	g.report("Idle", "", nil)
	young := &guest{h, next.issue(t, "U2"), map[string]any{"UDID": "U2"}}
	young.authenticate()
	young.token(nil)
	h.door.Identity.Believe(next.pool())
	young.report("Idle", "", nil)
	g.say(400, "/mdm/connect", map[string]any{"Status": "Idle"})
}

// What roots of our own have issued is believed about a device only if it is for clients of TLS: the certificate that signs
// profiles comes from there too. Of other authorities all is believed, whatever they say it is for.
func TestACertificateForSomethingElseIsNoDevices(t *testing.T) {
	h := build(t, nil)
	mail := []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}
	signer := h.ca.issueTo(t, "signer", mail)
	g := &guest{h, signer, map[string]any{"UDID": "U1"}}
	h.door.Identity.Believe(h.ca.pool(), h.ca.cert)
	if w := g.say(400, "/mdm/checkin", map[string]any{"MessageType": "Authenticate", "Topic": topic}); !strings.Contains(w.Body.String(), "bad-certificate") {
		t.Errorf("it is told %s", w.Body)
	}
	h.enrolled("U2").report("Idle", "", nil)
	for name, uses := range map[string][]x509.ExtKeyUsage{"U3": nil, "U4": {x509.ExtKeyUsageAny}, "U5": {x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}} {
		(&guest{h, h.ca.issueTo(t, name, uses), map[string]any{"UDID": name}}).authenticate()
	}
	h.door.Identity.Believe(h.ca.pool())
	g.authenticate()
}
