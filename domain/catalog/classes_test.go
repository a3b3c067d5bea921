package catalog_test

import (
	"encoding/json"
	"os"
	"reflect"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/catalog"
)

// classes says how private fields are. See testdata/classes.json.
type classes struct {
	Secret, Personal, Open []string
	Instead                map[string][2]string // class and why, by stored name and field
}

// rank orders the classes: what is sealed may be sealed more tightly than its class asks, never less.
var rank = map[string]int{"": 0, "open": 0, "personal": 1, "secret": 2}

func readClasses(t *testing.T) classes {
	text, err := os.ReadFile("testdata/classes.json")
	if err != nil {
		t.Fatal(err)
	}
	var c classes
	if err := json.Unmarshal(text, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// of returns the class of an event's field; known is false if nobody has decided.
func (c classes) of(event, field string) (class string, known bool) {
	if instead, ok := c.Instead[event+" "+field]; ok {
		return instead[0], true
	}
	for class, names := range map[string][]string{"secret": c.Secret, "personal": c.Personal, "open": c.Open} {
		for _, name := range names {
			if name == field {
				return class, true
			}
		}
	}
	return "", false
}

// wrong lists what is sealed too loosely in an event, and what has no class.
func (c classes) wrong(event domain.Event) (fields []string) {
	t := reflect.TypeOf(event)
	for i := range t.NumField() {
		f := t.Field(i)
		fields = append(fields, c.wrongIn(event.EventType(), f.Name, f.Type, f.Tag.Get("seal"))...)
	}
	return fields
}

// wrongIn looks at a field and at all that is in it: what stands in a sealed field is sealed with it.
func (c classes) wrongIn(event, field string, t reflect.Type, tag string) (fields []string) {
	class, known := c.of(event, field)
	if !known || rank[tag] < rank[class] {
		fields = append(fields, field)
	}
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	if t.Kind() == reflect.Struct && t != reflect.TypeFor[time.Time]() {
		for f := range t.Fields() {
			fields = append(fields, c.wrongIn(event, f.Name, f.Type, tag)...)
		}
	}
	return fields
}

func TestEveryFieldIsSealedAsItsClassAsks(t *testing.T) {
	c := readClasses(t)
	for _, e := range catalog.Events() {
		for _, field := range c.wrong(e) {
			class, known := c.of(e.EventType(), field)
			if !known {
				t.Errorf("nobody has said how private %s of %s is: add it to testdata/classes.json", field, e.EventType())
				continue
			}
			t.Errorf("%s of %s is %s: tag it so", field, e.EventType(), class)
		}
	}
}

func TestEveryExceptionIsNeeded(t *testing.T) {
	c := readClasses(t)
	used := map[string]bool{}
	for _, e := range catalog.Events() {
		for f := range reflect.TypeOf(e).Fields() {
			used[e.EventType()+" "+f.Name] = true
		}
	}
	for field := range c.Instead {
		if !used[field] {
			t.Errorf("the exception %q speaks of a field that no event has", field)
		}
	}
}

// A careless is an event as nobody should write one.
type careless struct {
	UDID       string
	Token      []byte
	PushMagic  string
	PIN        string `seal:"personal"`
	Topic      string
	Unheard    string
	Inside     []struct{ SerialNumber string }
	Identities map[string]struct{ IMEI string } `seal:"personal"`
}

func (careless) EventType() string { return "device.careless" }

func TestACarelessEventIsFound(t *testing.T) {
	got := readClasses(t).wrong(careless{})
	want := []string{"UDID", "Token", "PushMagic", "PIN", "Unheard", "Inside", "SerialNumber", "Identities"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("found %v, want %v", got, want)
	}
}
