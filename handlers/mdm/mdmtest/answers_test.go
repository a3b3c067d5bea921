package mdmtest_test

import (
	"crypto/x509"
	"testing"

	"howett.net/plist"

	"github.com/rollcall-mdm/rollcall/handlers/mdm/mdmtest"
)

var wifi = []byte(`<?xml version="1.0" encoding="UTF-8"?>
<plist version="1.0"><dict>
<key>PayloadIdentifier</key><string>com.example.wifi</string><key>PayloadUUID</key><string>W-1</string>
<key>PayloadType</key><string>Configuration</string><key>PayloadVersion</key><integer>1</integer>
<key>PayloadDisplayName</key><string>Wi-Fi &amp; more</string>
<key>PayloadContent</key><array><dict><key>PayloadType</key><string>com.apple.wifi.managed</string>
<key>PayloadIdentifier</key><string>com.example.wifi.1</string><key>PayloadUUID</key><string>W-2</string>
<key>PayloadVersion</key><integer>1</integer></dict></array></dict></plist>`)

var allCommands = []string{
	"DeviceInformation", "SecurityInfo", "InstalledApplicationList", "ProfileList", "CertificateList", "ProvisioningProfileList",
	"Restrictions", "ManagedApplicationList", "UserList", "AvailableOSUpdates", "InstallProfile", "RemoveProfile",
	"InstallApplication", "RemoveApplication", "DeviceLock", "ClearPasscode", "RestartDevice", "Settings", "DeviceConfigured",
	"DeclarativeManagement", "NoSuchCommand", "ShutDownDevice",
}

// TestEveryAnswerIsAPropertyList asks every device everything, twice, on every channel.
func TestEveryAnswerIsAPropertyList(t *testing.T) {
	for _, p := range []mdmtest.Platform{mdmtest.IOS, mdmtest.IPadOS, mdmtest.MacOS, mdmtest.TvOS} {
		s := newServer(t)
		d := s.device(p)
		if p == mdmtest.MacOS {
			d.AddUser("ada", "Ada Abel")
		}
		enrol(t, d)
		for _, u := range append([]*mdmtest.User{nil}, d.Users...) {
			for _, command := range append(allCommands, allCommands[:len(allCommands)-1]...) {
				d.Change(func(d *mdmtest.Device) { d.Off, d.Locked = false, false })
				uuid := s.order(d.ChannelID(u), mdmtest.Question{RequestType: command})
				done, err := d.SessionOf(t.Context(), u)
				if err != nil || len(done) != 1 {
					t.Fatalf("%s %s: %v, %v", p, command, done, err)
				}
				last := s.messages[len(s.messages)-1] // the server has decoded it
				if last.text("CommandUUID") != uuid || last.text("UDID") != d.UDID || last.text("Status") != done[0].Status {
					t.Errorf("%s %s was answered by %s", p, command, last.body)
				}
				if command == "NoSuchCommand" && (u == nil && done[0].Status != "CommandFormatError" || done[0].Status == "Acknowledged") {
					t.Errorf("%s %s ended as %s", p, command, done[0].Status)
				}
			}
		}
	}
}

// ask puts one command to the device and returns its report.
func ask(t *testing.T, s *server, d *mdmtest.Device, requestType string, keys map[string]any) message {
	t.Helper()
	s.order(d.ID(), mdmtest.Question{RequestType: requestType, Keys: keys})
	if _, err := d.Session(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s.messages[len(s.messages)-1]
}

func TestDeviceInformationAnswersWhatIsAsked(t *testing.T) {
	s := newServer(t)
	d := s.device(mdmtest.IOS)
	enrol(t, d)
	m := ask(t, s, d, "DeviceInformation", map[string]any{"Queries": []string{"UDID", "OSVersion", "BatteryLevel", "NoSuchThing", "HostName"}})
	got := m.keys["QueryResponses"].(map[string]any)
	if len(got) != 3 || got["UDID"] != d.UDID || got["OSVersion"] != d.OSVersion || got["BatteryLevel"] != d.Battery {
		t.Errorf("the device told %v", got)
	}
}

func TestPreparedAnswersFollowTheDevice(t *testing.T) {
	s := newServer(t)
	d := s.device(mdmtest.MacOS)
	enrol(t, d)
	for _, on := range []bool{true, true, false, true} {
		d.Change(func(d *mdmtest.Device) { d.FileVault = on })
		for range 2 {
			m := ask(t, s, d, "SecurityInfo", nil)
			if got := m.keys["SecurityInfo"].(map[string]any)["FDE_Enabled"]; got != on {
				t.Errorf("FDE_Enabled is %v, want %v", got, on)
			}
		}
	}
	one := ask(t, s, d, "DeviceInformation", map[string]any{"Queries": []string{"UDID"}})
	two := ask(t, s, d, "DeviceInformation", map[string]any{"Queries": []string{"OSVersion"}})
	if one.keys["QueryResponses"].(map[string]any)["UDID"] == nil || two.keys["QueryResponses"].(map[string]any)["OSVersion"] == nil {
		t.Error("a prepared answer was given to another question")
	}
}

// TestPrepareChangesNoAnswer compares a device that worked out its answers beforehand with its twin that did not.
func TestPrepareChangesNoAnswer(t *testing.T) {
	for _, p := range []mdmtest.Platform{mdmtest.IOS, mdmtest.MacOS} {
		s := newServer(t)
		ready, other := s.device(p), s.device(p)
		ready.Prepare(mdmtest.Inventory...)
		for _, d := range []*mdmtest.Device{ready, other} {
			enrol(t, d)
			for _, q := range mdmtest.Inventory {
				s.queue(d.ID(), "A-"+q.RequestType, mdmtest.RawCommand(q, "A-"+q.RequestType))
			}
			if done, err := d.Session(t.Context()); err != nil || len(done) != len(mdmtest.Inventory) {
				t.Fatalf("%v, %v", done, err)
			}
		}
		half := len(s.messages) / 2
		for i := range half {
			if a, b := string(s.messages[i].body), string(s.messages[half+i].body); a != b {
				t.Errorf("prepared, the device said\n%s\nwithout, it said\n%s", a, b)
			}
		}
	}
}

func TestInventoryIsRealistic(t *testing.T) {
	s := newServer(t)
	d := s.device(mdmtest.IOS)
	enrol(t, d)
	m := ask(t, s, d, "InstalledApplicationList", nil)
	if n := len(m.keys["InstalledApplicationList"].([]any)); n != 60 || len(m.body) < 30_000 {
		t.Errorf("%d apps in %d bytes", n, len(m.body))
	}
	m = ask(t, s, d, "CertificateList", nil)
	for _, c := range m.keys["CertificateList"].([]any) {
		c := c.(map[string]any)
		cert, err := x509.ParseCertificate(c["Data"].([]byte))
		if err != nil || cert.Subject.CommonName != c["CommonName"] {
			t.Errorf("%v is no certificate: %v", c["CommonName"], err)
		}
	}
}

func TestProfilesComeAndGo(t *testing.T) {
	s := newServer(t)
	d := s.device(mdmtest.IOS)
	enrol(t, d)
	has := func() (name any) {
		for _, p := range ask(t, s, d, "ProfileList", nil).keys["ProfileList"].([]any) {
			if p := p.(map[string]any); p["PayloadIdentifier"] == "com.example.wifi" {
				name = p["PayloadDisplayName"]
			}
		}
		return name
	}
	before := has()
	ask(t, s, d, "InstallProfile", map[string]any{"Payload": wifi})
	ask(t, s, d, "InstallProfile", map[string]any{"Payload": wifi}) // replaces
	during := has()
	removed := ask(t, s, d, "RemoveProfile", map[string]any{"Identifier": "com.example.wifi"})
	again := ask(t, s, d, "RemoveProfile", map[string]any{"Identifier": "com.example.wifi"})
	if before != nil || during != "Wi-Fi & more" || has() != nil || removed.text("Status") != "Acknowledged" || again.text("Status") != "Error" {
		t.Errorf("before %v, during %v, after %v; %s, %s", before, during, has(), removed.text("Status"), again.text("Status"))
	}
	if bad := ask(t, s, d, "InstallProfile", map[string]any{"Payload": []byte("rubbish <")}); bad.text("Status") != "Error" {
		t.Errorf("rubbish was installed: %s", bad.body)
	}
}

func TestChangesShow(t *testing.T) {
	s := newServer(t)
	d := s.device(mdmtest.IOS)
	enrol(t, d)
	d.Change(func(d *mdmtest.Device) { d.Passcode, d.Awaiting = true, true })
	if m := ask(t, s, d, "ClearPasscode", map[string]any{"UnlockToken": []byte("wrong")}); m.text("Status") != "Error" || !d.Passcode {
		t.Errorf("a wrong unlock token: %s", m.text("Status"))
	}
	ask(t, s, d, "ClearPasscode", map[string]any{"UnlockToken": d.UnlockToken})
	ask(t, s, d, "DeviceConfigured", nil)
	m := ask(t, s, d, "Settings", map[string]any{"Settings": []map[string]any{{"Item": "DeviceName", "DeviceName": "Ödland"}, {}}})
	items := m.keys["Settings"].([]any)
	if d.Passcode || d.Awaiting || d.Name != "Ödland" || items[0].(map[string]any)["Status"] != "Acknowledged" || items[1].(map[string]any)["Status"] != "Error" {
		t.Errorf("passcode %v, awaiting %v, name %q, settings %v", d.Passcode, d.Awaiting, d.Name, items)
	}
	ask(t, s, d, "InstallApplication", map[string]any{"Identifier": "com.example.new"})
	m = ask(t, s, d, "ManagedApplicationList", nil)
	if m.keys["ManagedApplicationList"].(map[string]any)["com.example.new"] == nil {
		t.Error("the installed app is not in the list")
	}
	ask(t, s, d, "RemoveApplication", map[string]any{"Identifier": "com.example.new"})
	if m := ask(t, s, d, "RemoveApplication", map[string]any{"Identifier": "com.example.new"}); m.text("Status") != "Error" {
		t.Errorf("an app was removed twice: %s", m.text("Status"))
	}
	ask(t, s, d, "DeviceLock", map[string]any{"Message": "Please call"})
	ask(t, s, d, "ShutDownDevice", nil)
	if !d.Locked || !d.Off {
		t.Errorf("locked %v, off %v", d.Locked, d.Off)
	}
}

func TestRawCommandKeepsUUIDAndKeys(t *testing.T) {
	var c struct {
		CommandUUID string
		Command     map[string]any
	}
	body := mdmtest.RawCommand(mdmtest.Question{RequestType: "DeviceLock", Keys: map[string]any{"PIN": "123456"}}, "ABC")
	if _, err := plist.Unmarshal(body, &c); err != nil || c.CommandUUID != "ABC" || c.Command["PIN"] != "123456" || c.Command["RequestType"] != "DeviceLock" {
		t.Errorf("%+v, %v", c, err)
	}
}
