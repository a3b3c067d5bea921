package mdmtest_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/rollcall-mdm/rollcall/handlers/mdm/mdmtest"
)

func TestEnrolSaysWhatDevicesSay(t *testing.T) {
	s := newServer(t)
	d := s.device(mdmtest.MacOS)
	ada := d.AddUser("ada", "Ada Abel")
	if err := d.Enrol(t.Context()); err != nil {
		t.Fatal(err)
	}
	var said []string
	for _, m := range s.messages {
		said = append(said, m.text("MessageType")+" "+m.channel())
	}
	want := []string{"Authenticate " + d.UDID, "TokenUpdate " + d.UDID, "TokenUpdate " + d.ChannelID(ada)}
	if !slices.Equal(said, want) || !d.Enrolled() {
		t.Errorf("the device said %q, want %q", said, want)
	}
	if first := s.messages[0]; first.text("SerialNumber") != d.SerialNumber || first.text("Topic") != mdmtest.DefaultTopic {
		t.Errorf("Authenticate said %v", first.keys)
	}
	if second := s.messages[1]; string(second.keys["Token"].([]byte)) != string(d.Push.Token) || second.text("PushMagic") != d.Push.Magic {
		t.Errorf("TokenUpdate said %v", second.keys)
	}
}

func TestUserEnrolmentNamesNoHardware(t *testing.T) {
	s := newServer(t)
	d := s.device(mdmtest.IOS)
	d.MakeUserEnrolment()
	if err := d.Enrol(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, m := range s.messages {
		if m.text("EnrollmentID") != d.ID() || m.keys["UDID"] != nil || m.keys["SerialNumber"] != nil || m.keys["UnlockToken"] != nil {
			t.Errorf("%s said %v", m.text("MessageType"), m.keys)
		}
	}
}

func TestSessionCarriesOutAllInOrder(t *testing.T) {
	s := newServer(t)
	d := s.device(mdmtest.IOS)
	enrol(t, d)
	var queued []string
	for i := range 20 {
		queued = append(queued, s.order(d.ID(), mdmtest.Inventory[i%len(mdmtest.Inventory)]))
	}
	done, err := d.Session(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := mdmtest.Check(queued, done).Err(); err != nil {
		t.Error(err)
	}
	for _, c := range done {
		if c.Status != "Acknowledged" {
			t.Errorf("%s ended as %s", c.RequestType, c.Status)
		}
	}
	if again, err := d.Session(t.Context()); err != nil || len(again) != 0 {
		t.Errorf("a second session brought %v, %v", again, err)
	}
}

func TestChannelsStayApart(t *testing.T) {
	s := newServer(t)
	for _, p := range []mdmtest.Platform{mdmtest.MacOS, mdmtest.IPadOS} {
		d := s.device(p)
		u := d.AddUser("ada", "Ada Abel")
		enrol(t, d)
		mine, his := s.order(d.ID(), mdmtest.Inventory[1]), s.order(d.ChannelID(u), mdmtest.Inventory[0])
		own, err := d.Session(t.Context())
		if err != nil || len(own) != 1 || own[0].UUID != mine {
			t.Errorf("%s: the device's channel brought %v, %v", p, own, err)
		}
		users, err := d.SessionOf(t.Context(), u)
		if err != nil || len(users) != 1 || users[0].UUID != his || users[0].Status != "Acknowledged" {
			t.Errorf("%s: the user's channel brought %v, %v", p, users, err)
		}
	}
}

func TestNotNowWaitsForTheNextSession(t *testing.T) {
	s := newServer(t)
	d := s.device(mdmtest.IOS)
	enrol(t, d)
	d.Change(func(d *mdmtest.Device) { d.Locked = true })
	install := s.order(d.ID(), mdmtest.Question{RequestType: "InstallProfile", Keys: map[string]any{"Payload": wifi}})
	info := s.order(d.ID(), mdmtest.Inventory[0])
	first, err := d.Session(t.Context())
	if err != nil || len(first) != 2 || first[0].Status != "NotNow" || first[1].UUID != info {
		t.Fatalf("the locked device did %v, %v", first, err)
	}
	d.Change(func(d *mdmtest.Device) { d.Locked = false })
	second, err := d.Session(t.Context())
	if err != nil || len(second) != 1 || second[0].UUID != install || second[0].Status != "Acknowledged" {
		t.Fatalf("the unlocked device did %v, %v", second, err)
	}
	if err := mdmtest.Check([]string{install, info}, append(first, second...)).Err(); err != nil {
		t.Error(err)
	}
}

func TestPlatformsDeferOnlyWhatTheyMay(t *testing.T) {
	for _, c := range []struct {
		platform mdmtest.Platform
		command  string
		may      bool
	}{
		{mdmtest.IOS, "DeviceInformation", false}, {mdmtest.IOS, "InstallProfile", true}, {mdmtest.IOS, "DeviceLock", false},
		{mdmtest.MacOS, "DeviceInformation", true}, {mdmtest.MacOS, "DeviceLock", false}, {mdmtest.TvOS, "EraseDevice", false},
	} {
		if got := c.platform.Defers(c.command); got != c.may {
			t.Errorf("%s defers %s: %v", c.platform, c.command, got)
		}
	}
}

func TestResultIsRepeatedUntilItIsAccepted(t *testing.T) {
	s := newServer(t)
	d := s.device(mdmtest.IOS)
	enrol(t, d)
	uuid := s.order(d.ID(), mdmtest.Inventory[0])
	s.spoil = func(w http.ResponseWriter, m message) bool {
		if m.text("Status") == "Acknowledged" {
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		}
		return false
	}
	var refused *mdmtest.StatusError
	if done, err := d.Session(t.Context()); len(done) != 0 || !errors.As(err, &refused) || refused.Status != 503 {
		t.Fatalf("while the store was down: %v, %v", done, err)
	}
	s.spoil = nil
	done, err := d.Session(t.Context())
	if err != nil || len(done) != 1 || done[0].UUID != uuid {
		t.Fatalf("afterwards: %v, %v", done, err)
	}
	n := len(s.messages)
	if a, b := string(s.messages[n-2].body), string(s.messages[n-1].body); a != b {
		t.Errorf("the repeated report differs:\n%s\n%s", a, b)
	}
}

func TestEraseAndRemovalEndManagement(t *testing.T) {
	remove := mdmtest.Question{RequestType: "RemoveProfile", Keys: map[string]any{"Identifier": mdmtest.EnrolmentProfile}}
	for _, c := range []struct {
		q        mdmtest.Question
		checkOut bool
	}{{mdmtest.Question{RequestType: "EraseDevice"}, false}, {remove, true}} {
		s := newServer(t)
		d := s.device(mdmtest.IOS)
		enrol(t, d)
		s.order(d.ID(), c.q)
		if _, err := d.Session(t.Context()); err != nil {
			t.Fatal(err)
		}
		last := s.messages[len(s.messages)-1].text("MessageType")
		if d.Enrolled() || (last == "CheckOut") != c.checkOut {
			t.Errorf("after %s: enrolled %v, last message %q", c.q.RequestType, d.Enrolled(), last)
		}
		if _, err := d.Session(t.Context()); !errors.Is(err, mdmtest.ErrNotEnrolled) {
			t.Errorf("after %s a session ended with %v", c.q.RequestType, err)
		}
	}
}

// TestViolations plays servers that break the protocol, each in its own way.
func TestViolations(t *testing.T) {
	command := mdmtest.RawCommand(mdmtest.Inventory[0], "A")
	always := func(status int, contentType, body string) func(http.ResponseWriter, message) bool {
		return func(w http.ResponseWriter, m message) bool {
			w.Header().Set("Content-Type", contentType)
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
			return true
		}
	}
	for _, c := range []struct {
		name  string
		spoil func(http.ResponseWriter, message) bool
		what  string
	}{
		{"another 2xx", always(204, "", ""), "only 200"},
		{"a command as text", always(200, "text/plain", string(command)), "not as application/xml"},
		{"rubbish", always(200, "application/xml", "<plist><di"), "no property list"},
		{"OpenStep text", always(200, "application/xml", `{ CommandUUID = A; Command = { RequestType = X; }; }`), "in XML"},
		{"an empty plist", always(200, "application/xml", `<?xml version="1.0"?><plist version="1.0"><dict/></plist>`), "lacks CommandUUID"},
		{"the same command for ever", always(200, "application/xml", string(command)), "after it had ended"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newServer(t)
			d := s.device(mdmtest.IOS)
			enrol(t, d)
			s.spoil = c.spoil
			_, err := d.Session(t.Context())
			var v *mdmtest.Violation
			if !errors.As(err, &v) || !strings.Contains(v.What, c.what) {
				t.Errorf("the device noticed %v, want something with %q", err, c.what)
			}
		})
	}
}

func TestViolationsOfDeferral(t *testing.T) {
	s := newServer(t)
	d := s.device(mdmtest.MacOS)
	enrol(t, d)
	d.Change(func(d *mdmtest.Device) { d.Habits.NotNow = 1 })
	s.spoil = func(w http.ResponseWriter, _ message) bool {
		hand(w, mdmtest.RawCommand(mdmtest.Inventory[1], "A"))
		return true
	}
	var v *mdmtest.Violation
	if _, err := d.Session(t.Context()); !errors.As(err, &v) || !strings.Contains(v.What, "NotNow") {
		t.Errorf("the device noticed %v", err)
	}
}

func TestCommandOnTheWrongChannel(t *testing.T) {
	s := newServer(t)
	d := s.device(mdmtest.MacOS)
	u := d.AddUser("ada", "Ada Abel")
	enrol(t, d)
	uuid := s.order(d.ID(), mdmtest.Inventory[0])
	if _, err := d.Session(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.queue(d.ChannelID(u), uuid, mdmtest.RawCommand(mdmtest.Inventory[0], uuid))
	var v *mdmtest.Violation
	if _, err := d.SessionOf(t.Context(), u); !errors.As(err, &v) || !strings.Contains(v.What, "user's channel") {
		t.Errorf("the device noticed %v", err)
	}
}

func TestCheckInWithABodyIsAViolation(t *testing.T) {
	s := newServer(t)
	d := s.device(mdmtest.IOS)
	s.spoil = func(w http.ResponseWriter, _ message) bool { _, _ = w.Write([]byte("OK")); return true }
	var v *mdmtest.Violation
	if err := d.Enrol(t.Context()); !errors.As(err, &v) || d.Enrolled() {
		t.Errorf("the device noticed %v", err)
	}
}

func TestUnenrolledByStatus(t *testing.T) {
	for _, c := range []struct {
		status int
		body   string
		gone   bool
	}{{401, "", true}, {403, `{"code":"com.apple.unrecognized.device"}`, true}, {403, "", false}, {400, "", false}, {500, "", false}} {
		s := newServer(t)
		d := s.device(mdmtest.IOS)
		enrol(t, d)
		s.spoil = func(w http.ResponseWriter, _ message) bool {
			w.WriteHeader(c.status)
			_, _ = w.Write([]byte(c.body))
			return true
		}
		var refused *mdmtest.StatusError
		if _, err := d.Session(t.Context()); !errors.As(err, &refused) || d.Enrolled() == c.gone {
			t.Errorf("status %d %s: %v, enrolled %v", c.status, c.body, err, d.Enrolled())
		}
	}
}

func TestWokenNeedsItsMagic(t *testing.T) {
	s := newServer(t)
	d := s.device(mdmtest.IOS)
	enrol(t, d)
	if _, err := d.Woken(t.Context(), nil, d.Push.Magic); err != nil {
		t.Error(err)
	}
	var v *mdmtest.Violation
	if _, err := d.Woken(t.Context(), nil, "another"); !errors.As(err, &v) {
		t.Errorf("a wrong PushMagic brought %v", err)
	}
	d.Change(func(d *mdmtest.Device) { d.Habits.Asleep = 1 })
	if _, err := d.Woken(t.Context(), nil, d.Push.Magic); !errors.Is(err, mdmtest.ErrAsleep) {
		t.Errorf("a sleeper said %v", err)
	}
}

func enrol(t *testing.T, d *mdmtest.Device) {
	t.Helper()
	if err := d.Enrol(t.Context()); err != nil {
		t.Fatal(err)
	}
}
