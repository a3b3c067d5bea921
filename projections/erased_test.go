package projections

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

// A forgetful codec opens what the keys still open: of a device's events up to the last time that it was erased,
// nothing that is sealed; nor of a user's, up to the last time that he was.
type forgetful struct {
	inClear
	upTo map[subject]eventstore.Position
}

type subject struct {
	stream eventstore.Stream
	within string
}

func (f forgetful) forgets(env eventstore.Envelope, e domain.Event) bool {
	within := ""
	if s, ok := e.(interface{ SealSubject() string }); ok {
		within = s.SealSubject()
	} else if s, ok := e.(interface{ SealSubjectLater() string }); ok {
		within = s.SealSubjectLater()
	}
	return env.Position <= max(f.upTo[subject{env.Stream, ""}], f.upTo[subject{env.Stream, within}])
}

func (f forgetful) Decode(env eventstore.Envelope) (domain.Event, error) {
	e, err := f.inClear.Decode(env)
	if err != nil || !f.forgets(env, e) {
		return e, err
	}
	return openPart(e), nil
}

// openPart is an event without what is sealed of it.
func openPart(e domain.Event) domain.Event {
	v := reflect.New(reflect.TypeOf(e)).Elem()
	v.Set(reflect.ValueOf(e))
	for i := range v.NumField() {
		if v.Type().Field(i).Tag.Get("seal") != "" {
			v.Field(i).SetZero()
		}
	}
	return v.Interface().(domain.Event)
}

func erasures(h *history) forgetful {
	f := forgetful{upTo: map[subject]eventstore.Position{}}
	for _, env := range h.events {
		if e, err := (inClear{}).Decode(env); err == nil {
			if e, erased := e.(device.SubjectErased); erased {
				f.upTo[subject{env.Stream, string(e.Channel)}] = env.Position
			}
		}
	}
	return f
}

func TestAnErasedDeviceIsToldTheSameByViewsThatKnewItAndByThoseThatNeverDid(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld()
		w.rarest = 6
		for range rapid.IntRange(1, 120).Draw(rt, "acts") {
			w.live(rt)
		}
		for id, d := range w.devices {
			if events, err := d.Erase("", "at the end"); err == nil && rapid.Bool().Draw(rt, "at the end") {
				w.by(ada, eventstore.Stream{Kind: device.Kind, ID: id}, w.clock, events...)
			}
		}
		knew, never := open(t), open(t)
		if err := knew.CatchUp(t.Context(), w.history, inClear{}, nil); err != nil {
			rt.Fatal(err)
		}
		if err := never.CatchUp(t.Context(), w.history, erasures(w.history), nil); err != nil {
			rt.Fatal(err)
		}
		if a, b := dump(t, knew), dump(t, never); a != b {
			rt.Fatalf("%s", firstDifference(a, b))
		}
	})
}

func firstDifference(a, b string) string {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range x {
		if i >= len(y) || x[i] != y[i] {
			other := "nothing"
			if i < len(y) {
				other = y[i]
			}
			return "knew:  " + x[i] + "\nnever: " + other
		}
	}
	return "never has more: " + y[len(x)]
}

func TestNothingPersonalIsLeftOfAnErasedDevice(t *testing.T) {
	h := newHistory()
	for _, id := range []string{"d1", "d2"} {
		h.add(id, noon, device.Authenticated{Generation: 1, Topic: "t", Certificate: "c" + id, Identity: device.Identity{UDID: "CANARY-UDID-" + id, DeviceName: "CANARY " + id}})
		h.add(id, noon, device.TokenUpdated{Topic: "t", Enrolled: true, PushMagic: "m", Token: []byte("x")},
			device.TokenUpdated{Channel: "u", Topic: "t", Enrolled: true, User: device.User{UserShortName: "CANARY-user-" + id}})
		h.told(id, "a"+id, "UserList", `{"Users":[{"UserName":"CANARY-key-`+id+`","DataUsed":1}]}`, noon.Add(time.Minute))
		h.told(id, "b"+id, "InstalledApplicationList", `{"InstalledApplicationList":[{"Identifier":"CANARY-app-`+id+`","Name":"a name that is so long that it is kept once for all"},
			{"Identifier":"shared","Name":"CANARY-shared, a name that is so long that it is kept once for all"}]}`, noon.Add(time.Minute))
		h.order(id, noon.Add(time.Hour), device.CommandQueued{UUID: "c" + id, RequestType: "DeviceLock", Reason: "CANARY-reason-" + id})
		h.add(id, noon.Add(time.Hour), device.CommandCancelled{UUID: "c" + id, RequestType: "DeviceLock", Reason: "CANARY-because-" + id})
	}
	v := folded(t, h)
	if text := allTexts(t, v); !strings.Contains(text, "CANARY-key-d1") || !strings.Contains(text, "CANARY-because-d1") {
		t.Fatalf("the canaries do not sing: %s", text)
	}
	pos := h.by(ada, eventstore.Stream{Kind: device.Kind, ID: "d1"}, noon.Add(2*time.Hour), device.SubjectErased{Reason: "asked for"})
	if err := v.CatchUp(t.Context(), h, inClear{}, nil); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(allTexts(t, v)) {
		if strings.Contains(line, "CANARY") && strings.Contains(line, "d1") {
			t.Errorf("left: %s", line)
		}
	}
	if text := allTexts(t, v); !strings.Contains(text, "CANARY-shared") || !strings.Contains(text, "CANARY-key-d2") {
		t.Error("another device lost something")
	}
	for _, asOf := range []eventstore.Position{pos - 1, pos, Now} {
		if facts := must[[]Fact](t)(v.Facts(t.Context(), "d1", "device.", asOf)); len(facts) != 0 {
			t.Errorf("facts at %d: %+v", asOf, facts)
		}
	}
	d, found, err := v.Device(t.Context(), "d1", Now)
	if err != nil || !found || d.Status != device.StatusCheckedOut || d.StatusReason != "its personal data was erased on 2026-03-01" || d.Label() != "device d1" {
		t.Errorf("%+v, %v, %v", d, found, err)
	}
	if f := must[Fleet](t)(v.Fleet(t.Context(), pos-1)); f.ByStatus[device.StatusEnrolled] != 2 {
		t.Errorf("the past counts %+v", f.ByStatus)
	}
	if fact, known, err := v.Fact(t.Context(), "d1", "enrollment.erasedAt", Now); err != nil || !known || string(fact.Value) != `"2026-03-01T14:00:00Z"` {
		t.Errorf("%+v, %v, %v", fact, known, err)
	}
	env := h.events[pos-1]
	if s := must[string](t)(v.Summarise(t.Context(), env, must[domain.Event](t)(inClear{}.Decode(env)))); s != "Ada erased the personal data of device d1 and its users: asked for" {
		t.Errorf("%q", s)
	}
}

// allTexts returns all texts of all tables, a line for each row.
func allTexts(t *testing.T, v *Views) string {
	t.Helper()
	var b strings.Builder
	b.WriteString(dump(t, v))
	if err := v.read(t.Context(), func(tx Tx) error {
		for _, query := range []string{`SELECT text FROM names`, `SELECT value FROM fact_values`, `SELECT name FROM actors`, `SELECT error FROM parked`} {
			if err := tx.Query(query, nil, func(r Row) error { b.WriteString("\n" + r.Text(0)); return nil }); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
