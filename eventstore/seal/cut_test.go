package seal

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// An answered is an event with a part that is partly JSON already.
type answered struct {
	UUID   string          `json:",omitempty"`
	Result json.RawMessage `seal:"personal" json:",omitempty"`
	Note   string          `seal:"personal" json:"note,omitempty"`
	Chain  json.RawMessage `seal:"personal" json:"chain,omitempty"`
	Always json.RawMessage `seal:"personal"`
}

func (answered) EventType() string { return "test.answered" }

// someJSON draws a document, now and then a long one.
func someJSON(t *rapid.T) json.RawMessage {
	text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{`"`, `\`, `}`, `{"`, `],[`, "\u2028", "<&>", strings.Repeat("long ", 300)}))
	var v any
	switch rapid.IntRange(0, 4).Draw(t, "sort") {
	case 0:
		return nil
	case 1:
		v = text.Draw(t, "text")
	case 2:
		v = rapid.MapOf(text, text).Draw(t, "object")
	case 3:
		v = rapid.SliceOf(rapid.MapOf(text, text)).Draw(t, "array")
	default:
		v = rapid.Float64().Draw(t, "number")
	}
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// Whether a part is cut or not, it holds the same, and what the one has written the other reads.
func TestPartsThatAreCutHoldTheSame(t *testing.T) {
	p, err := newPlan("test.answered", reflect.TypeFor[answered]())
	if err != nil {
		t.Fatal(err)
	}
	plain := p.personal
	plain.cuts = nil
	rapid.Check(t, func(rt *rapid.T) {
		e := &answered{Result: someJSON(rt), Note: rapid.String().Draw(rt, "note"), Chain: someJSON(rt), Always: json.RawMessage("1")}
		for _, writes := range []lens{p.personal, plain} {
			part, err := newWriter().write(writes, reflect.ValueOf(e))
			if err != nil {
				rt.Fatal(err)
			}
			if !json.Valid(part) {
				rt.Fatalf("the part is %s", part)
			}
			for _, reads := range []lens{p.personal, plain} {
				var got answered
				if err := reads.read(part, reflect.ValueOf(&got)); err != nil {
					rt.Fatal(err)
				}
				if want := *e; !same(got.Result, want.Result) || !same(got.Chain, want.Chain) || got.Note != strings.ToValidUTF8(want.Note, "\ufffd") {
					rt.Fatalf("got  %+v\nwant %+v", got, want)
				}
			}
		}
	})
}

func same(a, b json.RawMessage) bool { return string(a) == string(b) }

// What is no whole object or array is not set into a part as it stands: it could close it, and add to it.
func TestWhatIsNotBalancedIsNotCut(t *testing.T) {
	p, err := newPlan("test.answered", reflect.TypeFor[answered]())
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat(" ", worthCutting)
	for _, raw := range []string{`{}` + long + `,"note":"forged"`, `{"a":"` + long, `[` + long + `]]`, `"` + long + `","note":"forged"`, `{"a":1}}` + long, long} {
		e := &answered{Result: json.RawMessage(raw)}
		if p.personal.worth(reflect.ValueOf(e)) {
			t.Errorf("%.20q… would be cut", raw)
		}
		if part, err := newWriter().write(p.personal, reflect.ValueOf(e)); err == nil {
			t.Errorf("%.20q… was written as %.60s…", raw, part)
		}
	}
}

func BenchmarkALongPart(b *testing.B) {
	p, err := newPlan("test.answered", reflect.TypeFor[answered]())
	if err != nil {
		b.Fatal(err)
	}
	e := &answered{Result: json.RawMessage(`{"InstalledApplicationList":[` + strings.Repeat(`{"Identifier":"com.example.app","Name":"An application","Version":"1.2.3"},`, 350) + `{}]}`)}
	plain := p.personal
	plain.cuts = nil
	for name, l := range map[string]lens{"cut": p.personal, "plain": plain} {
		b.Run(name, func(b *testing.B) {
			w := newWriter()
			for b.Loop() {
				part, err := w.write(l, reflect.ValueOf(e))
				var got answered
				if err == nil {
					err = l.read(part, reflect.ValueOf(&got))
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
