package profile

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain/command"
)

// wifi is a profile with a payload, without fault.
func wifi(change func(top, payload Values)) Values {
	payload := Values{
		"PayloadType": "com.apple.wifi.managed", "PayloadVersion": 1, "PayloadIdentifier": "com.example.wifi.a", "PayloadUUID": "W-1",
		"SSID_STR": "office", "EncryptionType": "WPA2", "AutoJoin": true,
	}
	top := Values{
		"PayloadType": "Configuration", "PayloadVersion": 1, "PayloadIdentifier": "com.example.wifi", "PayloadUUID": "P-1",
		"PayloadDisplayName": "Wi-Fi", "PayloadContent": []any{payload},
	}
	if change != nil {
		change(top, payload)
	}
	return top
}

func said(all []Finding) string {
	var lines []string
	for _, f := range all {
		line := f.String()
		if f.Warning {
			line = "(" + line + ")"
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func TestWhatIsFoundInAProfile(t *testing.T) {
	add := func(one Values) func(top, payload Values) {
		return func(top, _ Values) { top["PayloadContent"] = append(top["PayloadContent"].([]any), one) }
	}
	payload := func(payloadType string, more Values) Values {
		v := Values{"PayloadType": payloadType, "PayloadVersion": 1, "PayloadIdentifier": "com.example.b", "PayloadUUID": "B-1"}
		for name, value := range more {
			v[name] = value
		}
		return v
	}
	tests := []struct {
		name   string
		change func(top, payload Values)
		found  string // a warning stands in brackets; nothing if all is well
	}{
		{"all is well", nil, ""},
		{"a misspelt key", func(_, p Values) { p["Auto_Join"] = true }, "PayloadContent[0].Auto_Join is not a key of Apple's: is AutoJoin meant?"},
		{"an unknown key", func(_, p Values) { p["Frobnicate"] = true }, "(PayloadContent[0].Frobnicate is not a key of Apple's that is known here: devices pass over what they do not know)"},
		{"an unknown key that looks like a secret", func(_, p Values) { p["pässword: x"] = true }, "(PayloadContent[0].(a key) is not a key of Apple's that is known here: devices pass over what they do not know)"},
		{"the wrong type", func(_, p Values) { p["AutoJoin"] = "yes" }, "PayloadContent[0].AutoJoin must be true or false, not a string"},
		{"a value that is none", func(_, p Values) { p["EncryptionType"] = "WPA9" }, "PayloadContent[0].EncryptionType must be WEP, WPA, WPA2, WPA3, Any or None"},
		{"a variable in its place", func(_, p Values) { p["EncryptionType"] = "%Model%" }, ""},
		{"nothing at all", func(top, _ Values) { delete(top, "PayloadContent") }, "PayloadContent is required"},
		{"enciphered payloads", func(top, _ Values) {
			delete(top, "PayloadContent")
			top["EncryptedPayloadContent"] = []byte{1}
		}, ""},
		{"no version", func(_, p Values) { delete(p, "PayloadVersion") }, "PayloadContent[0].PayloadVersion is required"},
		{"another version", func(top, _ Values) { top["PayloadVersion"] = uint64(2) }, "PayloadVersion must be 1"},
		{"a payload that is none", func(top, _ Values) { top["PayloadContent"] = []any{"x"} }, "PayloadContent[0] must be a dictionary, not a string"},
		{"a payload without a type", add(Values{"PayloadVersion": 1, "PayloadIdentifier": "x", "PayloadUUID": "B"}), "PayloadContent[1].PayloadType is required"},
		{"an unknown type", add(payload("com.apple.frobnicate", nil)), "PayloadContent[1].PayloadType is not a type of Apple's that is known here"},
		{"a misspelt type", add(payload("com.apple.Wifi.managed", nil)), "PayloadContent[1].PayloadType is not a type of Apple's: is com.apple.wifi.managed meant?"},
		{"somebody else's type", add(payload("com.google.Chrome", Values{"X": 1})), "(PayloadContent[1].PayloadType is not one of Apple's: a Mac takes its keys for preferences, other devices pass over it)"},
		{"below the range", add(payload("com.apple.mobiledevice.passwordpolicy", Values{"minLength": 17})), "PayloadContent[1].minLength must be 0 to 16"},
		{"something required within", add(payload("com.apple.security.scep", Values{"PayloadContent": Values{"Keysize": 2048}})), "PayloadContent[1].PayloadContent.URL"},
		{"for another platform", func(top, _ Values) {
			top["TargetDeviceType"] = 5
			top["PayloadContent"] = []any{payload("com.apple.app.lock", Values{"App": Values{"Identifier": "x"}})}
		}, "PayloadContent[0].PayloadType com.apple.app.lock does not exist on macOS, for which TargetDeviceType says the profile is"},
		{"a key for another platform", func(top, _ Values) {
			top["TargetDeviceType"] = 5
			top["PayloadContent"] = []any{payload("com.apple.applicationaccess", Values{"allowAppInstallation": true})}
		}, "PayloadContent[0].allowAppInstallation does not exist on macOS, for which TargetDeviceType says the profile is"},
		{"on no platform together", func(top, _ Values) {
			top["PayloadContent"] = []any{payload("com.apple.app.lock", Values{"App": Values{"Identifier": "x"}}), payload("com.apple.finder", nil)}
		}, "(PayloadContent has payloads that exist together on no platform: each device would pass over some)"},
		{"the same twice", func(top, _ Values) {
			one := payload("com.apple.app.lock", Values{"App": Values{"Identifier": "x"}})
			top["PayloadContent"] = []any{one, one}
		}, "(PayloadContent[1].PayloadType stands twice: a profile has one payload of the type com.apple.app.lock at most)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := said(Lint(wifi(tt.change)))
			if tt.found == "" && got != "" || !strings.HasPrefix(got, tt.found) {
				t.Errorf("it finds\n%s\nwant\n%s", got, tt.found)
			}
		})
	}
}

// plainest is a value of each type.
var plainest = map[string]any{
	"string": "x", "integer": uint64(1), "real": 1.5, "boolean": true, "data": []byte{1}, "date": time.Unix(0, 0), "array": []any{}, "dict": Values{}, "any": "x",
}

// sample returns a value that a key takes, with all that it may hold.
func sample(k *key) any {
	switch {
	case len(k.Allowed) > 0 && k.Type == "string":
		return k.Allowed[0].Text
	case len(k.Allowed) > 0 && k.Type == "integer":
		n := 0
		for _, c := range strings.TrimPrefix(k.Allowed[0].Text, "-") {
			n = n*10 + int(c-'0')
		}
		if strings.HasPrefix(k.Allowed[0].Text, "-") {
			n = -n
		}
		return n
	case k.Min != nil && k.Type == "real":
		return *k.Min
	case k.Min != nil:
		return int(*k.Min)
	case k.Max != nil:
		return int(*k.Max)
	case k.pattern != nil:
		return patterned[k.Pattern]
	case k.Type == "dict":
		v := Values{}
		for name, member := range k.members {
			v[name] = sample(member)
		}
		if k.other != nil {
			v["com.example.own"] = sample(k.other)
		}
		return v
	case k.Type == "array" && k.element != nil:
		return []any{sample(k.element)}
	}
	return plainest[k.Type]
}

// patterned has an example for each pattern of the table.
var patterned = map[string]string{
	`^([0-9A-Fa-f]{2}:){5}([0-9A-Fa-f]{2})$`: "00:11:22:33:44:55", `^([0-9A-Za-z]{6})|([0-9A-Za-z]{9})$`: "abcdef", `^[0-9]{6}$`: "123456", `^https://.*$`: "https://a.example",
	`^[0-9A-Za-z]{8}-[0-9A-Za-z]{4}-[0-9A-Za-z]{4}-[0-9A-Za-z]{4}-[0-9A-Za-z]{12}$`: "00000000-0000-4000-8000-000000000001",
}

// TestAllPayloadTypes walks through all that the table knows: an example with every key passes; each key that is of another type,
// and each required one that is missing, is found where it stands.
func TestAllPayloadTypes(t *testing.T) {
	if n := len(Types()); n < 115 {
		t.Errorf("only %d types are known", n)
	}
	for _, name := range Types() {
		t.Run(name, func(t *testing.T) {
			whole := func() (top, payload Values) {
				payload = sample(table()[name].keys).(Values)
				payload["PayloadType"], payload["PayloadVersion"] = name, 1
				return wifi(func(top, _ Values) { top["PayloadContent"] = []any{payload} }), payload
			}
			top, payload := whole()
			if wrong := Errors(Lint(top)); len(wrong) > 0 {
				t.Fatalf("an example with all keys is refused: %s", said(wrong))
			}
			for member, k := range table()[name].keys.members {
				if member == "PayloadType" {
					continue
				}
				at := "PayloadContent[0]." + member
				if k.Type != "any" {
					payload[member] = odd(k)
					expect(t, top, at)
				}
				delete(payload, member)
				if k.demanded() {
					expect(t, top, at)
				} else if wrong := Errors(Lint(top)); len(wrong) > 0 {
					t.Errorf("without %s, which may be missing, it is refused: %s", member, said(wrong))
				}
				payload[member] = sample(k)
			}
		})
	}
}

// odd returns a value that the key cannot have.
func odd(k *key) any {
	if k.Type == "boolean" {
		return uint64(1)
	}
	return true
}

func expect(t *testing.T, top Values, path string) {
	t.Helper()
	wrong := Errors(Lint(top))
	if !slices.ContainsFunc(wrong, func(f Finding) bool { return f.Path == path }) {
		t.Errorf("%s: it finds %q", path, said(wrong))
	}
}

func TestTheTableIsWhole(t *testing.T) {
	for name, p := range table() {
		if len(p.support) == 0 {
			t.Errorf("%s has no platform", name)
		}
		for _, s := range p.support {
			if !slices.Contains([]command.Platform{"iOS", "macOS", "tvOS", "visionOS", "watchOS"}, s.Platform) {
				t.Errorf("%s is on %s", name, s.Platform)
			}
		}
	}
}
