package rawjson

import (
	"encoding/json"
	"reflect"
	"testing"
)

func TestMembersAndElements(t *testing.T) {
	tests := []struct {
		raw      string
		members  []Member
		elements []string
		wrong    bool
	}{
		{raw: `{}`}, {raw: `[]`}, {raw: ` [ ] `}, {raw: `null`}, {raw: `7`}, {raw: `"{"`}, {raw: ``},
		{raw: `{"a":1,"b":"}\"{","c":[{"d":","}]}`, members: []Member{{"a", []byte(`1`)}, {"b", []byte(`"}\"{"`)}, {"c", []byte(`[{"d":","}]`)}}},
		{raw: " { \"a\" : true ,\n\"\\u0062\" : {} } ", members: []Member{{"a", []byte(`true`)}, {"b", []byte(`{}`)}}},
		{raw: `{"a":1,"a":2}`, members: []Member{{"a", []byte(`1`)}, {"a", []byte(`2`)}}},
		{raw: `[1,"[",{"a":[]} , -2.5e3]`, elements: []string{`1`, `"["`, `{"a":[]}`, `-2.5e3`}},
		{raw: `{"a"`, wrong: true}, {raw: `{"a":`, wrong: true}, {raw: `{"a":1`, wrong: true}, {raw: `{"a":1,}`, wrong: true},
		{raw: `{a:1}`, wrong: true}, {raw: `{"a" 1}`, wrong: true}, {raw: `{"a":"`, wrong: true}, {raw: `[1`, wrong: true}, {raw: `[1,]`, wrong: true},
	}
	for _, tt := range tests {
		members, err := Members([]byte(tt.raw))
		elements, err2 := Elements([]byte(tt.raw))
		if (err != nil || err2 != nil) != tt.wrong {
			t.Errorf("%s: %v, %v", tt.raw, err, err2)
		}
		if tt.wrong {
			continue
		}
		if !reflect.DeepEqual(members, tt.members) {
			t.Errorf("%s has the members %s", tt.raw, members)
		}
		var texts []string
		for _, e := range elements {
			texts = append(texts, string(e))
		}
		if !reflect.DeepEqual(texts, tt.elements) {
			t.Errorf("%s has the elements %q", tt.raw, texts)
		}
	}
}

func TestGetAndOnly(t *testing.T) {
	const raw = ` {"a":1, "b" : {"a":[2]} ,"\u0063":"}", "a":3}`
	for name, want := range map[string]string{"a": "1", "b": `{"a":[2]}`, "c": `"}"`, "d": "", `\u0063`: ""} {
		if got, err := Get([]byte(raw), name); err != nil || string(got) != want {
			t.Errorf("%s is %s, %v", name, got, err)
		}
	}
	for _, none := range []string{`[1]`, `"a"`, ``, `{}`} {
		if got, err := Get([]byte(none), "a"); got != nil || err != nil {
			t.Errorf("in %s a is %s, %v", none, got, err)
		}
		if got, err := Only([]byte(none), "a"); string(got) != "{}" || err != nil {
			t.Errorf("of %s there is %s, %v", none, got, err)
		}
	}
	if got, err := Only([]byte(raw), "c", "a", "x"); err != nil || string(got) != `{"a":1,"\u0063":"}","a":3}` {
		t.Errorf("of a and c there is %s, %v", got, err)
	}
	if _, err := Get([]byte(`{"a":1,b`), "b"); err == nil {
		t.Error("what is not well-formed was searched")
	}
}

// What is JSON is cut as encoding/json would read it; whatever else it is, it is cut or refused, and nothing worse.
func FuzzCut(f *testing.F) {
	for _, seed := range []string{`{"a":1,"b":[{"c":"}\"{"}]}`, ` [1, "]", {} ] `, `{"a":"\ud83d\ude00"}`, `{"":{"":""}}`, `{"a`, `]`, `{"a":1}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		members, err := Members(raw)
		elements, err2 := Elements(raw)
		if _, err3 := Skip(raw, 0); !json.Valid(raw) || err3 != nil {
			return
		}
		if err != nil || err2 != nil {
			t.Fatalf("%q is JSON: %v, %v", raw, err, err2)
		}
		var object map[string]json.RawMessage
		if json.Unmarshal(raw, &object) == nil {
			last := map[string]json.RawMessage{}
			for _, m := range members {
				last[m.Name] = m.Value
			}
			if object != nil && !reflect.DeepEqual(last, object) {
				t.Fatalf("%q was cut into %q", raw, members)
			}
			for _, m := range members {
				got, err := Get(raw, m.Name)
				only, err2 := Only(raw, m.Name)
				if err != nil || err2 != nil || got == nil || !json.Valid(only) {
					t.Fatalf("%q has %q as %q, %v, or %q, %v", raw, m.Name, got, err, only, err2)
				}
			}
		}
		var array []json.RawMessage
		if json.Unmarshal(raw, &array) == nil && len(array) != len(elements) {
			t.Fatalf("%q was cut into %q", raw, elements)
		}
	})
}
