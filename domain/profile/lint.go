package profile

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/rollcall-mdm/rollcall/domain/command"
)

// A Finding is what is wrong, or may be wrong, with a profile. It never quotes a value.
type Finding struct {
	Path    string `json:",omitempty"` // PayloadContent[1].Keysize
	Text    string // what was expected
	Warning bool   `json:",omitempty"` // a device may take it all the same
}

func (f Finding) String() string {
	if f.Path == "" {
		return f.Text
	}
	return f.Path + " " + f.Text
}

// Errors returns the findings that are no warnings.
func Errors(all []Finding) (wrong []Finding) {
	for _, f := range all {
		if !f.Warning {
			wrong = append(wrong, f)
		}
	}
	return wrong
}

// A linter holds a profile to Apple's keys.
type linter struct {
	found    []Finding
	platform command.Platform // the profile is for this one alone; empty if for any
}

// Lint tells in which places a profile is not what Apple's keys say. Payloads of other makers, whose keys nobody lists, are
// named, and keys that are not in the list: devices pass over what they do not know. A misspelt key is an error.
// Source: Apple's schema of profiles, as payloads.txt has it.
func Lint(p Values) []Finding {
	l := &linter{platform: targets[whole(p["TargetDeviceType"])]}
	top := table()[topLevel]
	l.dict(top.keys, "", p)
	content, has := p["PayloadContent"].([]any)
	if _, sealed := p["EncryptedPayloadContent"]; !has && !sealed {
		l.wrong("PayloadContent", "is required")
	}
	seen := map[string]int{}
	for i, one := range content {
		at := "PayloadContent[" + strconv.Itoa(i) + "]"
		v, is := one.(map[string]any)
		if !is {
			continue // the shape of the profile says so
		}
		l.payload(at, v, seen)
	}
	l.together(p)
	return l.found
}

// targets are the platforms that TargetDeviceType names.
var targets = map[int]command.Platform{1: "iOS", 2: "watchOS", 4: "tvOS", 5: "macOS", 6: "visionOS"}

func (l *linter) wrong(path, format string, args ...any) {
	l.found = append(l.found, Finding{Path: path, Text: fmt.Sprintf(format, args...)})
}

func (l *linter) warn(path, format string, args ...any) {
	l.found = append(l.found, Finding{path, fmt.Sprintf(format, args...), true})
}

// payload holds one payload to its type's keys.
func (l *linter) payload(at string, v Values, seen map[string]int) {
	name := text(v, "PayloadType")
	t, known := table()[name]
	if !known || name == topLevel || name == common {
		l.dict(table()[common].keys, at, onlyCommon(v))
		l.unknownType(at, name)
		return
	}
	if seen[name]++; t.single && seen[name] == 2 {
		l.warn(at+".PayloadType", "stands twice: a profile has one payload of the type %s at most", name)
	}
	if l.platform != "" && !slices.ContainsFunc(t.support, func(s command.Support) bool { return s.Platform == l.platform }) {
		l.wrong(at+".PayloadType", "%s does not exist on %s, for which TargetDeviceType says the profile is", name, l.platform)
	}
	l.dict(t.keys, at, v)
}

// onlyCommon leaves of a payload the keys that all payloads have.
func onlyCommon(v Values) Values {
	kept := Values{}
	for name := range table()[common].keys.members {
		if value, has := v[name]; has {
			kept[name] = value
		}
	}
	return kept
}

func (l *linter) unknownType(at, name string) {
	switch {
	case name == "":
		return // it is required: that is said already
	case !strings.HasPrefix(name, "com.apple."):
		l.warn(at+".PayloadType", "is not one of Apple's: a Mac takes its keys for preferences, other devices pass over it")
	default:
		for known := range table() {
			if alike(known, name) {
				l.wrong(at+".PayloadType", "is not a type of Apple's: is %s meant?", known)
				return
			}
		}
		l.wrong(at+".PayloadType", "is not a type of Apple's that is known here")
	}
}

// together looks for payloads that no device has all of.
func (l *linter) together(p Values) {
	content, _ := p["PayloadContent"].([]any)
	left := map[command.Platform]bool{"iOS": true, "macOS": true, "tvOS": true, "visionOS": true, "watchOS": true}
	for _, one := range content {
		v, _ := one.(map[string]any)
		t, known := table()[text(v, "PayloadType")]
		if !known {
			continue
		}
		maps.DeleteFunc(left, func(platform command.Platform, _ bool) bool {
			return !slices.ContainsFunc(t.support, func(s command.Support) bool { return s.Platform == platform })
		})
	}
	if len(left) == 0 {
		l.warn("PayloadContent", "has payloads that exist together on no platform: each device would pass over some")
	}
}
