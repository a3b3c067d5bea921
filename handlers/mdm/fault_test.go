package mdm

import (
	"fmt"
	"maps"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/rollcall-mdm/rollcall/eventstore/eventstoretest"
)

// insist repeats a message until it is taken, as devices do. Until then they are told to come again, and nothing else.
func (g *guest) insist(path string, keys map[string]any) *httptest.ResponseRecorder {
	g.t.Helper()
	all := maps.Clone(g.keys)
	maps.Copy(all, keys)
	for range 4 {
		w := g.put(path, xml(g.t, all), byProxy(g.id))
		if w.Code == 200 {
			return w
		}
		if w.Code != 503 || w.Header().Get("Retry-After") == "" {
			g.t.Fatalf("%v was answered %d %s", keys, w.Code, w.Body)
		}
	}
	g.t.Fatalf("%v was never taken", keys)
	return nil
}

// A moment is one message of a device's life, after what people did before it.
type moment struct {
	name   string
	before func(*guest)
	path   string
	keys   map[string]any
}

func checkin(kind string, keys map[string]any) moment {
	all := map[string]any{"MessageType": kind}
	maps.Copy(all, keys)
	return moment{name: kind, path: "/mdm/checkin", keys: all}
}

func reports(status, uuid string, keys map[string]any) moment {
	all := map[string]any{"Status": status}
	if uuid != "" {
		all["CommandUUID"] = uuid
	}
	maps.Copy(all, keys)
	return moment{name: status, path: "/mdm/connect", keys: all}
}

func (m moment) after(before func(*guest)) moment {
	m.before = before
	return m
}

// wholeLife is every message that changes something, from the first to the last.
var wholeLife = []moment{
	checkin("Authenticate", map[string]any{"Topic": topic, "SerialNumber": "C02X", "OSVersion": "18.1"}),
	checkin("TokenUpdate", map[string]any{"Topic": topic, "Token": []byte("t"), "PushMagic": "m", "UnlockToken": []byte("u")}),
	checkin("TokenUpdate", map[string]any{"Topic": topic, "Token": []byte("tu"), "PushMagic": "mu", "UserID": "G1", "UserShortName": "ann"}),
	checkin("SetBootstrapToken", map[string]any{"BootstrapToken": []byte("b")}),
	checkin("GetBootstrapToken", nil),
	checkin("DeclarativeManagement", map[string]any{"Endpoint": "tokens"}),
	checkin("DeclarativeManagement", map[string]any{"Endpoint": "status", "Data": []byte(`{"StatusItems":{}}`)}),
	reports("Idle", "", nil).after(func(g *guest) {
		g.order("", "ProfileList", "C1")
		g.order("", "SecurityInfo", "C2")
		g.order("", "CertificateList", "C3")
	}),
	reports("NotNow", "C1", nil),
	reports("Acknowledged", "C2", map[string]any{"SecurityInfo": map[string]any{"PasscodePresent": true}}),
	reports("CommandFormatError", "C3", nil),
	reports("Idle", "", nil),
	reports("Error", "C1", map[string]any{"ErrorChain": []any{map[string]any{"ErrorCode": 7}}}),
	reports("Idle", "", nil),
	checkin("TokenUpdate", map[string]any{"Topic": topic, "Token": []byte("t2"), "PushMagic": "m"}),
	checkin("CheckOut", map[string]any{"Topic": topic}),
}

// mayRepeat are the events that a repeated message may record again: what was handed out twice was handed out twice, a
// result that came a second time is known as such, and a report on declarations has no name by which it could be known.
var mayRepeat = []string{
	"device.command-delivered", "device.result-unmatched", "device.bootstrap-token-released", "device.declarations-fetched",
	"device.declaration-status-reported",
}

func (g *guest) counts() map[string]int {
	n := map[string]int{}
	for _, r := range g.history() {
		n[r.Type]++
	}
	return n
}

// TestEveryCallOfTheLogMayFail makes, for every n, the n-th call go wrong that one message makes to the log, and has the device
// repeat the message until it is taken. Then each message is in the log once, as if nothing had gone wrong.
func TestEveryCallOfTheLogMayFail(t *testing.T) {
	faults := map[string]eventstoretest.Fault{
		"refused": eventstoretest.Refused, "lost": eventstoretest.Lost, "conflict": eventstoretest.Conflict,
	}
	for cached, size := range map[string]int{"cached": 0, "read each time": -1} {
		smooth := lead(t, size, func(*eventstoretest.Faulty, moment) {}, nil)
		for name, fault := range faults {
			t.Run(cached+"/"+name, func(t *testing.T) {
				met := map[string]int{}
				for n := 1; ; n++ {
					struck := false
					arm := func(f *eventstoretest.Faulty, _ moment) { f.Arm(n, fault) }
					got := lead(t, size, arm, func(f *eventstoretest.Faulty, m moment) {
						if f.Met() {
							met[m.name]++
							struck = true
						}
						f.Arm(0, fault)
					})
					if !struck {
						break
					}
					wantSameLife(t, fmt.Sprintf("call %d %s", n, name), got, smooth)
				}
				if cached == "read each time" && len(met) < 10 {
					t.Errorf("only %v met a fault", met)
				}
				t.Logf("messages that met a fault: %v", met)
			})
		}
	}
}

// lead has a device lead its whole life on a faulty log, and returns how many events of each type came of it.
func lead(t *testing.T, cache int, before, after func(*eventstoretest.Faulty, moment)) map[string]int {
	t.Helper()
	f := &eventstoretest.Faulty{}
	h := build(t, func(h *house) { f.Log, h.log = h.log, f })
	h.door.Devices.CacheSize, h.door.Certificates.CacheSize = cache, cache
	g := h.guest("U1")
	for _, m := range wholeLife {
		if m.before != nil {
			m.before(g)
		}
		before(f, m)
		g.insist(m.path, m.keys)
		if after != nil {
			after(f, m)
		}
	}
	if _, _, waits := g.state().Item("C1"); waits {
		t.Error("a command still waits")
	}
	return g.counts()
}

func wantSameLife(t *testing.T, what string, got, want map[string]int) {
	t.Helper()
	for kind, n := range want {
		if again := slices.Contains(mayRepeat, kind); got[kind] < n || got[kind] > n && !again {
			t.Errorf("%s: %d times %s, want %d", what, got[kind], kind, n)
		}
	}
	for kind := range got {
		if want[kind] == 0 && !slices.Contains(mayRepeat, kind) {
			t.Errorf("%s: there is %s, which nobody sent", what, kind)
		}
	}
}

// TestALogThatIsAwayLosesNothing takes the log away in the middle of devices' lives. They are told to come again, and when
// it is back they go on where they were.
func TestALogThatIsAwayLosesNothing(t *testing.T) {
	f := &eventstoretest.Faulty{}
	h := build(t, func(h *house) { f.Log, h.log = h.log, f })
	h.door.Devices.CacheSize = -1
	var guests []*guest
	for i := range 20 {
		g := h.enrolled(fmt.Sprint("U", i))
		g.order("", "ProfileList", fmt.Sprint("C", i))
		g.report("Idle", "", nil)
		guests = append(guests, g)
	}
	f.Down(true)
	for range 3 { // devices do not give up
		for i, g := range guests {
			w := g.say(503, "/mdm/connect", map[string]any{"Status": "Acknowledged", "CommandUUID": fmt.Sprint("C", i)})
			if w.Header().Get("Retry-After") == "" {
				t.Error("nobody says when to come again")
			}
		}
		h.guest("new").say(503, "/mdm/checkin", map[string]any{"MessageType": "Authenticate", "Topic": topic})
	}
	f.Down(false)
	for i, g := range guests {
		g.report("Acknowledged", fmt.Sprint("C", i), nil)
		wantHistory(t, g, "authenticated identity-pinned token-updated command-queued command-delivered command-acknowledged")
	}
	if !strings.Contains(h.out.String(), "level=ERROR") {
		t.Error("nobody was told that the log is away")
	}
}
