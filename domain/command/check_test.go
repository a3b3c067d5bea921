package command

import (
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
)

func TestCheckTakesWhatAppleTakes(t *testing.T) {
	for _, s := range Catalog() {
		if err := s.Check(example(&s)); err != nil {
			t.Errorf("%s with all its keys is refused: %v", s.Type, err)
		}
	}
}

// canary is a value that no refusal may repeat.
const canary = "hunter2-canary"

// TestCheckRefusesEachKeyGoneWrong spoils each key of each command in turn.
func TestCheckRefusesEachKeyGoneWrong(t *testing.T) {
	for _, s := range Catalog() {
		t.Run(s.Type, func(t *testing.T) {
			params := example(&s)
			spoiled := &spoiler{t: t, spec: &s, params: params}
			spoiled.dict(s.takes, "", params)
			if spoiled.cases == 0 {
				t.Error("nothing was spoiled")
			}
		})
	}
}

type spoiler struct {
	t      *testing.T
	spec   *Spec
	params map[string]any
	cases  int
}

// refused checks that the parameters are refused as they are now, by naming path.
func (s *spoiler) refused(path, why string) {
	s.t.Helper()
	s.cases++
	err := s.spec.Check(s.params)
	refusal, is := domain.Refused(err)
	switch {
	case !is || refusal.Reason != domain.Invalid:
		s.t.Errorf("%s: %s: the answer is %v, want a refusal", path, why, err)
	case !strings.Contains(refusal.Text, path) || !strings.Contains(refusal.Text, s.spec.Type):
		s.t.Errorf("%s: %s: %q does not name it", path, why, refusal.Text)
	case strings.Contains(refusal.Text+refusal.Hint, canary):
		s.t.Errorf("%s: %s: %q repeats the value", path, why, refusal.Text)
	}
}

func (s *spoiler) dict(shape *shape, path string, m map[string]any) {
	if path == "" || !shape.free() {
		if shape.other == nil {
			m["Nonsense"] = canary
			s.refused(join(path, "Nonsense"), "an unknown key")
			delete(m, "Nonsense")
		}
	}
	for _, name := range shape.names {
		v, has := m[name]
		if !has {
			continue
		}
		member, at := shape.members[name], join(path, name)
		if member.demanded() {
			delete(m, name)
			s.refused(at, "a required key is missing")
		}
		if name != "Item" {
			s.value(member, at, v, func(v any) { m[name] = v })
		}
		m[name] = v
	}
}

// wrong are values that have another type than each type wants.
var wrong = map[string][]any{
	"string":  {1.0, true, nil, []any{}, map[string]any{}, "\x00" + canary, "\xff", "\uFFFE"},
	"integer": {canary, true, nil, 1.5, []any{}, 1e300, json.Number("99999999999999999999")},
	"real":    {canary, true, nil, []any{}},
	"boolean": {canary, 1.0, nil, "true"},
	"data":    {canary + "!", 1.0, nil, []any{}, "aGk"},
	"date":    {canary, 1.0, nil, "2026-11-22"},
	"array":   {canary, 1.0, nil, map[string]any{}},
	"dict":    {canary, 1.0, nil, []any{}},
	"any":     {nil, "\x00", map[string]any{"a": nil}, []any{nil}},
}

func (s *spoiler) value(shape *shape, path string, v any, set func(any)) {
	for _, w := range wrong[shape.Type] {
		set(w)
		s.refused(path, "a value of another type")
	}
	if len(shape.Allowed) > 0 {
		set(map[string]any{"string": canary, "integer": 4711.0}[shape.Type])
		s.refused(path, "a value that Apple does not name")
	}
	if shape.pattern != nil {
		set(canary + "ü")
		s.refused(path, "a value out of form")
	}
	set(v)
	switch v := v.(type) {
	case map[string]any:
		s.dict(shape, path, v)
	case []any:
		s.array(shape, path, v)
	}
}

func (s *spoiler) array(shape *shape, path string, a []any) {
	for i, v := range a {
		at := path + "[" + strconv.Itoa(i) + "]"
		if shape.element != nil {
			s.value(shape.element, at, v, func(v any) { a[i] = v })
			continue
		}
		item := v.(map[string]any)
		a[i] = without(item, "Item")
		s.refused(at+".Item", "a setting without its name")
		a[i] = map[string]any{"Item": canary}
		s.refused(at+".Item", "a setting of no known name")
		a[i] = v
		s.dict(shape.items[item["Item"].(string)], at, item)
	}
}

func TestCheckKnowsRangesAndNeeds(t *testing.T) {
	low, high := 0.0, 1.0
	s := &Spec{Type: "T", takes: shapeOf([]Key{{Path: "R", Type: "real", Min: &low, Max: &high}})}
	for v, ok := range map[float64]bool{0: true, 0.5: true, 1: true, -0.1: false, 1.1: false} {
		if err := s.Check(map[string]any{"R": v}); (err == nil) != ok {
			t.Errorf("R=%v: %v", v, err)
		}
	}
	for _, c := range []struct {
		command string
		params  map[string]any
		ok      bool
	}{
		{"InstallApplication", nil, false},
		{"InstallApplication", map[string]any{"Identifier": "a"}, true},
		{"InstallApplication", map[string]any{"Identifier": "a", "ManifestURL": "https://example.com"}, false},
		{"EnableLostMode", map[string]any{}, false},
		{"EnableLostMode", map[string]any{"Message": "m", "PhoneNumber": "1"}, true},
		{"DeviceLock", map[string]any{"PIN": "12345"}, false},
		{"DeviceLock", map[string]any{"PIN": "123456"}, true},
		{"DeviceLock", map[string]any{"PIN": "123456", "RequestRequiresNetworkTether": true}, true},
	} {
		spec, _ := Lookup(c.command)
		if err := spec.Check(c.params); (err == nil) != c.ok {
			t.Errorf("%s %v: %v", c.command, c.params, err)
		}
	}
}

func TestNative(t *testing.T) {
	spec := &Spec{Type: "T", takes: shapeOf([]Key{
		{Path: "S", Type: "string"}, {Path: "I", Type: "integer"}, {Path: "R", Type: "real"}, {Path: "B", Type: "boolean"},
		{Path: "D", Type: "data"}, {Path: "T", Type: "date"}, {Path: "A", Type: "array"}, {Path: "A[]", Type: "integer"},
		{Path: "M", Type: "dict"}, {Path: "M.*", Type: "any"},
	})}
	got, err := spec.Native(map[string]any{
		"S": "ü", "I": json.Number("9007199254740993"), "R": 1, "B": true, "D": "aGk=", "T": "2026-11-22T10:00:00+01:00",
		"A": []any{1.0, 2}, "M": map[string]any{"n": 3.0, "f": 0.5, "l": []any{"x", json.Number("7")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	got["T"] = got["T"].(time.Time).UTC()
	want := map[string]any{
		"S": "ü", "I": int64(9007199254740993), "R": 1.0, "B": true, "D": []byte("hi"), "T": time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC),
		"A": []any{int64(1), int64(2)}, "M": map[string]any{"n": int64(3), "f": 0.5, "l": []any{"x", int64(7)}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("Native gives %#v, want %#v", got, want)
	}
}

// isNative reports whether v holds property list values alone.
func isNative(v any) bool {
	switch v := v.(type) {
	case string, int64, float64, bool, []byte, time.Time:
		return true
	case []any:
		for _, e := range v {
			if !isNative(e) {
				return false
			}
		}
		return true
	case map[string]any:
		for _, e := range v {
			if !isNative(e) {
				return false
			}
		}
		return true
	}
	return false
}

func FuzzNative(f *testing.F) {
	for _, s := range Catalog() {
		text, err := json.Marshal(example(&s))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(s.Type, text)
	}
	f.Fuzz(func(t *testing.T, requestType string, text []byte) {
		s, known := Lookup(requestType)
		var params map[string]any
		if !known || json.Unmarshal(text, &params) != nil {
			return
		}
		native, err := s.Native(params)
		if _, refused := domain.Refused(err); err != nil && !refused {
			t.Fatalf("an error that is no refusal: %v", err)
		}
		if err == nil && !isNative(native) {
			t.Fatalf("%#v is no property list", native)
		}
	})
}
