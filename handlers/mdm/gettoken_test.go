package mdm

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
)

func TestAManagedAppleAccountIsVouchedFor(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	g := build(t, func(h *house) { h.door.Voucher = &Voucher{"5A1C9E4B-6F70-4E21-9D3C-0B1A2C3D4E5F", key} }).enrolled("U1")
	var answer struct{ TokenData []byte }
	inside(t, g.say(200, "/mdm/checkin", map[string]any{"MessageType": "GetToken", "TokenServiceType": "com.apple.maid"}).Body.Bytes(), &answer)
	parts := strings.Split(string(answer.TokenData), ".")
	if len(parts) != 3 {
		t.Fatalf("the token is %s", answer.TokenData)
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	signature, _ := base64.RawURLEncoding.DecodeString(parts[2])
	if err := rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA256, sum[:], signature); err != nil {
		t.Errorf("the signature: %v", err)
	}
	var claims map[string]any
	text, _ := base64.RawURLEncoding.DecodeString(parts[1])
	if err := json.Unmarshal(text, &claims); err != nil {
		t.Fatal(err)
	}
	e, _ := last[device.TokenIssued](g)
	if claims["iss"] != "5A1C9E4B-6F70-4E21-9D3C-0B1A2C3D4E5F" || claims["service_type"] != "com.apple.maid" ||
		claims["iat"] != float64(noon.Unix()) || claims["jti"] != e.TokenID || e.TokenID == "" || len(claims) != 4 {
		t.Errorf("the claims are %v, the event %+v", claims, e)
	}
	if head, _ := base64.RawURLEncoding.DecodeString(parts[0]); string(head) != `{"alg":"RS256","typ":"JWT"}` {
		t.Errorf("the head is %s", head)
	}
}

func TestAWatchIsPaired(t *testing.T) {
	g := build(t, nil).enrolled("P1")
	ask := func(parameters map[string]any) map[string]any {
		return map[string]any{"MessageType": "GetToken", "TokenServiceType": "com.apple.watch.pairing", "TokenParameters": parameters}
	}
	for _, wrong := range []map[string]any{
		{"PhoneUDID": "P2", "WatchUDID": "W1", "SecurityToken": "s"}, {"WatchUDID": "W1", "SecurityToken": "s"},
		{"PhoneUDID": "P1", "SecurityToken": "s"}, {"PhoneUDID": "P1", "WatchUDID": "W1"},
		{"PhoneUDID": 7}, nil,
	} {
		g.say(400, "/mdm/checkin", ask(wrong))
	}
	g.as(map[string]any{"UDID": "P1", "UserID": "G1"}).say(400, "/mdm/checkin", ask(map[string]any{"PhoneUDID": "P1", "WatchUDID": "W1", "SecurityToken": "s"}))
	var answer struct{ TokenData []byte }
	inside(t, g.say(200, "/mdm/checkin", ask(map[string]any{"PhoneUDID": "P1", "WatchUDID": "W1", "SecurityToken": "s"})).Body.Bytes(), &answer)
	phone, _, _ := strings.Cut(string(answer.TokenData), ".")
	if phone != g.stream() {
		t.Errorf("the token %s does not lead to its phone", answer.TokenData)
	}
	if err := g.state().Pairs("W1", hashOf(string(answer.TokenData)), hashOf("s"), g.clock()); err != nil {
		t.Errorf("the watch is not believed: %v", err)
	}
	for _, r := range g.history() {
		if bytes.Contains(r.Data, answer.TokenData) {
			t.Errorf("the token stands in %s", r.Type)
		}
	}
}

func TestADeviceReturnsToService(t *testing.T) {
	g := build(t, func(h *house) {
		h.door.ReturnToService = ReturnToService{Enabled: true, WiFi: []byte("wifi"), Enrolment: []byte("mdm"), PreserveDataPlan: true}
	}).enrolled("U1")
	type how struct {
		ReturnToService struct {
			Enabled                                         bool
			WiFiProfileData, MDMProfileData, BootstrapToken []byte
		}
		PreserveDataPlan bool
	}
	ask := func() (h how) {
		t.Helper()
		inside(t, g.say(200, "/mdm/checkin", map[string]any{"MessageType": "ReturnToService"}).Body.Bytes(), &h)
		return h
	}
	got := ask()
	if r := got.ReturnToService; !r.Enabled || string(r.WiFiProfileData) != "wifi" || string(r.MDMProfileData) != "mdm" || r.BootstrapToken != nil || !got.PreserveDataPlan {
		t.Errorf("it is told %+v", got)
	}
	g.say(200, "/mdm/checkin", map[string]any{"MessageType": "SetBootstrapToken", "BootstrapToken": []byte("boot")})
	if got := ask(); string(got.ReturnToService.BootstrapToken) != "boot" {
		t.Errorf("it is told %+v", got)
	}
	if e, _ := last[device.ReturnedToService](g); !e.AppsPreserved {
		t.Errorf("kept as %+v", e)
	}
	g.as(map[string]any{"UDID": "U1", "UserID": "G1"}).say(400, "/mdm/checkin", map[string]any{"MessageType": "ReturnToService"})
}

// Lessons 20, 21 and 29: one certificate, two machines.
func TestACertificateThatSpeaksAsTwoDevicesIsSuspected(t *testing.T) {
	h := build(t, nil)
	g := h.enrolled("U1")
	twin := &guest{h, g.id, map[string]any{"UDID": "U2"}}
	twin.say(400, "/mdm/checkin", map[string]any{"MessageType": "Authenticate", "Topic": topic, "SerialNumber": "C02OTHER"})
	twin.say(400, "/mdm/checkin", map[string]any{"MessageType": "Authenticate", "Topic": topic, "SerialNumber": "C02OTHER"})
	suspected := 0
	for _, r := range g.history() {
		if e, is := r.event.(device.IdentityCloneSuspected); is {
			suspected++
			if e.Claimed.SerialNumber != "C02OTHER" || e.Claimed.UDID != "U2" || e.Known.SerialNumber != "C02CANARY" || len(g.evidence(r)) == 0 {
				t.Errorf("the suspicion is %+v", e)
			}
		}
	}
	if suspected != 1 {
		t.Errorf("it was told %d times, want once", suspected)
	}
	g.say(200, "/mdm/checkin", map[string]any{
		"MessageType": "Authenticate", "Topic": topic, "SerialNumber": "C02THIRD", "OSVersion": "18.1", "ProductName": "iPhone12,1",
	})
	if got := types(g.history()); !strings.HasSuffix(got, "identity-clone-suspected authenticated") {
		t.Errorf("the history is %s", got)
	}
}

func TestARenewalOfTheProfileThroughTheDoor(t *testing.T) {
	h := build(t, nil)
	g := h.enrolled("U1")
	body := xml(t, map[string]any{"CommandUUID": "P", "Command": map[string]any{"RequestType": "InstallProfile"}})
	g.change(func(d device.Device, at time.Time) ([]domain.Event, error) {
		return d.Order("", device.Order{UUID: "P", RequestType: "InstallProfile", Body: body, Renews: true}, false, at)
	})
	g.order("", "DeviceInformation", "C1")
	if next := g.report("Idle", "", nil); next != "P" {
		t.Fatalf("handed out %q, want P", next)
	}
	h.wait(2 * time.Hour) // a slow network: only the URL can tell
	renewed := &guest{h, h.ca.issue(t, "U1 renewed"), g.keys}
	renewed.say(200, "/mdm/checkin?renewal=P&rights=8191", map[string]any{
		"MessageType": "Authenticate", "Topic": topic, "SerialNumber": "C02CANARY", "OSVersion": "18.1", "ProductName": "iPhone12,1",
	})
	auth, _ := last[device.Authenticated](g)
	if !auth.Renewal || auth.AccessRights != 8191 || auth.Generation != 1 {
		t.Errorf("the renewal is kept as %+v", auth)
	}
	renewed.token(nil)
	if next := renewed.report("Acknowledged", "P", nil); next != "C1" {
		t.Errorf("after the renewal %q was handed out, want C1", next)
	}
	g.say(400, "/mdm/connect", map[string]any{"Status": "Idle"})
	for _, wrong := range []string{"-1", "8192", "all", "1e3"} {
		renewed.say(200, "/mdm/checkin?rights="+wrong, map[string]any{"MessageType": "Authenticate", "Topic": topic, "OSVersion": wrong})
		if auth, _ := last[device.Authenticated](g); auth.AccessRights != 0 {
			t.Errorf("rights=%s are taken for %d", wrong, auth.AccessRights)
		}
	}
}
