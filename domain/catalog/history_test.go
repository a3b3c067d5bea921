package catalog_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"testing"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/catalog"
)

// A stored is one example of an event in some form that it once had, its parts in the clear, as they are only here.
type stored struct {
	Type                   string
	Open, Personal, Secret map[string]json.RawMessage
	Now                    *stored // what an old form reads as today, its type left out; nil if the form is today's
}

// upcast returns the part as it reads today.
func (s stored) upcast(tag string, part map[string]json.RawMessage) (json.RawMessage, error) {
	text, err := json.Marshal(part)
	for _, up := range catalog.Upcasts()[s.Type] {
		if err == nil {
			text, err = up(tag, text)
		}
	}
	return text, err
}

// today returns the example as it reads today.
func (s stored) today() stored {
	if s.Now == nil {
		return s
	}
	now := *s.Now
	now.Type = s.Type
	return now
}

// parts returns the fields of the part by the value of their seal tag.
func (s stored) parts() map[string]map[string]json.RawMessage {
	return map[string]map[string]json.RawMessage{"": s.Open, "personal": s.Personal, "secret": s.Secret}
}

func readHistory(t *testing.T) []stored {
	f, err := os.Open("testdata/history.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []stored
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var s stored
		dec := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&s); err != nil {
			t.Fatalf("line %d: %v", len(all)+1, err)
		}
		all = append(all, s)
	}
	if lines.Err() != nil {
		t.Fatal(lines.Err())
	}
	return all
}

// zeros returns the events by stored name.
func zeros() map[string]domain.Event {
	byName := map[string]domain.Event{}
	for _, e := range catalog.Events() {
		byName[e.EventType()] = e
	}
	return byName
}

// event decodes the example.
func (s stored) event(zero domain.Event) (reflect.Value, error) {
	v := reflect.New(reflect.TypeOf(zero))
	for tag, part := range s.parts() {
		text, err := s.upcast(tag, part)
		if err != nil {
			return v.Elem(), err
		}
		dec := json.NewDecoder(bytes.NewReader(text))
		dec.DisallowUnknownFields()
		if err := dec.Decode(v.Interface()); err != nil {
			return v.Elem(), err
		}
	}
	return v.Elem(), nil
}

func TestEveryFormThatWasEverStoredIsStillRead(t *testing.T) {
	byName := zeros()
	for i, s := range readHistory(t) {
		zero, ok := byName[s.Type]
		if !ok {
			t.Errorf("line %d: no event is called %q any more, but the log is full of them", i+1, s.Type)
			continue
		}
		v, err := s.event(zero)
		if err != nil {
			t.Errorf("line %d, %s: %v", i+1, s.Type, err)
			continue
		}
		nothingIsLost(t, i+1, s.today(), v)
	}
}

// nothingIsLost checks that each field of the example is in the event, says the same there, and stands in that part.
func nothingIsLost(t *testing.T, line int, s stored, event reflect.Value) {
	text, err := json.Marshal(event.Interface())
	if err != nil {
		t.Fatal(err)
	}
	var again map[string]json.RawMessage
	if err := json.Unmarshal(text, &again); err != nil {
		t.Fatal(err)
	}
	for tag, part := range s.parts() {
		for name, want := range part {
			if !bytes.Equal(again[name], want) {
				t.Errorf("line %d, %s: %s was stored as %s, and is read as %s", line, s.Type, name, want, again[name])
			}
			if f, ok := event.Type().FieldByName(name); !ok || f.Tag.Get("seal") != tag {
				t.Errorf("line %d, %s: %s stands in the part %q there, and has the tag %q now", line, s.Type, name, tag, f.Tag.Get("seal"))
			}
		}
	}
}

func TestEveryEventHasAnExampleOfEachField(t *testing.T) {
	shown := map[string]map[string]bool{}
	for _, s := range readHistory(t) {
		if shown[s.Type] == nil {
			shown[s.Type] = map[string]bool{}
		}
		for _, part := range s.today().parts() {
			for name := range part {
				shown[s.Type][name] = true
			}
		}
	}
	for name, zero := range zeros() {
		if shown[name] == nil {
			t.Errorf("testdata/history.jsonl has no example of %s: add a line", name)
			continue
		}
		for f := range reflect.TypeOf(zero).Fields() {
			if !shown[name][f.Name] {
				t.Errorf("no example of %s in testdata/history.jsonl has the field %s: add a line", name, f.Name)
			}
		}
	}
}

// An upcast is of a type that there is, and an old form that says what it reads as today needs one.
func TestUpcastsAndOldFormsBelongTogether(t *testing.T) {
	old := map[string]bool{}
	for i, s := range readHistory(t) {
		if s.Now == nil {
			continue
		}
		if old[s.Type] = true; len(catalog.Upcasts()[s.Type]) == 0 {
			t.Errorf("line %d shows an old form of %s, and no upcast turns it into today's", i+1, s.Type)
		}
	}
	for name := range catalog.Upcasts() {
		if zeros()[name] == nil || !old[name] {
			t.Errorf("there is an upcast for %s: testdata/history.jsonl has no old form of it, or no event is called so", name)
		}
	}
}
