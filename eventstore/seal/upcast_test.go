package seal_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/seal"
)

// A thing happens in a world of its own, in which events have changed their form twice.
type thing interface{ EventType() string }

// A weighed is as it was stored first: pounds, and a name that everybody could read.
type weighedOnce struct {
	Pounds int
	Name   string
	Code   int `seal:"secret"`
}

// Then the name was sealed.
type weighedThen struct {
	Pounds int
	Name   string `seal:"personal"`
	Code   int    `seal:"secret"`
}

// Today there are grams, and the code is a text.
type weighed struct {
	Grams int
	Name  string `seal:"personal"`
	Code  string `seal:"secret"`
}

func (weighedOnce) EventType() string { return "thing.weighed" }
func (weighedThen) EventType() string { return "thing.weighed" }
func (weighed) EventType() string     { return "thing.weighed" }

// rewrite changes the object, if it has the field.
func rewrite(stored json.RawMessage, field string, change func(json.RawMessage) (string, any, error)) (json.RawMessage, error) {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(stored, &object); err != nil {
		return nil, err
	}
	value, old := object[field]
	if !old {
		return stored, nil
	}
	name, now, err := change(value)
	if err != nil {
		return nil, err
	}
	delete(object, field)
	if object[name], err = json.Marshal(now); err != nil {
		return nil, err
	}
	return json.Marshal(object)
}

var upcasts = map[string][]seal.Upcast{"thing.weighed": {
	func(part string, stored json.RawMessage) (json.RawMessage, error) {
		if part != "" {
			return stored, nil
		}
		return rewrite(stored, "Pounds", func(v json.RawMessage) (string, any, error) {
			var pounds int
			err := json.Unmarshal(v, &pounds)
			return "Grams", pounds * 454, err
		})
	},
	func(part string, stored json.RawMessage) (json.RawMessage, error) {
		if part != string(seal.Secret) {
			return stored, nil
		}
		return rewrite(stored, "Code", func(v json.RawMessage) (string, any, error) { return "Code", strings.Trim(string(v), `"`), nil })
	},
}}

// What was stored in forms that events once had is read as today's, part by part; what is stored stays as it is.
func TestOldFormsAreReadAsTodays(t *testing.T) {
	keys := &seal.MemoryKeyring{}
	today := &seal.Codec[thing]{Types: []thing{weighed{}}, Keys: keys, Upcasts: upcasts}
	for name, old := range map[string]struct {
		codec *seal.Codec[thing]
		event thing
	}{
		"once":  {&seal.Codec[thing]{Types: []thing{weighedOnce{}}, Keys: keys}, weighedOnce{2, "Ada", 7}},
		"then":  {&seal.Codec[thing]{Types: []thing{weighedThen{}}, Keys: keys}, weighedThen{2, "Ada", 7}},
		"today": {today, weighed{908, "Ada", "7"}},
	} {
		env := eventstore.Envelope{ID: eventstore.NewUUID(), Stream: eventstore.Stream{Kind: "thing", ID: "1"}}
		env, err := old.codec.Encode(env, old.event)
		if err != nil {
			t.Fatal(err)
		}
		stored := string(env.Data)
		got, err := today.Decode(env)
		if want := (weighed{908, "Ada", "7"}); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v (%v), want %+v", name, got, err, want)
		}
		seen, err := today.Views().Decode(env)
		if want := (weighed{908, "Ada", ""}); err != nil || !reflect.DeepEqual(seen, want) {
			t.Errorf("%s: views see %+v (%v), want %+v", name, seen, err, want)
		}
		if string(env.Data) != stored {
			t.Errorf("%s: what was stored became %s", name, env.Data)
		}
	}
}

// What an upcast cannot read is an error that quotes nothing, and a type that nobody knows is known by its error.
func TestFormsThatNobodyKnows(t *testing.T) {
	codec := &seal.Codec[thing]{Types: []thing{weighed{}}, Keys: &seal.MemoryKeyring{}, Upcasts: upcasts}
	_, err := codec.Decode(eventstore.Envelope{Type: "thing.weighed", Data: json.RawMessage(`{"Pounds":"CANARY"}`)})
	if err == nil || strings.Contains(err.Error(), "CANARY") {
		t.Errorf("a broken old form: %v", err)
	}
	if _, err := codec.Decode(eventstore.Envelope{Type: "thing.painted"}); !errors.Is(err, eventstore.ErrUnknownType) {
		t.Errorf("an unknown type: %v", err)
	}
}
