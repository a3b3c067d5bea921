package mdm

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/handlers/plist"
)

func TestEveryStatusHasItsEvent(t *testing.T) {
	chain := []any{map[string]any{"ErrorCode": 12013, "ErrorDomain": "MCMDMErrorDomain", "LocalizedDescription": "canary"}}
	for _, test := range []struct {
		status string
		keys   map[string]any
		event  string
		waits  bool
	}{
		{"Acknowledged", map[string]any{"ProfileList": []any{}}, "command-acknowledged", false},
		{"Error", map[string]any{"ErrorChain": chain}, "command-failed", false},
		{"CommandFormatError", nil, "command-format-rejected", false},
		{"NotNow", nil, "command-deferred", true},
		{"Perhaps", map[string]any{"Why": "canary"}, "result-unmatched", true},
	} {
		t.Run(test.status, func(t *testing.T) {
			g := build(t, nil).enrolled("U1")
			g.order("", "ProfileList", "C1")
			g.report("Idle", "", nil)
			if next := g.report(test.status, "C1", test.keys); next != "" {
				t.Errorf("%s was answered with %q", test.status, next)
			}
			wantHistory(t, g, "authenticated identity-pinned token-updated command-queued command-delivered "+test.event)
			if _, _, waits := g.state().Item("C1"); waits != test.waits {
				t.Errorf("the command waits: %v", waits)
			}
			if next := g.report("Idle", "", nil); (next == "C1") != test.waits {
				t.Errorf("the next session was handed %q", next)
			}
		})
	}
}

func TestAnErrorKeepsItsChainApart(t *testing.T) {
	g := build(t, nil).enrolled("U1")
	g.order("", "RemoveProfile", "C1")
	g.report("Idle", "", nil)
	g.report("Error", "C1", map[string]any{"ErrorChain": []any{map[string]any{"ErrorCode": 12013}}})
	failed, r := last[device.CommandFailed](g)
	if string(failed.ErrorChain) != `[{"ErrorCode":12013}]` || failed.Result != nil {
		t.Errorf("kept as %+v", failed)
	}
	if strings.Contains(string(r.Data), "12013") {
		t.Errorf("the chain stands in the open part: %s", r.Data)
	}
}

func TestAnUnknownStatusIsKeptAsEvidence(t *testing.T) {
	g := build(t, nil).enrolled("U1")
	g.order("", "ProfileList", "C1")
	g.report("Idle", "", nil)
	g.report("Perhaps", "C1", map[string]any{"Why": "because"})
	unmatched, r := last[device.ResultUnmatched](g)
	if unmatched.Because != "status" || unmatched.Status != "Perhaps" {
		t.Errorf("kept as %+v", unmatched)
	}
	if !strings.Contains(string(g.evidence(r)), "<string>because</string>") {
		t.Errorf("the evidence is %q", g.evidence(r))
	}
}

func TestAReportWithoutStatusIsRefused(t *testing.T) {
	g := build(t, nil).enrolled("U1")
	g.say(400, "/mdm/connect", map[string]any{"CommandUUID": "C1"})
	if _, r := last[device.MessageUnrecognised](g); len(g.evidence(r)) == 0 {
		t.Error("the message is not kept")
	}
}

func TestAnAnswerForNoWaitingCommandDoesNotDisturbTheQueue(t *testing.T) {
	g := build(t, nil).enrolled("MAC")
	user := g.as(map[string]any{"UDID": "MAC", "UserID": "G1"})
	user.token(nil)
	channel := g.state().Channels[1].ID
	g.order(channel, "ProfileList", "USER")
	for _, uuid := range []string{"C1", "C2", "C3"} {
		g.order("", "ProfileList", uuid)
	}
	g.report("Idle", "", nil)
	g.report("Acknowledged", "C1", nil)
	for _, test := range []struct{ uuid, because string }{
		{"C1", "settled"}, {"NEVER", "unknown"}, {"", "unknown"}, {"USER", "foreign"}, {"C3", "undelivered"},
	} {
		if next := g.report("Acknowledged", test.uuid, map[string]any{"Some": "result"}); next != "C2" {
			t.Errorf("after an answer for %q the next command is %q, want C2", test.uuid, next)
		}
		var found bool
		for _, r := range g.history() {
			if e, ok := r.event.(device.ResultUnmatched); ok && e.UUID == test.uuid {
				found = true
				if e.Because != test.because || !strings.Contains(string(e.Result), "Some") {
					t.Errorf("the answer for %q is kept as %+v", test.uuid, e)
				}
			}
		}
		if !found {
			t.Errorf("the answer for %q is not kept", test.uuid)
		}
	}
	if next := g.report("Acknowledged", "C2", nil); next != "C3" {
		t.Errorf("then came %q", next)
	}
	if next := user.report("Idle", "", nil); next != "USER" {
		t.Errorf("the user was handed %q", next)
	}
}

func TestNotNowLetsOthersGoFirst(t *testing.T) {
	g := build(t, nil).enrolled("U1")
	for _, uuid := range []string{"C1", "C2"} {
		g.order("", "InstallProfile", uuid)
	}
	for _, step := range []struct{ status, uuid, next string }{
		{"Idle", "", "C1"},
		{"NotNow", "C1", "C2"},
		{"NotNow", "C1", "C2"}, // said twice: it did not see our answer
		{"NotNow", "C2", ""},   // all said no: the session ends, and the device comes back by itself
		{"Idle", "", "C1"},
		{"Idle", "", "C1"}, // the answer was lost: the same again
		{"Acknowledged", "C1", "C2"},
		{"Acknowledged", "C2", ""},
	} {
		if next := g.report(step.status, step.uuid, nil); next != step.next {
			t.Fatalf("%s %s was answered with %q, want %q", step.status, step.uuid, next, step.next)
		}
	}
	count := map[string]int{}
	for _, r := range g.history() {
		count[r.Type]++
	}
	if count["device.command-deferred"] != 2 || count["device.command-acknowledged"] != 2 {
		t.Errorf("the history counts %v", count)
	}
}

func TestTwentyCommandsAtOnceArriveInOrderOnce(t *testing.T) {
	g := build(t, nil).enrolled("U1")
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() { g.order("", "ProfileList", fmt.Sprintf("C%02d", i)) })
	}
	wg.Wait()
	var queued []string
	for _, r := range g.history() {
		if e, ok := r.event.(device.CommandQueued); ok {
			queued = append(queued, e.UUID)
		}
	}
	var got []string
	for next := g.report("Idle", "", nil); next != ""; next = g.report("Acknowledged", next, nil) {
		got = append(got, next)
	}
	if len(got) != 20 || strings.Join(got, " ") != strings.Join(queued, " ") {
		t.Errorf("queued\n\t%v\narrived\n\t%v", queued, got)
	}
}

func TestNotNowUnderLoadLosesAndDoublesNothing(t *testing.T) {
	h := build(t, nil)
	const devices, commands = 8, 12
	guests := make([]*guest, devices)
	for i := range guests {
		guests[i] = h.enrolled(fmt.Sprintf("U%d", i))
	}
	var wg sync.WaitGroup
	for i, g := range guests {
		wg.Go(func() {
			for c := range commands {
				g.order("", "ProfileList", fmt.Sprintf("%d-%d", i, c))
			}
		})
		wg.Go(func() { live(g, rand.New(rand.NewPCG(7, uint64(i))), commands) })
	}
	wg.Wait()
	for i, g := range guests {
		done := map[string]int{}
		for _, r := range g.history() {
			if e, ok := r.event.(device.CommandAcknowledged); ok {
				done[e.UUID]++
			}
		}
		for c := range commands {
			if uuid := fmt.Sprintf("%d-%d", i, c); done[uuid] != 1 {
				t.Errorf("%s was done %d times", uuid, done[uuid])
			}
		}
	}
}

// live polls until the device has done so many commands. It says NotNow now and then, and repeats itself.
func live(g *guest, chance *rand.Rand, commands int) {
	for done := 0; done < commands; {
		for next := g.report("Idle", "", nil); next != ""; {
			if chance.IntN(20) == 0 {
				next = g.report("NotNow", next, nil)
				continue
			}
			acknowledged := next
			next = g.report("Acknowledged", acknowledged, nil)
			if chance.IntN(10) == 0 {
				next = g.report("Acknowledged", acknowledged, nil)
			}
			done++
		}
	}
}

func TestAClearPasscodeGetsTheNewestUnlockToken(t *testing.T) {
	for _, test := range []struct {
		name   string
		device []byte
		own    []byte
		want   string
	}{
		{"the device's", []byte("newest"), nil, "newest"},
		{"the order's own", []byte("newest"), []byte("given"), "given"},
		{"none is known", nil, nil, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := build(t, nil).enrolled("U1")
			if test.device != nil {
				g.token(map[string]any{"UnlockToken": []byte("older")})
				g.token(map[string]any{"UnlockToken": test.device})
			}
			keys := map[string]any{"RequestType": "ClearPasscode"}
			if test.own != nil {
				keys["UnlockToken"] = test.own
			}
			body := xml(t, map[string]any{"CommandUUID": "C1", "Command": keys})
			g.change(func(d device.Device, at time.Time) ([]domain.Event, error) {
				return d.Order("", device.Order{UUID: "C1", RequestType: "ClearPasscode", Body: body}, false, at)
			})
			w := g.say(200, "/mdm/connect", map[string]any{"Status": "Idle"})
			var got struct {
				CommandUUID string
				Command     struct {
					RequestType string
					UnlockToken []byte
				}
			}
			if err := plist.Unmarshal(w.Body.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			if got.CommandUUID != "C1" || got.Command.RequestType != "ClearPasscode" || string(got.Command.UnlockToken) != test.want {
				t.Errorf("delivered as %+v", got)
			}
		})
	}
}

func TestIdlePollsAreCountedAndRecordedNowAndThen(t *testing.T) {
	g := build(t, nil).enrolled("U1")
	for range 4 {
		g.wait(time.Minute)
		g.report("Idle", "", nil)
	}
	wantHistory(t, g, "authenticated identity-pinned token-updated")
	g.wait(15 * time.Minute)
	g.report("Idle", "", nil)
	if seen, _ := last[device.Seen](g); seen.Polls != 5 {
		t.Errorf("%d polls were told, want 5", seen.Polls)
	}
	g.wait(15 * time.Minute)
	g.report("Idle", "", nil)
	if seen, _ := last[device.Seen](g); seen.Polls != 1 {
		t.Errorf("then %d polls were told, want 1", seen.Polls)
	}
}

func TestKeysOfTheEnvelopeAreNoResult(t *testing.T) {
	g := build(t, nil).enrolled("MAC")
	user := g.as(map[string]any{"UDID": "MAC", "UserID": "G1", "UserShortName": "ada", "UserLongName": "Ada"})
	user.token(nil)
	g.order(g.state().Channels[1].ID, "ProfileList", "C1")
	user.report("Idle", "", nil)
	user.report("Acknowledged", "C1", map[string]any{
		"NotOnConsole": false, "NeedSyncResponse": true, "UserConfiguration": false, "AuthToken": "canary", "RequestType": "ProfileList",
		"ProfileList": []any{}, "NewIn2031": "kept",
	})
	ack, _ := last[device.CommandAcknowledged](g)
	if string(ack.Result) != `{"NewIn2031":"kept","ProfileList":[]}` && string(ack.Result) != `{"ProfileList":[],"NewIn2031":"kept"}` {
		t.Errorf("the result is %s", ack.Result)
	}
}
