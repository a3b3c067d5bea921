package mdm

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain/certificate"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/domain/stranger"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

func TestAForeignCertificateIsRefusedAndKept(t *testing.T) {
	for _, test := range []struct {
		name, path string
		keys       map[string]any
		kind       string
	}{
		{"at Authenticate", "/mdm/checkin", map[string]any{"MessageType": "Authenticate", "Topic": topic}, "Authenticate"},
		{"at TokenUpdate", "/mdm/checkin", map[string]any{"MessageType": "TokenUpdate", "Topic": topic, "Token": []byte("stolen"), "PushMagic": "m"}, "TokenUpdate"},
		{"at CheckOut", "/mdm/checkin", map[string]any{"MessageType": "CheckOut", "Topic": topic}, "CheckOut"},
		{"at GetBootstrapToken", "/mdm/checkin", map[string]any{"MessageType": "GetBootstrapToken"}, "GetBootstrapToken"},
		{"at GetToken", "/mdm/checkin", map[string]any{"MessageType": "GetToken"}, "GetToken"},
		{"when it connects", "/mdm/connect", map[string]any{"Status": "Idle"}, "Idle"},
		{"when it answers", "/mdm/connect", map[string]any{"Status": "Acknowledged", "CommandUUID": "C1"}, "Acknowledged"},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := build(t, nil)
			victim, thief := h.enrolled("VICTIM"), h.enrolled("THIEF")
			victim.order("", "DeviceLock", "C1")
			before := len(victim.history())
			thief.as(victim.keys).say(400, test.path, test.keys)
			refused, r := last[device.IdentityRefused](victim)
			if refused.Certificate != certificateOf(thief.id.cert).Fingerprint || refused.MessageType != test.kind {
				t.Errorf("kept as %+v", refused)
			}
			if r.Actor.ID != thief.stream() {
				t.Errorf("it was done by %q, not by the thief %q", r.Actor.ID, thief.stream())
			}
			if !bytes.Contains(victim.evidence(r), []byte("VICTIM")) {
				t.Error("the message is not kept with it")
			}
			if n := len(victim.history()); n != before+1 {
				t.Errorf("the attempt left %d events", n-before)
			}
			if next := victim.report("Idle", "", nil); next != "C1" {
				t.Errorf("then the device itself was handed %q", next)
			}
		})
	}
}

func TestANewCertificateIsClaimedAtAuthenticateOnly(t *testing.T) {
	h := build(t, nil)
	old := h.enrolled("U1")
	renewed := &guest{h, h.ca.issue(t, "U1 renewed"), old.keys}
	renewed.say(400, "/mdm/connect", map[string]any{"Status": "Idle"})
	renewed.authenticate()
	renewed.token(nil)
	renewed.report("Idle", "", nil)
	old.say(400, "/mdm/connect", map[string]any{"Status": "Idle"})
	if got := renewed.state().Certificate; got != certificateOf(renewed.id.cert).Fingerprint {
		t.Errorf("bound to %s", got)
	}
	for _, g := range []*guest{old, renewed} {
		bound := h.history(eventstore.Stream{Kind: certificate.Kind, ID: certificateOf(g.id.cert).Fingerprint})
		if len(bound) != 1 || bound[0].event.(certificate.Bound).Device != g.stream() {
			t.Errorf("the certificate's history is %v", bound)
		}
	}
}

func TestAMessageWithoutADeviceOrWithAStrangeOneStopsNothing(t *testing.T) {
	h := build(t, nil)
	g := h.enrolled("U1")
	g.order("", "ProfileList", "C1")
	for _, keys := range []map[string]any{{}, {"UDID": ""}, {"UDID": "NOBODY"}, {"UDID": 7}, {"UDID": strings.Repeat("x", 10_000)}, {"UserID": "G1"}} {
		g.as(keys).say(400, "/mdm/connect", map[string]any{"Status": "Idle"})
		if _, r := last[device.MessageUnrecognised](g); len(g.evidence(r)) == 0 {
			t.Errorf("%v is not kept with the device that the certificate is bound to", keys)
		}
	}
	if next := g.report("Idle", "", nil); next != "C1" {
		t.Errorf("then the device was handed %q", next)
	}
}

func TestStrangersAreCountedAndSampledWithinABound(t *testing.T) {
	h := build(t, nil)
	long := bytes.Repeat([]byte("x"), 100_000)
	reader := &counting{Reader: bytes.NewReader(long)}
	w := h.put("/mdm", nil, func(r *http.Request) { r.Body, r.ContentLength = reader, int64(len(long)) })
	if w.Code != 400 {
		t.Errorf("answered %d", w.Code)
	}
	if n := reader.read.Load(); n > 64<<10 {
		t.Errorf("%d bytes of a stranger were read", n)
	}
	for range 999 {
		h.put("/mdm", long)
	}
	samples := h.strangers()
	if len(samples) != 10 {
		t.Fatalf("%d samples are kept, want 10", len(samples))
	}
	first := samples[0].event.(stranger.MessageRefused)
	if n := len(h.evidence(samples[0])); n == 0 || n > 8<<10 || first.Size != len(long) || first.Path != "/mdm" || first.Address != "127.0.0.1" {
		t.Errorf("kept as %+v with %d bytes", first, n)
	}
	if strings.Contains(string(samples[0].Data), "127.0.0.1") {
		t.Error("the address stands in the open part")
	}
	h.wait(time.Hour)
	h.put("/mdm", long)
	samples = h.strangers()
	if e := samples[len(samples)-1].event.(stranger.MessageRefused); len(samples) != 11 || e.Unkept != 990 {
		t.Errorf("after an hour %d samples, the last %+v", len(samples), e)
	}
	if n := h.refusals()["no-identity"]; n != 1001 {
		t.Errorf("%d were counted, want 1001", n)
	}
	if n := strings.Count(h.out.String(), "\n"); n > 20 {
		t.Errorf("they filled the program's log with %d lines", n)
	}
}

func TestWhatADeviceSendsAmissIsKeptWithinABound(t *testing.T) {
	h := build(t, nil)
	victim, thief := h.enrolled("U1"), h.enrolled("U2")
	for range 200 {
		thief.say(400, "/mdm/checkin", map[string]any{"MessageType": "Dance"})
		thief.as(victim.keys).say(400, "/mdm/connect", map[string]any{"Status": "Idle"})
	}
	count := func(g *guest, name string) (n int) {
		for _, r := range g.history() {
			if r.Type == name {
				n++
			}
		}
		return n
	}
	if n := count(thief, "device.message-unrecognised"); n != 60 {
		t.Errorf("%d messages are kept, want 60", n)
	}
	if n := count(victim, "device.identity-refused"); n != 60 {
		t.Errorf("%d attempts are kept, want 60", n)
	}
	h.wait(time.Hour)
	thief.say(400, "/mdm/checkin", map[string]any{"MessageType": "Dance"})
	if n := count(thief, "device.message-unrecognised"); n != 61 {
		t.Errorf("after an hour %d messages are kept, want 61", n)
	}
}

// An unwilling log appends nothing while it is down.
type unwilling struct {
	eventstore.Log
	down atomic.Bool
}

var errDown = errors.New("the disk is gone: canary")

func (l *unwilling) Append(ctx context.Context, s eventstore.Stream, expected int64, events []eventstore.Envelope) error {
	if l.down.Load() {
		return errDown
	}
	return l.Log.Append(ctx, s, expected, events)
}

func TestNothingIsAnsweredBeforeItIsKept(t *testing.T) {
	log := new(unwilling)
	h := build(t, func(h *house) { log.Log = h.log; h.log = log })
	g := h.enrolled("U1")
	g.order("", "ProfileList", "C1")
	g.report("Idle", "", nil)
	log.down.Store(true)
	for _, keys := range []map[string]any{
		{"Status": "Acknowledged", "CommandUUID": "C1"},
		{"MessageType": "TokenUpdate", "Topic": topic, "Token": []byte("new"), "PushMagic": "m"},
		{"MessageType": "Authenticate", "Topic": "other"},
	} {
		w := g.say(503, "/mdm", keys)
		if w.Header().Get("Retry-After") == "" {
			t.Error("the device is not told when to come back")
		}
		if strings.Contains(w.Body.String(), "canary") {
			t.Errorf("the answer tells of the server's trouble: %s", w.Body)
		}
	}
	log.down.Store(false)
	if next := g.report("Acknowledged", "C1", nil); next != "" {
		t.Errorf("then %q was handed out", next)
	}
	if _, r := last[device.CommandAcknowledged](g); r.Version != 5 {
		t.Errorf("the answer stands at %d", r.Version)
	}
}

func TestNoSecretReachesTheProgramsLogOrAnAnswer(t *testing.T) {
	h := build(t, nil)
	g := h.enrolled("canary-udid")
	other := h.enrolled("U2")
	var answers strings.Builder
	for _, keys := range []map[string]any{
		{"MessageType": "canary-type", "Password": "canary"},
		{"Status": "canary-status", "CommandUUID": "canary-uuid"},
		{"MessageType": "TokenUpdate", "Token": "canary-token", "PushMagic": "m"},
		{"MessageType": "DeclarativeManagement", "Endpoint": "status", "Data": []byte("canary")},
		{"MessageType": "DeclarativeManagement", "Endpoint": "canary"},
		{"CommandUUID": "canary"},
	} {
		for _, who := range []*guest{g, other.as(g.keys)} {
			all := map[string]any{"UDID": who.keys["UDID"]}
			for k, v := range keys {
				all[k] = v
			}
			answers.WriteString(h.put("/mdm", xml(t, all), byProxy(who.id)).Body.String())
		}
	}
	answers.WriteString(h.put("/mdm", []byte("<plist>canary"), byProxy(g.id)).Body.String())
	answers.WriteString(h.put("/mdm", []byte("canary"), header(certHeader, "canary")).Body.String())
	if strings.Contains(answers.String(), "canary") {
		t.Errorf("an answer tells what was sent: %s", answers.String())
	}
	if strings.Contains(h.out.String(), "canary") {
		t.Errorf("the program's log tells what was sent: %s", h.out.String())
	}
	if h.out.Len() == 0 {
		t.Error("nothing was logged")
	}
}

func TestAConnectionThatEndsDoesNotUndoWhatIsKept(t *testing.T) {
	g := build(t, nil).enrolled("U1")
	ctx, end := context.WithCancel(context.Background())
	end()
	w := g.put("/mdm", xml(t, map[string]any{"UDID": "U1", "MessageType": "Dance"}), byProxy(g.id), func(r *http.Request) { *r = *r.WithContext(ctx) })
	if w.Code != 400 {
		t.Errorf("answered %d", w.Code)
	}
	last[device.MessageUnrecognised](g)
}

// clumsy pseudonyms panic, as a slip of ours would.
type clumsy struct{ Pseudonyms }

func (clumsy) Device(string) string { panic("canary") }

func TestASlipOfOursEndsOneRequestOnly(t *testing.T) {
	h := build(t, nil)
	g := h.enrolled("U1")
	good := h.door.Pseudonyms
	h.door.Pseudonyms = clumsy{}
	if w := h.put("/mdm", idle(t, "U1"), byProxy(g.id)); w.Code != 503 {
		t.Errorf("answered %d", w.Code)
	}
	if out := h.out.String(); !strings.Contains(out, "goroutine") || strings.Contains(out, "canary") {
		t.Errorf("the log says %s", out)
	}
	h.door.Pseudonyms = good
	g.report("Idle", "", nil)
}
