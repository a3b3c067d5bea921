package mdm

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/handlers/plist"
)

func types(all []recorded) string {
	var names []string
	for _, r := range all {
		names = append(names, strings.TrimPrefix(r.Type, "device."))
	}
	return strings.Join(names, " ")
}

func wantHistory(t *testing.T, g *guest, want string) {
	t.Helper()
	if got := types(g.history()); got != want {
		t.Fatalf("the device's history is\n\t%s\nwant\n\t%s", got, want)
	}
}

func TestADeviceEnrolsTakesACommandAndLeaves(t *testing.T) {
	g := build(t, nil).guest("U1")
	g.authenticate()
	g.token(map[string]any{"UnlockToken": []byte("canary-unlock")})
	g.order("", "DeviceInformation", "C1")
	if next := g.report("Idle", "", nil); next != "C1" {
		t.Fatalf("handed out %q, want C1", next)
	}
	result := map[string]any{"QueryResponses": map[string]any{"SerialNumber": "C02CANARY"}}
	if next := g.report("Acknowledged", "C1", result); next != "" {
		t.Fatalf("handed out %q after the last command", next)
	}
	g.say(200, "/mdm/checkin", map[string]any{"MessageType": "CheckOut", "Topic": topic})
	wantHistory(t, g, "authenticated identity-pinned token-updated command-queued command-delivered command-acknowledged checked-out")
	ack := g.history()[5].event.(device.CommandAcknowledged)
	if !strings.Contains(string(ack.Result), "C02CANARY") || strings.Contains(string(ack.Result), "CommandUUID") {
		t.Errorf("the result is %s", ack.Result)
	}
	auth := g.history()[0].event.(device.Authenticated)
	if auth.Identity.SerialNumber != "C02CANARY" || auth.OSVersion != "18.1" || !strings.Contains(string(auth.Rest), "Challenge") {
		t.Errorf("the enrolment is kept as %+v", auth)
	}
	if strings.Contains(string(g.history()[0].Data), "CANARY") {
		t.Errorf("a serial number stands in the open part: %s", g.history()[0].Data)
	}
}

func TestAnEmptyAnswerEndsTheSession(t *testing.T) {
	g := build(t, nil).enrolled("U1")
	w := g.say(200, "/mdm/connect", map[string]any{"Status": "Idle"})
	if w.Body.Len() != 0 || w.Header().Get("Content-Length") != "0" {
		t.Errorf("an empty queue is answered with %d bytes, Content-Length %q", w.Body.Len(), w.Header().Get("Content-Length"))
	}
}

func TestACommandIsDeliveredAsItWasOrdered(t *testing.T) {
	g := build(t, nil).enrolled("U1")
	g.order("", "ProfileList", "C1")
	w := g.say(200, "/mdm/connect", map[string]any{"Status": "Idle"})
	item, _, _ := g.state().Item("C1")
	if w.Body.String() != string(item.Body) || w.Header().Get("Content-Type") != "application/xml; charset=UTF-8" {
		t.Errorf("delivered as %s:\n%s", w.Header().Get("Content-Type"), w.Body)
	}
}

func TestOneURLTakesBothKindsOfMessages(t *testing.T) {
	g := build(t, nil).guest("U1")
	auth := xml(t, map[string]any{"UDID": "U1", "MessageType": "Authenticate", "Topic": topic})
	token := xml(t, map[string]any{"UDID": "U1", "MessageType": "TokenUpdate", "Topic": topic, "Token": []byte("t"), "PushMagic": "m"})
	idle := xml(t, map[string]any{"UDID": "U1", "Status": "Idle"})
	for _, step := range []struct {
		name, path, contentType, method string
		body                            []byte
	}{
		{"a check-in by its type", "/mdm", "application/x-apple-aspen-mdm-checkin; charset=UTF-8", "PUT", auth},
		{"a check-in without one", "/mdm", "", "POST", token},
		{"a check-in with the wrong one", "/mdm", "application/x-apple-aspen-mdm", "PUT", token},
		{"a report by its type", "/mdm", "application/x-apple-aspen-mdm; charset=UTF-8", "PUT", idle},
		{"a report without one", "/mdm", "", "PUT", idle},
		{"a report at its own URL", "/mdm/connect", "", "POST", idle},
		{"a check-in at its own URL", "/mdm/checkin", "text/plain", "POST", token},
	} {
		w := g.put(step.path, step.body, byProxy(g.id), func(r *http.Request) {
			r.Method = step.method
			r.Header.Set("Content-Type", step.contentType)
		})
		if w.Code != 200 {
			t.Errorf("%s was answered %d %s", step.name, w.Code, w.Body)
		}
	}
	wantHistory(t, g, "authenticated identity-pinned token-updated")
}

func TestOtherMethodsAreNotAllowed(t *testing.T) {
	h := build(t, nil)
	g := h.guest("U1")
	for _, path := range []string{"/mdm", "/mdm/checkin", "/mdm/connect"} {
		for _, method := range []string{"GET", "HEAD", "DELETE", "PATCH", "OPTIONS", "TRACE"} {
			w := h.put(path, nil, byProxy(g.id), func(r *http.Request) { r.Method = method })
			if w.Code != http.StatusMethodNotAllowed {
				t.Errorf("%s %s was answered %d", method, path, w.Code)
			}
		}
	}
}

func TestBinaryPropertyListsAreTaken(t *testing.T) {
	h := build(t, nil)
	g := h.enrolled("U1")
	// {"Status": "Idle", "UDID": "U1"}
	body := []byte("bplist00\xd2\x01\x02\x03\x04VStatusTUDIDTIdleRU1" +
		"\x08\x0d\x14\x19\x1e" + strings.Repeat("\x00", 6) + "\x01\x01" +
		"\x00\x00\x00\x00\x00\x00\x00\x05" + "\x00\x00\x00\x00\x00\x00\x00\x00" + "\x00\x00\x00\x00\x00\x00\x00\x21")
	if w := h.put("/mdm", body, byProxy(g.id)); w.Code != 200 {
		t.Errorf("a binary property list was answered %d %s", w.Code, w.Body)
	}
}

func TestUserChannelsStayApart(t *testing.T) {
	h := build(t, nil)
	for _, test := range []struct {
		name     string
		own      map[string]any
		one, two map[string]any
	}{
		{"users of a Mac", map[string]any{"UDID": "MAC"},
			map[string]any{"UDID": "MAC", "UserID": "G1"}, map[string]any{"UDID": "MAC", "UserID": "G2"}},
		{"users of a Shared iPad", map[string]any{"UDID": "PAD"},
			map[string]any{"UDID": "PAD", "UserID": sharedUser, "UserShortName": "ada@example.com"},
			map[string]any{"UDID": "PAD", "UserID": sharedUser, "UserShortName": "bob@example.com"}},
		{"users of a Mac that is the user's own", map[string]any{"EnrollmentID": "E1"},
			map[string]any{"EnrollmentID": "E1", "EnrollmentUserID": "X1"}, map[string]any{"EnrollmentID": "E1", "EnrollmentUserID": "X2"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			own := h.guest(test.name).as(test.own)
			own.authenticate()
			own.token(nil)
			one, two := own.as(test.one), own.as(test.two)
			one.token(map[string]any{"NotOnConsole": false})
			two.token(map[string]any{"NotOnConsole": true})
			channels := own.state().Channels
			if len(channels) != 3 || channels[0].ID != "" {
				t.Fatalf("the device has %d channels", len(channels))
			}
			own.order(channels[1].ID, "ProfileList", "FOR-ONE-"+test.name)
			if next := own.report("Idle", "", nil); next != "" {
				t.Errorf("the device was handed a user's command %q", next)
			}
			if next := two.report("Idle", "", nil); next != "" {
				t.Errorf("the other user was handed %q", next)
			}
			if next := one.report("Idle", "", nil); next != "FOR-ONE-"+test.name {
				t.Errorf("the user was handed %q", next)
			}
		})
	}
}

func TestBootstrapTokens(t *testing.T) {
	g := build(t, nil).enrolled("MAC")
	get := func() []byte {
		w := g.say(200, "/mdm/checkin", map[string]any{"MessageType": "GetBootstrapToken"})
		var reply map[string]any
		if err := plist.Unmarshal(w.Body.Bytes(), &reply); err != nil {
			t.Fatalf("%v in %q", err, w.Body)
		}
		token, _ := reply["BootstrapToken"].([]byte)
		return token
	}
	set := func(keys map[string]any) {
		keys["MessageType"] = "SetBootstrapToken"
		g.say(200, "/mdm/checkin", keys)
	}
	if token := get(); token != nil {
		t.Errorf("there is a token %q before any was left", token)
	}
	set(map[string]any{"BootstrapToken": []byte("canary-bootstrap")})
	if token := get(); string(token) != "canary-bootstrap" {
		t.Errorf("the token came back as %q", token)
	}
	set(map[string]any{})
	if token := get(); token != nil {
		t.Errorf("the token %q was not forgotten", token)
	}
	wantHistory(t, g, "authenticated identity-pinned token-updated bootstrap-token-released bootstrap-token-escrowed "+
		"bootstrap-token-released bootstrap-token-deleted bootstrap-token-released")
}

func TestDeclarativeManagementFindsAnEmptySet(t *testing.T) {
	g := build(t, nil).enrolled("U1")
	ask := func(status int, endpoint string, data []byte) string {
		keys := map[string]any{"MessageType": "DeclarativeManagement", "Endpoint": endpoint}
		if data != nil {
			keys["Data"] = data
		}
		w := g.say(status, "/mdm/checkin", keys)
		if w.Body.Len() > 0 && w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s is answered as %s", endpoint, w.Header().Get("Content-Type"))
		}
		return w.Body.String()
	}
	var tokens struct {
		SyncTokens struct {
			DeclarationsToken string
			Timestamp         time.Time
		}
	}
	var items struct {
		Declarations      map[string][]any
		DeclarationsToken string
	}
	if err := json.Unmarshal([]byte(ask(200, "tokens", nil)), &tokens); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(ask(200, "declaration-items", nil)), &items); err != nil {
		t.Fatal(err)
	}
	if token := tokens.SyncTokens.DeclarationsToken; token == "" || token != items.DeclarationsToken {
		t.Errorf("the tokens are %q and %q", token, items.DeclarationsToken)
	}
	for _, kind := range []string{"Activations", "Assets", "Configurations", "Management"} {
		if list, there := items.Declarations[kind]; !there || list == nil {
			t.Errorf("the manifest has no array of %s", kind)
		}
	}
	ask(404, "declaration/configuration/some.thing", nil)
	ask(200, "status", []byte(`{"StatusItems":{},"Errors":[]}`))
	report, _ := last[device.DeclarationStatusReported](g)
	if !strings.Contains(string(report.Report), "StatusItems") {
		t.Errorf("the report is kept as %s", report.Report)
	}
	ask(400, "status", []byte(`{"StatusItems":`))
	ask(400, "declaration/nothing/x", nil)
	ask(400, "declaration/asset/", nil)
	ask(400, "", nil)
}

func TestOtherCheckInMessages(t *testing.T) {
	for _, test := range []struct {
		name   string
		keys   map[string]any
		status int
		last   string
		reply  string
	}{
		{"a network user is not managed", map[string]any{"MessageType": "UserAuthenticate", "UserID": "G1"}, 410, "user-authenticated", ""},
		{"a network user needs a name", map[string]any{"MessageType": "UserAuthenticate"}, 400, "message-unrecognised", "names no user"},
		{"return to service is not offered", map[string]any{"MessageType": "ReturnToService"}, 200, "returned-to-service", "<key>Enabled</key><false/>"},
		{"no service's tokens are given out", map[string]any{"MessageType": "GetToken", "TokenServiceType": "com.apple.maid"}, 400, "message-unrecognised", "no tokens"},
		{"an unknown message is kept", map[string]any{"MessageType": "Dance"}, 400, "message-unrecognised", ""},
		{"a message of no kind is kept", map[string]any{"Dance": true}, 400, "message-unrecognised", ""},
		{"a kind that is no string is kept", map[string]any{"MessageType": 7}, 400, "message-unrecognised", ""},
		{"a token that is no data is kept", map[string]any{"MessageType": "TokenUpdate", "Token": "x", "PushMagic": "m"}, 400, "message-unrecognised", ""},
		{"a token for another topic is kept", map[string]any{"MessageType": "TokenUpdate", "Topic": "other", "Token": []byte("x"), "PushMagic": "m"}, 400, "message-unrecognised", ""},
		{"a user does not check out", map[string]any{"MessageType": "CheckOut", "UserID": "G1"}, 400, "message-unrecognised", ""},
		{"a user of a Shared iPad has a name", map[string]any{"MessageType": "TokenUpdate", "UserID": sharedUser}, 400, "message-unrecognised", ""},
		{"an Authenticate needs a Topic", map[string]any{"MessageType": "Authenticate"}, 400, "message-unrecognised", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := build(t, nil).enrolled("U1")
			w := g.say(test.status, "/mdm/checkin", test.keys)
			if !strings.Contains(strings.Join(strings.Fields(w.Body.String()), ""), strings.Join(strings.Fields(test.reply), "")) {
				t.Errorf("answered %q", w.Body)
			}
			all := g.history()
			if got := strings.TrimPrefix(all[len(all)-1].Type, "device."); got != test.last {
				t.Errorf("the last event is %s, want %s", got, test.last)
			}
			if test.last == "message-unrecognised" && len(g.evidence(all[len(all)-1])) == 0 {
				t.Errorf("the message is not kept with it")
			}
		})
	}
}

func TestACheckedOutDeviceGetsNothingUntilItAuthenticates(t *testing.T) {
	g := build(t, nil).enrolled("U1")
	g.order("", "DeviceLock", "C1")
	g.say(200, "/mdm/checkin", map[string]any{"MessageType": "CheckOut", "Topic": topic})
	g.say(200, "/mdm/checkin", map[string]any{"MessageType": "CheckOut", "Topic": topic})
	if next := g.report("Idle", "", nil); next != "" {
		t.Errorf("a device that left was handed %q", next)
	}
	g.say(400, "/mdm/checkin", map[string]any{"MessageType": "TokenUpdate", "Topic": topic, "Token": []byte("t"), "PushMagic": "m"})
	g.authenticate()
	g.token(nil)
	if next := g.report("Idle", "", nil); next != "" {
		t.Errorf("a command of the last enrolment was handed out: %q", next)
	}
	g.order("", "DeviceLock", "C2")
	if next := g.report("Idle", "", nil); next != "C2" {
		t.Errorf("handed out %q, want C2", next)
	}
}

func TestRepeatedMessagesLeaveNoSecondEvent(t *testing.T) {
	g := build(t, nil).guest("U1")
	for range 2 {
		g.authenticate()
	}
	for range 2 {
		g.token(map[string]any{"UnlockToken": []byte("u"), "AwaitingConfiguration": true})
	}
	g.token(nil) // says less, and takes nothing away
	wantHistory(t, g, "authenticated identity-pinned token-updated")
	if d := g.state(); string(d.UnlockToken) != "u" || !d.Awaiting {
		t.Errorf("the device lost what an earlier message had told: %+v", d)
	}
}

func TestATokenBeforeAuthenticateIsRefused(t *testing.T) {
	h := build(t, nil)
	g := h.guest("U1")
	g.say(400, "/mdm/checkin", map[string]any{"MessageType": "TokenUpdate", "Topic": topic, "Token": []byte("t"), "PushMagic": "m"})
	if all := g.history(); len(all) != 0 {
		t.Errorf("a device that nobody knows has a history: %s", types(all))
	}
	if kept := h.strangers(); len(kept) != 1 {
		t.Errorf("%d samples were kept, want 1", len(kept))
	}
}
