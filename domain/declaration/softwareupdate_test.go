package declaration_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/command"
	"github.com/rollcall-mdm/rollcall/domain/declaration"
)

func TestWhatAnEnforcementAsksFor(t *testing.T) {
	const by = "2026-03-01T18:00:00"
	for _, c := range []struct {
		e       declaration.Enforcement
		because string
	}{
		{declaration.Enforcement{"18.1", "", by, ""}, ""},
		{declaration.Enforcement{"15.3.2", "24D81", by, "https://example.com/why"}, ""},
		{declaration.Enforcement{"18", "", by, ""}, "TargetOSVersion"},
		{declaration.Enforcement{"iOS 18.1", "", by, ""}, "TargetOSVersion"},
		{declaration.Enforcement{"18.1", "latest", by, ""}, "TargetBuildVersion"},
		{declaration.Enforcement{"18.1", "", "2026-03-01", ""}, "TargetLocalDateTime"},
		{declaration.Enforcement{"18.1", "", "2026-03-01T18:00:00Z", ""}, "TargetLocalDateTime"},
		{declaration.Enforcement{"18.1", "", "2026-02-30T18:00:00", ""}, "TargetLocalDateTime"},
		{declaration.Enforcement{"18.1", "", by, "http://example.com"}, "DetailsURL"},
	} {
		payload, err := c.e.Payload()
		if refusal, refused := domain.Refused(err); refused != (c.because != "") || refused && !strings.Contains(refusal.Text, c.because) {
			t.Errorf("%+v: %v, want %q", c.e, err, c.because)
		}
		if err != nil {
			continue
		}
		if err := declaration.Check(declaration.UpdateEnforcement, payload); err != nil || declaration.ParseEnforcement(payload) != c.e {
			t.Errorf("%s is not what devices take: %v", payload, err)
		}
	}
}

func TestWhetherADeviceRunsWhatItIsToRun(t *testing.T) {
	for _, c := range []struct {
		target, build, version string
		builds                 []string
		met                    bool
	}{
		{"18.1", "", "18.0.1", nil, false}, {"18.1", "", "18.1", nil, true}, {"18.1", "", "18.2", nil, true}, {"18.1", "", "26.0", nil, true},
		{"18.1", "", "", nil, false}, {"18.10", "", "18.9", nil, false},
		{"18.1", "22B83", "18.1", []string{"22B82"}, false}, {"18.1", "22B83", "18.1", []string{"22B82", "22B83"}, true}, {"18.1", "22B83", "18.2", []string{"22C1"}, true},
	} {
		if got := (declaration.Enforcement{TargetOSVersion: c.target, TargetBuildVersion: c.build}).Met(c.version, c.builds...); got != c.met {
			t.Errorf("%s %s on a device with %s %v: %v", c.target, c.build, c.version, c.builds, got)
		}
	}
	e := declaration.Enforcement{TargetLocalDateTime: "2026-03-01T18:00:00"}
	for at, passed := range map[string]bool{"2026-03-01T18:00:00Z": false, "2026-03-02T05:59:59Z": false, "2026-03-02T06:00:01Z": true} {
		now, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		if e.Passed(now) != passed {
			t.Errorf("at %s the moment is passed: %v", at, !passed)
		}
	}
}

func TestWhichDevicesAnUpdateSuits(t *testing.T) {
	yes := command.Yes
	for _, c := range []struct {
		version string
		target  command.Target
		because string
	}{
		{"18.1", command.Target{Platform: command.IOS, Version: "18.0"}, ""},
		{"18.1", command.Target{Platform: command.IOS, Version: "18.1"}, ""}, // it keeps it there
		{"18.1", command.Target{Platform: command.IOS, Version: "18.2"}, "newer than 18.1"},
		{"18.1", command.Target{Platform: command.IOS, Version: "16.7"}, "came with iOS 17.0"},
		{"18.1", command.Target{Platform: command.MacOS, Version: "15.0"}, "there is no macOS 18.1"},
		{"26.1", command.Target{Platform: command.MacOS, Version: "15.0"}, ""},
		{"18.1", command.Target{Platform: command.WatchOS, Version: "11.0"}, "does not exist on watchOS"},
		{"18.1", command.Target{Platform: command.IOS, Version: "18.0", User: true}, "device channel alone"},
		{"18.1", command.Target{Platform: command.IOS, Version: "18.0", UserEnrolment: yes}, "kind of enrolment"},
		{"18.1", command.Target{}, ""},
	} {
		err := declaration.Enforcement{TargetOSVersion: c.version, TargetLocalDateTime: "2026-03-01T18:00:00"}.Suits(c.target)
		if refusal, refused := domain.Refused(err); refused != (c.because != "") || refused && !strings.Contains(refusal.Text, c.because) {
			t.Errorf("%s on %+v: %v, want %q", c.version, c.target, err, c.because)
		}
	}
	if e := declaration.ParseEnforcement(json.RawMessage(`[]`)); e != (declaration.Enforcement{}) {
		t.Errorf("what is no payload asks for %+v", e)
	}
}
