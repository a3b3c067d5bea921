package mdm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"reflect"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/certificate"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

// marks are transparent ones.
type marks struct{}

func (marks) SerialMark(serial string) string { return "serial " + serial }
func (marks) UDIDMark(udid string) string     { return "udid " + udid }

// fingerprint is that of the guest's certificate.
func (g *guest) fingerprint() string {
	sum := sha256.Sum256(g.id.cert.Raw)
	return hex.EncodeToString(sum[:])
}

// attests has the guest's certificate be one whose key was attested in a device.
func (g *guest) attests(a domain.Attestation) {
	g.t.Helper()
	_, err := g.door.Certificates.Update(context.Background(), g.fingerprint(), eventstore.Meta{}, func(c certificate.Certificate, _ time.Time) ([]domain.Event, error) {
		return c.Issue(certificate.Issued{Session: "s", Attested: &a})
	})
	if err != nil {
		g.t.Fatal(err)
	}
}

// A key that was attested in a device speaks for that device, and for no other. What was attested stands in its stream.
func TestADeviceSpeaksWithTheKeyThatWasAttestedInIt(t *testing.T) {
	h := build(t, func(h *house) { h.door.Marks = marks{} })
	told := domain.Attestation{Root: "r", SerialMark: "serial C02CANARY", UDIDMark: "udid other", OSVersion: "18.1"}
	g := h.guest("U1")
	g.attests(told)
	g.authenticate()
	g.authenticate() // once more: the answer was lost
	var got []device.IdentityAttested
	for _, r := range g.history() {
		if e, is := r.event.(device.IdentityAttested); is {
			got = append(got, e)
		}
	}
	if want := (device.IdentityAttested{Certificate: g.fingerprint(), Attested: told, SerialNumber: "C02CANARY"}); len(got) != 1 || !reflect.DeepEqual(got[0], want) {
		t.Errorf("the device's stream has %+v, want %+v", got, want)
	}
	thief := h.guest("U2")
	thief.attests(domain.Attestation{Root: "r", SerialMark: "serial of another"})
	thief.say(400, "/mdm/checkin", map[string]any{"MessageType": "Authenticate", "Topic": topic, "SerialNumber": "C02CANARY"})
	if got := thief.history(); len(got) != 0 {
		t.Errorf("a device came in with a key that was attested in another: %v", got)
	}
}
