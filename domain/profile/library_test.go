package profile

import (
	"strings"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
)

func plainStamp(words ...string) string { return strings.Join(words, "|") }

// draft is what somebody puts.
func draft(content string, change func(top, payload Values)) Draft {
	return Draft{Values: wifi(change), Content: []byte(content)}
}

// keeps folds what was decided.
func keeps(t *testing.T, k Kept, events []domain.Event, err error) Kept {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		k = k.Evolve(e, time.Time{})
	}
	return k
}

func TestTheLibraryKeepsVersions(t *testing.T) {
	var k Kept
	uuid := func(u string) func(top, _ Values) { return func(top, _ Values) { top["PayloadUUID"] = u } }
	store := func(content, u string) {
		t.Helper()
		events, err := k.Store(draft(content, uuid(u)), false, plainStamp)
		k = keeps(t, k, events, err)
	}
	store("one", "U1")
	store("one", "U1") // no news
	store("two", "U2")
	if len(k.Versions) != 2 {
		t.Fatalf("there are %d versions", len(k.Versions))
	}
	for which, want := range map[string]string{"": "two", Latest: "two", "1": "one", "2": "two"} {
		if v, err := k.Version(which); err != nil || string(v.Content) != want {
			t.Errorf("version %q is %q (%v), want %q", which, v.Content, err, want)
		}
	}
	for _, which := range []string{"0", "3", "x", "-1"} {
		if _, err := k.Version(which); err == nil {
			t.Errorf("there is a version %s", which)
		}
	}
	events, err := k.Withdraw("gone")
	k = keeps(t, k, events, err)
	if _, err := k.Version("1"); err == nil {
		t.Error("a withdrawn profile is offered")
	}
	if _, err := k.Withdraw("again"); err == nil {
		t.Error("it is withdrawn twice")
	}
	store("two", "U2") // the same content is news now
	if v, err := k.Version(Latest); err != nil || v.Number != 3 {
		t.Errorf("the latest is %d (%v), want 3", v.Number, err)
	}
}

func TestWhatTheLibraryTakes(t *testing.T) {
	tests := []struct {
		name   string
		change func(top, payload Values)
		force  bool
		wrong  string
	}{
		{"all is well", nil, false, ""},
		{"a warning", func(_, p Values) { p["Frobnicate"] = 1 }, false, ""},
		{"a wrong key", func(_, p Values) { p["AutoJoin"] = "yes" }, false, "PayloadContent[0].AutoJoin must be true or false, not a string"},
		{"a wrong key, all the same", func(_, p Values) { p["AutoJoin"] = "yes" }, true, ""},
		{"the UUID of the version before", func(top, _ Values) { top["PayloadUUID"] = "OLD" }, false, "PayloadUUID is that of version 1"},
		{"no name", func(top, _ Values) { delete(top, "PayloadIdentifier") }, true, "PayloadIdentifier"},
		{"no UUID", func(top, _ Values) { delete(top, "PayloadUUID") }, true, "PayloadUUID"},
		{"no profile", func(top, _ Values) { top["PayloadType"] = "Profile Service" }, true, "PayloadType Configuration"},
		{"an enrolment profile", func(_, p Values) { p["PayloadType"] = TypeMDM }, true, "is made by the server"},
		{"a variable", func(_, p Values) { p["SSID_STR"] = "%SerialNumber%" }, false, ""},
		{"a variable that is none", func(_, p Values) { p["SSID_STR"] = "%Serial%" }, true, "no variable is called %Serial%"},
		{"a variable that Macs fill", func(_, p Values) { p["SSID_STR"] = "%AD_ComputerID%" }, false, ""},
		{"a variable in a name", func(_, p Values) { p["PayloadIdentifier"] = "a.%SerialNumber%" }, true, "PayloadIdentifier cannot hold a variable"},
		{"an escaped address", func(_, p Values) { p["SSID_STR"] = "%C3%BC%20x%E4%BC%9A" }, false, ""},
	}
	before := Kept{Versions: []Version{{Number: 1, UUID: "OLD", Content: []byte("old")}}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			events, err := before.Store(draft("new", tt.change), tt.force, plainStamp)
			refused(t, err, tt.wrong)
			for _, e := range events {
				if stored, is := e.(Stored); !is || tt.force != (len(Errors(stored.Findings)) > 0) {
					t.Errorf("it keeps %+v", e)
				}
			}
		})
	}
	d := draft(strings.Repeat("x", maxContent+1), nil)
	_, err := Kept{}.Store(d, true, plainStamp)
	refused(t, err, "at most")
}

func TestWhatIsStoredIsTold(t *testing.T) {
	d := draft("content", func(_, p Values) { p["SSID_STR"] = "%SerialNumber% of %DeviceName%, %SerialNumber%" })
	d.Signer, d.SignedBy = "abc", "CN=Ada"
	events, err := Kept{}.Store(d, false, plainStamp)
	if err != nil {
		t.Fatal(err)
	}
	e := events[0].(Stored)
	if e.Version != 1 || e.UUID != "P-1" || e.Revision != "content" || strings.Join(e.Types, " ") != "com.apple.wifi.managed" ||
		strings.Join(e.Variables, " ") != "DeviceName SerialNumber" || e.Name != "Wi-Fi" || e.Signer != "abc" || e.SignedBy != "CN=Ada" || string(e.Content) != "content" {
		t.Errorf("it is told as %+v", e)
	}
}
