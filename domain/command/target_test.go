package command_test

import (
	"strings"
	"testing"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/command"
)

// What is refused, and the words in which it is told. Everything that is not known refuses nothing.
func TestWhatCannotWorkIsRefusedWithAReason(t *testing.T) {
	type params = map[string]any
	yes, no := command.Yes, command.No
	for _, c := range []struct {
		command string
		target  command.Target
		params  params
		because string // part of the refusal; empty if there is none
	}{
		// the platform and its version
		{"DeviceLock", command.Target{}, nil, ""},
		{"DeviceLock", command.Target{Platform: command.IOS}, nil, ""},
		{"DeviceLock", command.Target{Platform: command.TVOS}, nil, "does not exist on tvOS"},
		{"RestartDevice", command.Target{Platform: command.IOS, Version: "10.2"}, nil, "came with iOS 10.3; the device has 10.2"},
		{"ScheduleOSUpdateScan", command.Target{Platform: command.MacOS, Version: "27.0"}, nil, "went with macOS 27.0"},
		{"ScheduleOSUpdateScan", command.Target{Platform: command.MacOS, Version: "26.4 (a)"}, nil, ""},
		// the channel
		{"DeviceLock", command.Target{Platform: command.MacOS, User: true}, nil, "device channel alone"},
		{"NSExtensionMappings", command.Target{Platform: command.MacOS}, nil, "user channel alone"},
		{"NSExtensionMappings", command.Target{Platform: command.MacOS, User: true}, nil, ""},
		{"ProfileList", command.Target{Platform: command.IOS, User: true}, nil, ""},
		{"UserConfigured", command.Target{Platform: command.IOS, User: true}, nil, ""},
		{"SecurityInfo", command.Target{Platform: command.IOS, User: true}, nil, "device channel alone"},
		{"CertificateList", command.Target{Platform: command.TVOS, User: true}, nil, "device channel alone"},
		// supervision and enrolment
		{"RestartDevice", command.Target{Platform: command.IOS, Supervised: no}, nil, "needs a supervised device"},
		{"RestartDevice", command.Target{Platform: command.IOS, Supervised: yes}, nil, ""},
		{"RestartDevice", command.Target{Platform: command.MacOS, Supervised: no}, nil, ""},
		{"SetAutoAdminPassword", command.Target{Platform: command.MacOS, Automated: no}, params{"GUID": "g", "passwordHash": "aGk="}, "Automated Device Enrolment"},
		{"EraseDevice", command.Target{Platform: command.IOS, UserEnrolment: yes}, nil, "not allowed in a User Enrolment"},
		{"ClearPasscode", command.Target{Platform: command.IOS, SharedIPad: yes}, nil, "does not exist on a Shared iPad"},
		{"DeleteUser", command.Target{Platform: command.IOS, SharedIPad: no}, nil, "exists on a Shared iPad alone"},
		{"DeleteUser", command.Target{Platform: command.IOS, SharedIPad: yes}, nil, ""},
		// access rights
		{"DeviceLock", command.Target{Platform: command.IOS, Rights: 1}, nil, "needs the access right to lock the device and remove its passcode (4)"},
		{"DeviceLock", command.Target{Platform: command.IOS, Rights: 4}, nil, ""},
		{"DeviceLock", command.Target{Platform: command.IOS, Rights: 1, UserEnrolment: yes}, nil, ""},
		{"EraseDevice", command.Target{Platform: command.MacOS, Rights: 8191 &^ 8}, nil, "erase the device (8)"},
		{"Settings", command.Target{Platform: command.IOS, Rights: 2048}, params{"Settings": []any{params{"Item": "ApplicationConfiguration", "Identifier": "a"}}}, "manage apps (4096)"},
		// keys and values
		{"DeviceLock", command.Target{Platform: command.IOS}, params{"PIN": "(secret)"}, "PIN does not exist on iOS"},
		{"DeviceLock", command.Target{Platform: command.MacOS, Version: "14.0"}, params{"PIN": "(secret)"}, ""},
		{"CertificateList", command.Target{Platform: command.IOS, Version: "12.4"}, params{"ManagedOnly": true}, "came with iOS 13.0"},
		{"Settings", command.Target{Platform: command.IOS, Supervised: no}, params{"Settings": []any{params{"Item": "Bluetooth", "Enabled": true}}}, "Settings: Bluetooth needs a supervised device"},
		{"Settings", command.Target{Platform: command.TVOS}, params{"Settings": []any{params{"Item": "Bluetooth", "Enabled": true}}}, "Bluetooth does not exist on tvOS"},
		{"DeviceInformation", command.Target{Platform: command.TVOS}, params{"Queries": []any{"IMEI", "OSVersion"}}, ""},
	} {
		spec, known := command.Lookup(c.command)
		if !known {
			t.Fatalf("no %s", c.command)
		}
		err := spec.Suits(c.target, c.params)
		refusal, refused := domain.Refused(err)
		switch {
		case refused != (c.because != ""):
			t.Errorf("%s on %+v: %v, want %q", c.command, c.target, err, c.because)
		case refused && !strings.Contains(refusal.Text, c.because):
			t.Errorf("%s on %+v: %q, want %q", c.command, c.target, refusal.Text, c.because)
		}
	}
}

func TestPlatforms(t *testing.T) {
	for product, want := range map[string]command.Platform{
		"iPhone15,2": command.IOS, "iPad13,18": command.IOS, "iPod9,1": command.IOS, "Mac15,3": command.MacOS, "MacBookPro18,1": command.MacOS,
		"iMac21,1": command.MacOS, "VirtualMac2,1": command.MacOS, "AppleTV11,1": command.TVOS, "Watch6,1": command.WatchOS,
		"RealityDevice14,1": command.VisionOS, "": "", "Toaster1,1": "",
	} {
		if got := command.PlatformOf(product); got != want {
			t.Errorf("%q is %q, want %q", product, got, want)
		}
	}
}

func TestACheckedCommand(t *testing.T) {
	c, err := command.New("DeviceLock", map[string]any{"PIN": "123456"})
	if err != nil || c.RequestType() != "DeviceLock" || c.Native()["PIN"] != "123456" {
		t.Errorf("it is %+v, %v", c, err)
	}
	if params, err := command.Parameters(c); err != nil || params["PIN"] != "123456" {
		t.Errorf("its parameters are %v, %v", params, err)
	}
	for _, wrong := range []map[string]any{{"PIN": "12345"}, {"Pin": "123456"}, {"PIN": 123456}} {
		if _, err := command.New("DeviceLock", wrong); err == nil {
			t.Errorf("%v is taken", wrong)
		}
	}
	if _, err := command.New("Devicelock", nil); err == nil {
		t.Error("a command that nobody has is made")
	}
}
