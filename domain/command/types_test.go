package command

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// typed are the commands that have a type of their own, by their zero values.
var typed = []Command{
	AvailableOSUpdates{}, CertificateList{}, ClearPasscode{}, DeclarativeManagement{}, DeviceConfigured{},
	DeviceInformation{}, DeviceLock{}, EraseDevice{}, InstallApplication{}, InstallProfile{},
	InstalledApplicationList{}, ManagedApplicationList{}, ProfileList{}, ProvisioningProfileList{},
	RemoveApplication{}, RemoveProfile{}, RestartDevice{}, Restrictions{}, SecurityInfo{}, Settings{},
	ShutDownDevice{}, UserList{},
}

// settings are the settings that have a type of their own: all.
var settings = []Setting{
	AccessibilitySettingsSetting{}, AppAnalyticsSetting{}, ApplicationAttributesSetting{}, ApplicationConfigurationSetting{},
	BluetoothSetting{}, DataRoamingSetting{}, DefaultApplicationsSetting{}, DeviceNameSetting{}, DiagnosticSubmissionSetting{},
	HostNameSetting{}, MDMOptionsSetting{}, MaximumResidentUsersSetting{}, OrganizationInfoSetting{},
	PasscodeLockGracePeriodSetting{}, PersonalHotspotSetting{}, SharedDeviceConfigurationSetting{}, SoftwareUpdateSettingsSetting{},
	TimeZoneSetting{}, VoiceRoamingSetting{}, WallpaperSetting{},
}

func TestTypesMatchTheCatalogue(t *testing.T) {
	for _, c := range typed {
		spec, known := Lookup(c.RequestType())
		if !known || reflect.TypeOf(c).Name() != c.RequestType() {
			t.Errorf("%T is of type %q", c, c.RequestType())
			continue
		}
		shape := &shape{Key: Key{Type: "dict"}, members: without2(spec.takes.members, "RequestRequiresNetworkTether")}
		if _, is := c.(Settings); !is {
			match(t, c.RequestType(), shape, reflect.TypeOf(c))
		}
	}
	spec, _ := Lookup("Settings")
	items := spec.takes.members["Settings"].items
	if len(items) != len(settings) {
		t.Errorf("%d settings have a type, want %d", len(settings), len(items))
	}
	for _, s := range settings {
		item := items[s.Item()]
		if item == nil || reflect.TypeOf(s).Name() != s.Item()+"Setting" {
			t.Errorf("%T is called %q", s, s.Item())
			continue
		}
		match(t, s.Item(), &shape{Key: item.Key, members: without2(item.members, "Item")}, reflect.TypeOf(s))
	}
}

func without2(m map[string]*shape, key string) map[string]*shape {
	m = maps.Clone(m)
	delete(m, key)
	return m
}

// match checks that a Go type has the catalogue's keys, each of the right kind.
func match(t *testing.T, path string, s *shape, goType reflect.Type) {
	t.Helper()
	for goType.Kind() == reflect.Pointer {
		goType = goType.Elem()
	}
	bytes := goType == reflect.TypeFor[[]byte]()
	fits := map[string]bool{
		"string":  goType.Kind() == reflect.String,
		"integer": goType.Kind() == reflect.Int64,
		"real":    goType.Kind() == reflect.Float64,
		"boolean": goType.Kind() == reflect.Bool,
		"data":    bytes,
		"date":    goType == reflect.TypeFor[time.Time](),
		"array":   goType.Kind() == reflect.Slice && !bytes,
		"dict":    goType.Kind() == reflect.Struct || goType == reflect.TypeFor[map[string]any](),
	}
	if !fits[s.Type] {
		t.Errorf("%s is %s, want %s", path, goType, s.Type)
		return
	}
	switch {
	case s.Type == "array":
		match(t, path+"[]", s.element, goType.Elem())
	case goType.Kind() == reflect.Struct && s.Type == "dict":
		matchFields(t, path, s, goType)
	case s.Type == "dict" && !s.free():
		t.Errorf("%s is a map, but Apple names its keys", path)
	}
}

func matchFields(t *testing.T, path string, s *shape, goType reflect.Type) {
	t.Helper()
	left := maps.Clone(s.members)
	for field := range goType.Fields() {
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "" {
			name = field.Name
		}
		member := left[name]
		if member == nil {
			t.Errorf("%s: Apple has no key %s", path, name)
			continue
		}
		if member.Required != (options == "") {
			t.Errorf("%s.%s: required is %v, but its tag is %q", path, name, member.Required, field.Tag)
		}
		match(t, path+"."+name, member, field.Type)
		delete(left, name)
	}
	for name := range left {
		t.Errorf("%s: the type has no %s", path, name)
	}
}

// TestTypesPassCheck fills each type, and checks what it gives.
func TestTypesPassCheck(t *testing.T) {
	for _, c := range typed {
		spec, _ := Lookup(c.RequestType())
		filled := reflect.New(reflect.TypeOf(c))
		if c.RequestType() == "Settings" {
			filled.Elem().Set(reflect.ValueOf(allSettings(t)))
		} else if err := json.Unmarshal(jsonOf(t, example(spec)), filled.Interface()); err != nil {
			t.Errorf("%s: %v", c.RequestType(), err)
		}
		params, err := Parameters(filled.Elem().Interface().(Command))
		if err != nil {
			t.Fatal(err)
		}
		if err := spec.Check(params); err != nil {
			t.Errorf("%s, filled, is refused: %v", c.RequestType(), err)
		}
		want := slices.Sorted(maps.Keys(without(example(spec), "RequestRequiresNetworkTether")))
		if got := slices.Sorted(maps.Keys(params)); !slices.Equal(got, want) {
			t.Errorf("%s gives %v, want %v", c.RequestType(), got, want)
		}
	}
}

func jsonOf(t *testing.T, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// allSettings returns a Settings with one of each item.
func allSettings(t *testing.T) Settings {
	t.Helper()
	spec, _ := Lookup("Settings")
	items := spec.takes.members["Settings"].items
	var all Settings
	for _, s := range settings {
		filled := reflect.New(reflect.TypeOf(s))
		keys := without(exampleOf(items[s.Item()]).(map[string]any), "Item")
		if err := json.Unmarshal(jsonOf(t, keys), filled.Interface()); err != nil {
			t.Fatal(err)
		}
		all.Settings = append(all.Settings, filled.Elem().Interface().(Setting))
	}
	return all
}

func TestSettingsWriteTheirItem(t *testing.T) {
	got := jsonOf(t, Settings{[]Setting{DeviceNameSetting{"Ada's"}, OrganizationInfoSetting{}}})
	want := `{"Settings":[{"Item":"DeviceName","DeviceName":"Ada's"},{"Item":"OrganizationInfo"}]}`
	if string(got) != want {
		t.Errorf("Settings are written as %s, want %s", got, want)
	}
}
