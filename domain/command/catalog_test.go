package command_test

import (
	"regexp"
	"slices"
	"testing"

	"github.com/rollcall-mdm/rollcall/domain/command"
)

var platforms = []command.Platform{command.IOS, command.MacOS, command.TVOS, command.VisionOS, command.WatchOS}

func TestCatalogIsWholeAndInOrder(t *testing.T) {
	all := command.Catalog()
	if len(all) != 68 {
		t.Errorf("there are %d commands, want 68", len(all))
	}
	takes, gives, destructive := 0, 0, 0
	for i, s := range all {
		if i > 0 && all[i-1].Type >= s.Type {
			t.Errorf("%s stands after %s", s.Type, all[i-1].Type)
		}
		if found, ok := command.Lookup(s.Type); !ok || found.Type != s.Type {
			t.Errorf("Lookup(%q) finds another", s.Type)
		}
		takes, gives = takes+len(s.Request), gives+len(s.Response)
		if s.Destructive {
			destructive++
		}
	}
	if takes != 267 || gives != 520 || destructive != 21 {
		t.Errorf("the catalogue takes %d keys, gives %d, and %d commands destroy: want 267, 520 and 21", takes, gives, destructive)
	}
	for _, name := range []string{"", "devicelock", "DeviceLock ", "Zzz"} {
		if _, known := command.Lookup(name); known {
			t.Errorf("Lookup(%q) finds something", name)
		}
	}
}

func TestCatalogHoldsSoundFacts(t *testing.T) {
	version := regexp.MustCompile(`^[0-9]+(\.[0-9]+){1,2}$`)
	words := []string{"", "allowed", "required", "forbidden", "ignored"}
	check := func(t *testing.T, where string, s command.Support) {
		for _, v := range []string{s.Introduced, s.Deprecated, s.Removed} {
			if v != "" && !version.MatchString(v) {
				t.Errorf("%s: %q is no version", where, v)
			}
		}
		if !slices.Contains(platforms, s.Platform) || !slices.Contains(words, s.SharedIPad) || !slices.Contains(words, s.UserEnrolment) {
			t.Errorf("%s: %+v is not as it should be", where, s)
		}
		for _, c := range append(slices.Clone(s.Channels), s.SharedChannels...) {
			if c != "device" && c != "user" {
				t.Errorf("%s: no channel is called %q", where, c)
			}
		}
	}
	for _, s := range command.Catalog() {
		if len(s.Support) == 0 {
			t.Errorf("%s exists nowhere", s.Type)
		}
		for _, support := range s.Support {
			if support.Introduced == "" {
				t.Errorf("%s: nobody knows since when it exists on %s", s.Type, support.Platform)
			}
			check(t, s.Type, support)
		}
		for _, k := range append(slices.Clone(s.Request), s.Response...) {
			for _, limit := range k.Limits {
				check(t, s.Type+" "+k.Path, limit)
			}
			for _, v := range k.Allowed {
				for _, limit := range v.Limits {
					check(t, s.Type+" "+k.Path+" "+v.Text, limit)
				}
			}
		}
	}
}

func TestDeviceLockIsAsAppleSays(t *testing.T) {
	s, _ := command.Lookup("DeviceLock")
	if !s.Destructive || s.Group != "security" {
		t.Errorf("DeviceLock is %q, destructive %v", s.Group, s.Destructive)
	}
	mac, exists := s.On(command.MacOS)
	if !exists || mac.Introduced != "10.7" || mac.Rights != 4 || mac.UserEnrolment != "forbidden" || !slices.Equal(mac.Channels, []string{"device"}) {
		t.Errorf("DeviceLock on macOS is %+v", mac)
	}
	if _, exists := s.On(command.TVOS); exists {
		t.Error("DeviceLock exists on tvOS")
	}
	pin := s.Request[slices.IndexFunc(s.Request, func(k command.Key) bool { return k.Path == "PIN" })]
	if pin.Type != "string" || pin.Required || !pin.Secret || !pin.Limits[0].Absent {
		t.Errorf("PIN is %+v", pin)
	}
}

func TestAvailable(t *testing.T) {
	for _, c := range []struct {
		command  string
		platform command.Platform
		version  string
		ok       bool
	}{
		{"DeviceLock", command.IOS, "18.1", true},
		{"DeviceLock", command.IOS, "", true},
		{"DeviceLock", command.TVOS, "18.1", false},
		{"DeviceLock", command.MacOS, "10.6.8", false},
		{"DeviceLock", command.MacOS, "10.7", true},
		{"DeviceLock", command.MacOS, "10.10", true}, // not older than 10.7
		{"RestartDevice", command.IOS, "10.2.9", false},
		{"RestartDevice", command.IOS, "10.3.0", true},
		{"AvailableOSUpdates", command.IOS, "26.9", true},
		{"AvailableOSUpdates", command.IOS, "27", false},
		{"AvailableOSUpdates", command.IOS, "27.0.1", false},
	} {
		s, _ := command.Lookup(c.command)
		if err := s.Available(c.platform, c.version); (err == nil) != c.ok {
			t.Errorf("%s on %s %q: %v", c.command, c.platform, c.version, err)
		}
	}
}
