package declaration_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/command"
	"github.com/rollcall-mdm/rollcall/domain/declaration"
)

func TestWhatCannotWorkOnADeviceIsSaidWithAReason(t *testing.T) {
	const settings, bookmarks, math, packages = "com.apple.configuration.softwareupdate.settings", "com.apple.configuration.safari.bookmarks",
		"com.apple.configuration.math.settings", "com.apple.configuration.package"
	yes, no := command.Yes, command.No
	for _, c := range []struct {
		kind, payload string
		target        command.Target
		because       string // part of it; empty if nothing speaks against it
	}{
		// what is not known speaks against nothing
		{passcode, `{"MinimumLength":6}`, command.Target{}, ""},
		{passcode, `{"MinimumLength":6}`, command.Target{Platform: command.IOS}, ""},
		{"com.apple.configuration.new.thing", `{"A":1}`, command.Target{Platform: command.IOS, Version: "26.0"}, ""},
		{passcode, ``, command.Target{Platform: command.IOS, Version: "26.0"}, ""},
		// the platform and its version
		{passcode, `{}`, command.Target{Platform: command.TVOS}, "does not exist on tvOS"},
		{enforcement, `{}`, command.Target{Platform: command.IOS, Version: "16.7"}, "came with iOS 17.0; the device has 16.7"},
		{enforcement, `{"TargetOSVersion":"18.1","TargetLocalDateTime":"2026-03-01T18:00:00"}`, command.Target{Platform: command.MacOS, Version: "14.0"}, ""},
		// keys
		{settings, `{"Deferrals":{"MajorPeriodInDays":30}}`, command.Target{Platform: command.IOS, Version: "18.0"}, "Deferrals.MajorPeriodInDays does not exist on iOS"},
		{settings, `{"Deferrals":{"MajorPeriodInDays":30}}`, command.Target{Platform: command.MacOS, Version: "15.0"}, ""},
		{settings, `{"Beta":{"ProgramEnrollment":"AlwaysOff"}}`, command.Target{Platform: command.MacOS, Version: "15.1"}, "Beta came with macOS 15.4"},
		// the channel: system and user scope
		{enforcement, `{"TargetOSVersion":"15.1","TargetLocalDateTime":"2026-03-01T18:00:00"}`, command.Target{Platform: command.MacOS, Version: "15.0", User: true}, "exists on the device channel alone"},
		{math, `{}`, command.Target{Platform: command.MacOS, Version: "15.0"}, "exists on the user channel alone"},
		{math, `{}`, command.Target{Platform: command.MacOS, Version: "15.0", User: true}, ""},
		{bookmarks, `{"ManagedBookmarks":[]}`, command.Target{Platform: command.IOS, Version: "26.0", SharedIPad: yes}, "exists on the user channel alone"},
		{bookmarks, `{"ManagedBookmarks":[]}`, command.Target{Platform: command.IOS, Version: "26.0", User: true}, ""},
		{"com.apple.asset.data", `{"Reference":{"DataURL":"https://example.com"}}`, command.Target{Platform: command.MacOS, Version: "15.0", User: true}, ""},
		{"com.apple.configuration.watch.enrollment", `{"EnrollmentProfileURL":"https://example.com","AnchorCertificateAssetReferences":[]}`, command.Target{Platform: command.IOS, SharedIPad: yes, Version: "17.0"}, "Shared iPad"},
		// the kind of enrolment
		{packages, `{"ManifestURL":"https://example.com"}`, command.Target{Platform: command.MacOS, Version: "26.0", Supervised: no}, "the device must be supervised"},
		{packages, `{"ManifestURL":"https://example.com"}`, command.Target{Platform: command.MacOS, Version: "26.0", Supervised: yes}, ""},
		{packages, `{"ManifestURL":"https://example.com"}`, command.Target{Platform: command.MacOS, Version: "26.0", Supervised: yes, UserEnrolment: yes}, "the device must be supervised"},
		{enforcement, `{}`, command.Target{Platform: command.IOS, Version: "17.0", UserEnrolment: yes}, "the device must be supervised or enrolled without supervision"},
		{"com.apple.configuration.legacy", `{"ProfileURL":"https://example.com"}`, command.Target{Platform: command.MacOS, Version: "15.0", UserEnrolment: yes, Supervised: no}, ""},
		{"com.apple.configuration.legacy", `{"ProfileURL":"https://example.com"}`, command.Target{Platform: command.WatchOS, Version: "10.0", Supervised: no}, "the device must be supervised"},
	} {
		err := declaration.Suits(c.kind, json.RawMessage(c.payload), c.target)
		refusal, _ := domain.Refused(err)
		if (err != nil) != (c.because != "") || refusal != nil && !strings.Contains(refusal.Text, c.because) {
			t.Errorf("%s %s on %+v: %v, want %q", c.kind, c.payload, c.target, err, c.because)
		}
	}
}

// Every declaration of Apple's says on which platforms it exists, and, if it is a configuration, for whom.
func TestEveryConfigurationSaysForWhomItIs(t *testing.T) {
	for _, s := range command.Declarations() {
		for _, on := range s.Support {
			if len(on.Channels) == 0 || s.Group == "configuration" && len(on.Enrolments) == 0 || on.Introduced == "" {
				t.Errorf("%s on %s: %+v", s.Type, on.Platform, on)
			}
			if on.Platform == command.IOS && (len(on.SharedChannels) == 0) != (on.SharedIPad == "forbidden") {
				t.Errorf("%s on a Shared iPad: %+v", s.Type, on)
			}
		}
	}
}
