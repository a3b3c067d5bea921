package graphql

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/domain/evidence"
	"github.com/rollcall-mdm/rollcall/domain/operator"
)

// What a device signed is shown to auditors with the signature and the certificate; that it is there, to everybody.
func TestSignedEvidence(t *testing.T) {
	h := newHouse(t)
	h.enrols("U1", "S1", "iPhone15,2", "17.2")
	m := evidence.Message{
		Shown: []string{evidence.BySignature}, Certificate: []byte("CANARYDER"), Signature: "TUFBQg==", Size: 4 << 20, Body: []byte("<plist>CANARYBODY"),
	}
	h.does("U1", m.Bytes(), func(d device.Device, _ time.Time) ([]domain.Event, error) {
		return d.KeepUnrecognised("", "Telepathy", "unknown", m.Size)
	})
	const q = `{events(last:1){nodes{type evidence{bytes whole signed shown withheld sha256 body signature certificate}}}}`
	for _, role := range operator.Roles() {
		_, out := h.post(role, q, nil)
		h.expect(out, map[string]string{
			"events.nodes.0.type": `"device.message-unrecognised"`, "events.nodes.0.evidence.bytes": "17", "events.nodes.0.evidence.whole": "false",
			"events.nodes.0.evidence.signed": "true", "events.nodes.0.evidence.shown": `["signature"]`, "events.nodes.0.evidence.withheld": "false",
		})
		body, _ := base64.StdEncoding.DecodeString(out.text("events.nodes.0.evidence.body"))
		seen := []bool{
			string(body) == "<plist>CANARYBODY", out.text("events.nodes.0.evidence.signature") == "TUFBQg==",
			strings.HasPrefix(out.text("events.nodes.0.evidence.certificate"), "-----BEGIN CERTIFICATE-----\n"),
		}
		for i, s := range seen {
			if s != role.MayAudit() {
				t.Errorf("%s sees number %d of body, signature and certificate: %v %+v", role, i, s, out.Errors)
			}
		}
	}
}

// The body of a message that holds a secret is shown to nobody: a secret is revealed with a reason, or not at all.
func TestEvidenceThatHoldsASecretIsWithheld(t *testing.T) {
	h := newHouse(t)
	h.enrols("U1", "S1", "iPhone15,2", "17.2")
	m := evidence.Message{Signature: "TUFBQg==", Size: 11, Body: []byte("CANARYTOKEN")}
	h.does("U1", m.Bytes(), func(d device.Device, _ time.Time) ([]domain.Event, error) {
		return d.SetBootstrapToken([]byte("CANARYTOKEN"), nil)
	})
	_, out := h.post(operator.Administrator, `{events(last:1){nodes{type evidence{bytes withheld body}}}}`, nil)
	h.expect(out, map[string]string{
		"events.nodes.0.type": `"device.bootstrap-token-escrowed"`, "events.nodes.0.evidence.bytes": "11",
		"events.nodes.0.evidence.withheld": "true", "events.nodes.0.evidence.body": "null",
	})
}
