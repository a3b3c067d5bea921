package command

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestCatalogueMarksEverySecret holds the catalogue against a list of its own.
func TestCatalogueMarksEverySecret(t *testing.T) {
	want := map[string][]string{
		"ClearPasscode":                   {"UnlockToken"},
		"RequestUnlockToken":              {"UnlockToken"},
		"EraseDevice":                     {"PIN", "ReturnToService.WiFiProfileData", "ReturnToService.MDMProfileData", "ReturnToService.BootstrapToken"},
		"SecurityInfo":                    {"SecurityInfo.FDE_PersonalRecoveryKeyCMS"},
		"RotateFileVaultKey":              {"FileVaultUnlock.Password", "FileVaultUnlock.PrivateKeyExport", "FileVaultUnlock.PrivateKeyExportPassword", "RotateResult.EncryptedNewRecoveryKey"},
		"DeviceLock":                      {"PIN"},
		"DeviceLocation":                  {"Latitude", "Longitude", "HorizontalAccuracy", "VerticalAccuracy", "Altitude", "Speed", "Course", "Timestamp"},
		"SetFirmwarePassword":             {"CurrentPassword", "NewPassword"},
		"VerifyFirmwarePassword":          {"Password"},
		"SetRecoveryLock":                 {"CurrentPassword", "NewPassword"},
		"VerifyRecoveryLock":              {"Password"},
		"SetAutoAdminPassword":            {"passwordHash"},
		"AccountConfiguration":            {"AutoSetupAdminAccounts[].passwordHash"},
		"ActivationLockBypassCode":        {"ActivationLockBypassCode"},
		"RequestMirroring":                {"Password"},
		"ApplyRedemptionCode":             {"RedemptionCode"},
		"ManagedApplicationList":          {"ManagedApplicationList.*.UnusedRedemptionCode"},
		"ManagedApplicationConfiguration": {"ApplicationConfigurations[].Configuration"},
		"InstallProfile":                  {"Payload"},
		"InstallApplication":              {"Configuration"},
		"InstallEnterpriseApplication":    {"Configuration"},
		"Settings":                        {"Settings[ApplicationConfiguration].Configuration"},
		"TriggerEnhancedLogCollection":    {"AppleCareToken"},
	}
	got := map[string][]string{}
	for _, s := range Catalog() {
		for _, k := range append(slices.Clone(s.Request), s.Response...) {
			if k.Secret {
				got[s.Type] = append(got[s.Type], k.Path)
			}
		}
	}
	for _, paths := range []map[string][]string{want, got} {
		for _, p := range paths {
			slices.Sort(p)
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("secret are %v,\nwant %v", got, want)
	}
}

// TestSplitFindsEveryCanary puts a canary at each secret place of each command and of each result.
func TestSplitFindsEveryCanary(t *testing.T) {
	for _, s := range Catalog() {
		for _, keys := range [][]Key{s.Request, s.Response} {
			secrets := 0
			for _, k := range keys {
				if k.Secret {
					secrets++
				}
			}
			whole := exampleOf(shapeOf(keys))
			n := plant(shapeOf(keys), whole)
			if n != secrets {
				t.Fatalf("%s: %d canaries at %d places", s.Type, n, secrets)
			}
			text, _ := json.Marshal(whole)
			masked, cut, err := Split(s.Type, text)
			if err != nil || bytes.Contains(masked, []byte(canary)) || len(cut) != secrets || !json.Valid(masked) {
				t.Errorf("%s: Split leaves %s, cuts %d of %d, err %v", s.Type, masked, len(cut), secrets, err)
			}
			if secrets == 0 && !bytes.Equal(masked, text) {
				t.Errorf("%s has no secret, but Split changes it", s.Type)
			}
			for path, secret := range cut {
				if !strings.Contains(string(secret), canary) {
					t.Errorf("%s: %s holds no canary", s.Type, path)
				}
			}
		}
	}
}

// plant puts a canary at each secret place and returns how many.
func plant(s *shape, v any) int {
	n := 0
	switch v := v.(type) {
	case map[string]any:
		for name, e := range v {
			member := s.members[name]
			if member == nil {
				member = s.other
			}
			if member.Secret {
				v[name] = map[string]any{"deep": []any{canary}}
				n++
				continue
			}
			n += plant(member, e)
		}
	case []any:
		for i, e := range v {
			if s.element != nil {
				n += plant(s.element, e)
			} else {
				n += plant(s.items[s.labels[i]], e)
			}
		}
	}
	return n
}

func TestSplit(t *testing.T) {
	for _, c := range []struct {
		name, command, keys, masked string
		secrets                     map[string]string
	}{
		{"a setting by its Item", "Settings",
			`{"Settings":[{"Configuration":{"k":"}"},"Item":"ApplicationConfiguration"},{"Item":"Wallpaper","Configuration":1}]}`,
			`{"Settings":[{"Configuration":"•••","Item":"ApplicationConfiguration"},{"Item":"Wallpaper","Configuration":1}]}`,
			map[string]string{"Settings[0].Configuration": `{"k":"}"}`}},
		{"a setting that hides its Item", "Settings",
			`{"Settings":[{"Configuration":"s"},{"Item":7,"Configuration":"t"},{"Item":"Wallpaper","Item":"ApplicationConfiguration","Configuration":"u"}]}`,
			`{"Settings":[{"Configuration":"•••"},{"Item":7,"Configuration":"•••"},{"Item":"Wallpaper","Item":"ApplicationConfiguration","Configuration":"•••"}]}`,
			map[string]string{"Settings[0].Configuration": `"s"`, "Settings[1].Configuration": `"t"`, "Settings[2].Configuration": `"u"`}},
		{"a setting that stands alone", "Settings",
			`{"Settings":{"Item":"ApplicationConfiguration","Configuration":"s"}}`,
			`{"Settings":{"Item":"ApplicationConfiguration","Configuration":"•••"}}`,
			map[string]string{"Settings.Configuration": `"s"`}},
		{"an array where Apple has none", "EraseDevice",
			`{"ReturnToService":[{"WiFiProfileData":"s"}],"PIN":null}`, `{"ReturnToService":[{"WiFiProfileData":"•••"}],"PIN":"•••"}`,
			map[string]string{"ReturnToService[0].WiFiProfileData": `"s"`, "PIN": `null`}},
		{"any name", "ManagedApplicationList",
			`{ "ManagedApplicationList" : { "com.example" : { "UnusedRedemptionCode" : "s" , "Status" : "Managed" } } }`,
			`{"ManagedApplicationList":{"com.example":{"UnusedRedemptionCode":"•••","Status":"Managed"}}}`,
			map[string]string{"ManagedApplicationList.com.example.UnusedRedemptionCode": `"s"`}},
		{"a key in escapes", "DeviceLock", `{"\u0050IN":"s","a\"b":[1,{}]}`, `{"\u0050IN":"•••","a\"b":[1,{}]}`, map[string]string{"PIN": `"s"`}},
		{"an unknown command's suspects", "FutureCommand",
			`{"A":[{"password":"s","B":{"UnlockToken":"t"}}],"PIN":"u","Pinned":true}`,
			`{"A":[{"password":"•••","B":{"UnlockToken":"•••"}}],"PIN":"•••","Pinned":true}`,
			map[string]string{"A[0].password": `"s"`, "A[0].B.UnlockToken": `"t"`, "PIN": `"u"`}},
		{"a key that is not in the catalogue, named like a secret", "DeviceInformation",
			`{"QueryResponses":{"UDID":"u","Password":"s","WiFi":{"psk":"t","Name":"n"},"PushToken":"p","APIKeys":["v",{"a":"w"}]}}`,
			`{"QueryResponses":{"UDID":"u","Password":"•••","WiFi":{"psk":"•••","Name":"n"},"PushToken":"p","APIKeys":"•••"}}`,
			map[string]string{"QueryResponses.Password": `"s"`, "QueryResponses.WiFi.psk": `"t"`, "QueryResponses.APIKeys": `["v",{"a":"w"}]`}},
		{"one of a command that has no secrets, in escapes", "InstalledApplicationList",
			`{"InstalledApplicationList":[{"Identifier":"a","License\u0050assword":"s"}]}`,
			`{"InstalledApplicationList":[{"Identifier":"a","License\u0050assword":"•••"}]}`,
			map[string]string{"InstalledApplicationList[0].LicensePassword": `"s"`}},
		{"one behind a colon", "ProfileList", `{"a:token:b" : "s"}`, `{"a:token:b":"•••"}`, map[string]string{"a:token:b": `"s"`}},
		{"yes, no and nothing betray nothing", "SecurityInfo",
			`{"SecurityInfo":{"HasRecoveryPassword":true,"OtherKey":null,"NewPIN":123456,"PasscodePresent":true}}`,
			`{"SecurityInfo":{"HasRecoveryPassword":true,"OtherKey":null,"NewPIN":"•••","PasscodePresent":true}}`,
			map[string]string{"SecurityInfo.NewPIN": `123456`}},
		{"names that others give", "ManagedApplicationList",
			`{"ManagedApplicationList":{"com.example.token":{"Status":"Managed"}}}`, `{"ManagedApplicationList":{"com.example.token":{"Status":"Managed"}}}`, nil},
		{"restrictions of passcodes", "Restrictions",
			`{"GlobalRestrictions":{"restrictedBool":{"forcePIN":{"value":true}},"restrictedValue":{"maxPINAgeInDays":{"value":90}}}}`,
			`{"GlobalRestrictions":{"restrictedBool":{"forcePIN":{"value":true}},"restrictedValue":{"maxPINAgeInDays":{"value":90}}}}`, nil},
		{"what an app tells", "ManagedApplicationFeedback",
			`{"ManagedApplicationFeedback":[{"Identifier":"a","Feedback":{"sessionToken":"s","level":3}}]}`,
			`{"ManagedApplicationFeedback":[{"Identifier":"a","Feedback":{"sessionToken":"•••","level":3}}]}`,
			map[string]string{"ManagedApplicationFeedback[0].Feedback.sessionToken": `"s"`}},
		{"nothing secret in it", "DeviceLock", ` {"Message":"m"} `, ` {"Message":"m"} `, nil},
		{"no object at all", "DeviceLock", `"PIN"`, `"PIN"`, nil},
	} {
		masked, secrets, err := Split(c.command, json.RawMessage(c.keys))
		if err != nil || string(masked) != c.masked {
			t.Errorf("%s: %s, want %s, err %v", c.name, masked, c.masked, err)
		}
		got := map[string]string{}
		for path, s := range secrets {
			got[path] = string(s)
		}
		if !maps.Equal(got, c.secrets) {
			t.Errorf("%s: secrets %v, want %v", c.name, got, c.secrets)
		}
	}
	if _, _, err := Split("DeviceLock", json.RawMessage(`{"PIN":"`+canary)); err == nil || strings.Contains(err.Error(), canary) {
		t.Errorf("broken JSON gives %v", err)
	}
}

func TestWhatIsNamedLikeASecret(t *testing.T) {
	for name, want := range map[string]bool{
		"Password": true, "passwordHash": true, "OldPasscode": true, "WiFiPassphrase": true, "client_secret": true, "SAML-Token": true,
		"RecoveryKey": true, "FDE_PersonalRecoveryKeyCMS": true, "SIMPIN": true, "sim_pin": true, "PIN2": true, "apikeys": true, "key": true,
		"KEY": true, "PSK": true, "LoginCredentials": true, "BypassCode": true, "Ü key": true,
		"": false, "Keynote": false, "Keyboard": false, "com.apple.keychain": false, "Pinned": false, "Spinning": false, "MonkeyCount": false,
		"CountryCode": false, "Passing": false, "KeyboardLayout": false, "Company": false, "Ü": false,
	} {
		if got := suspicious(name); got != want {
			t.Errorf("%q is named like a secret: %v", name, got)
		}
	}
}

func TestSplitDoesNotReadWhatHasNoSecrets(t *testing.T) {
	big := json.RawMessage(`{"InstalledApplicationList":[` + strings.Repeat(`{"Identifier":"a"},`, 1000) + `{}]}`)
	if n := testing.AllocsPerRun(100, func() { _, _, _ = Split("InstalledApplicationList", big) }); n != 0 {
		t.Errorf("Split allocates %v times", n)
	}
}

func TestMaskParameters(t *testing.T) {
	for _, c := range [][3]string{
		{"DeviceLock", `{"PIN":"123456","Message":"m"}`, `{"PIN":"•••","Message":"m"}`},
		{"FutureCommand", `{"Anything":"s"}`, `{"sealed":true}`},
		{"FutureCommand", ``, ``},
		{"DeviceInformation", `{"Queries":["UDID"]}`, `{"Queries":["UDID"]}`},
	} {
		if got, err := MaskParameters(c[0], json.RawMessage(c[1])); err != nil || string(got) != c[2] {
			t.Errorf("%s: %s, want %s, err %v", c[0], got, c[2], err)
		}
	}
}

func FuzzSplit(f *testing.F) {
	f.Add("Settings", []byte(`{"Settings":[{"Item":"ApplicationConfiguration","Configuration":{"a":[1,2,"\"}"]}}]}`))
	f.Add("Future", []byte(`{"a":[{"password":"p"}]}`))
	f.Add("ManagedApplicationList", []byte(`{"ManagedApplicationList":{"a":{"UnusedRedemptionCode":1}}}`))
	f.Add("InstalledApplicationList", []byte(`{"a":"b\\\":","x:y\\"z" : {"License \u0050IN":7},"Tok\u0065n":"t"}`))
	f.Add("EraseDevice", []byte(`{"ReturnToService":{"WiFiProfileData":"aGk="},"PIN":"1"}`))
	f.Fuzz(func(t *testing.T, requestType string, keys []byte) {
		masked, secrets, err := Split(requestType, keys)
		if s, known := Lookup(requestType); err == nil && known && len(secrets) == 0 && json.Valid(keys) {
			c := cutter{src: keys}
			if c.value(s.places, ""); len(c.secrets) > 0 {
				t.Fatalf("%s holds %v, which was overlooked", keys, c.secrets)
			}
		}
		if err != nil || len(secrets) == 0 {
			return
		}
		var before, after any
		if json.Unmarshal(keys, &before) != nil || json.Unmarshal(masked, &after) != nil {
			t.Fatalf("%s became %s", keys, masked)
		}
		if again, _, err := Split(requestType, masked); err != nil || !bytes.Equal(again, masked) {
			t.Fatalf("%s became %s the second time", masked, again)
		}
		if where := differ(before, after, ""); where != "" {
			t.Fatalf("%s became %s: %s differs", keys, masked, where)
		}
	})
}

// differ returns where b differs from a but by a mask.
func differ(a, b any, path string) string {
	if b == Mask {
		return ""
	}
	switch a := a.(type) {
	case map[string]any:
		b, _ := b.(map[string]any)
		if len(a) != len(b) {
			return path
		}
		for name := range a {
			if where := differ(a[name], b[name], path+"."+name); where != "" {
				return where
			}
		}
		return ""
	case []any:
		b, _ := b.([]any)
		if len(a) != len(b) {
			return path
		}
		for i := range a {
			if where := differ(a[i], b[i], fmt.Sprintf("%s[%d]", path, i)); where != "" {
				return where
			}
		}
		return ""
	}
	if reflect.DeepEqual(a, b) {
		return ""
	}
	return path + " "
}

func BenchmarkSplit(b *testing.B) {
	for name, keys := range map[string]string{
		"none":     `{"QueryResponses":{"UDID":"x"}}`,
		"settings": `{"Settings":[{"Item":"ApplicationConfiguration","Identifier":"a","Configuration":{"x":[1,2,3]}},{"Item":"DeviceName","DeviceName":"x"}]}`,
		"apps": `{"InstalledApplicationList":[` + strings.Repeat(`{"AdHocCodeSigned":false,"AppStoreVendable":true,"BetaApp":false,"BundleSize":12345678,"DeviceBasedVPP":true,`+
			`"DynamicSize":65536,"ExternalVersionIdentifier":823456789,"HasUpdateAvailable":false,"Identifier":"com.example.application","Installing":false,`+
			`"IsValidated":true,"Name":"An Application","ShortVersion":"12.3.4","Version":"12340"},`, 59) + `{}]}`,
	} {
		command := map[string]string{"none": "DeviceInformation", "settings": "Settings", "apps": "InstalledApplicationList"}[name]
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := Split(command, json.RawMessage(keys)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestStatusReportsKeepTheirSecretsApart(t *testing.T) {
	const report = `{"StatusItems":{"enhanced-logging":{"applecare-token":"canary","status":"collecting"},"device":{"applecare-token":"mine"}},"Errors":[]}`
	shown, secrets := SplitStatus(json.RawMessage(report))
	if want := strings.Replace(report, "canary", Mask, 1); string(shown) != want {
		t.Errorf("shown as %s, want %s", shown, want)
	}
	if got := string(secrets["StatusItems.enhanced-logging.applecare-token"]); len(secrets) != 1 || got != `"canary"` {
		t.Errorf("the secrets are %v", secrets)
	}
	for _, plain := range []string{`{}`, `[]`, `{"StatusItems":[1,{"x":null}]}`, `"x"`} {
		if shown, secrets := SplitStatus(json.RawMessage(plain)); string(shown) != plain || secrets != nil {
			t.Errorf("%s became %s, %v", plain, shown, secrets)
		}
	}
}
