package seal_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/catalog"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/seal"
)

var (
	rawMessage = reflect.TypeFor[json.RawMessage]()
	timeType   = reflect.TypeFor[time.Time]()
)

// fill sets v to what the generators draw: any text, any JSON, any time.
func fill(t *rapid.T, v reflect.Value, name string) {
	switch {
	case v.Type() == rawMessage:
		v.SetBytes(drawJSON(t, name))
	case v.Type() == timeType:
		at := rapid.Int64Range(0, 4e15).Draw(t, name)
		v.Set(reflect.ValueOf(time.UnixMicro(at).UTC()))
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i), v.Type().Field(i).Name)
		}
	case v.Kind() == reflect.String:
		v.SetString(rapid.String().Draw(t, name))
	case v.Kind() == reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, name))
	case v.CanInt():
		v.SetInt(rapid.Int64Range(-1<<53, 1<<53).Draw(t, name))
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Uint8:
		if b := rapid.SliceOfN(rapid.Byte(), 0, 400).Draw(t, name); len(b) > 0 {
			v.SetBytes(b)
		}
	case v.Kind() == reflect.Slice:
		for range rapid.IntRange(0, 3).Draw(t, "size of "+name) {
			one := reflect.New(v.Type().Elem()).Elem()
			fill(t, one, name)
			v.Set(reflect.Append(v, one))
		}
	case v.Kind() == reflect.Pointer:
		if rapid.Bool().Draw(t, name+" is there") {
			v.Set(reflect.New(v.Type().Elem()))
			fill(t, v.Elem(), name)
		}
	case v.Kind() == reflect.Map:
		for range rapid.IntRange(0, 3).Draw(t, "size of "+name) {
			if v.IsNil() {
				v.Set(reflect.MakeMap(v.Type()))
			}
			one := reflect.New(v.Type().Elem()).Elem()
			fill(t, one, name)
			if one.Len() > 0 {
				v.SetMapIndex(reflect.ValueOf(rapid.String().Draw(t, "key of "+name)), one)
			}
		}
		if v.Len() == 0 {
			v.SetZero()
		}
	default:
		t.Fatalf("%s: the test cannot draw a %s: teach it", name, v.Type())
	}
}

// drawJSON draws a compact document, or none.
func drawJSON(t *rapid.T, name string) json.RawMessage {
	if rapid.IntRange(0, 3).Draw(t, name+" is there") == 0 {
		return nil
	}
	list := rapid.SliceOfN(rapid.String(), 0, 40).Draw(t, name)
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(map[string]any{name: list, "n": rapid.Int64().Draw(t, "n")}); err != nil {
		t.Fatal(err)
	}
	return json.RawMessage(strings.TrimSuffix(b.String(), "\n"))
}

// drawEvent draws an event of the type of zero.
func drawEvent(t *rapid.T, zero domain.Event) domain.Event {
	v := reflect.New(reflect.TypeOf(zero)).Elem()
	fill(t, v, zero.EventType())
	return v.Interface().(domain.Event)
}

func newCodec(keys seal.Keyring) *seal.Codec[domain.Event] {
	return &seal.Codec[domain.Event]{Types: catalog.Events(), Keys: keys}
}

// envelope returns an envelope as a Repository would make it, for a stream with an awkward id.
func envelope() eventstore.Envelope {
	return eventstore.Envelope{
		ID: eventstore.NewUUID(), Stream: eventstore.Stream{Kind: "device", ID: "a-b/ü\x00c"}, Version: 7,
		Time: time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC), Actor: eventstore.Actor{Kind: eventstore.ByDevice, ID: "a-b"},
	}
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
