package seal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// A plan knows how one type of event falls into its parts.
type plan struct {
	name     string
	event    reflect.Type
	open     lens
	personal lens
	secret   lens
}

// A lens shows one part of an event to encoding/json: a struct type that is laid out in memory as the event's is,
// in which the fields of all other parts are named "-". So no field is copied to be encoded or decoded.
type lens struct {
	shape  reflect.Type
	fields []int // that stand in the part

	cuts []cut        // the fields of a sealed part that are JSON already
	rest reflect.Type // the shape without them

	upcasts []func(json.RawMessage) (json.RawMessage, error)
}

// newPlan reads the tags of an event's type.
func newPlan(name string, event reflect.Type) (*plan, error) {
	if event.Kind() != reflect.Struct {
		return nil, fmt.Errorf("the event %s is a %s, not a struct", name, event.Kind())
	}
	p := &plan{name: name, event: event}
	for part, l := range map[Part]*lens{"": &p.open, Personal: &p.personal, Secret: &p.secret} {
		var err error
		if *l, err = newLens(event, part); err != nil {
			return nil, fmt.Errorf("the event %s: %w", name, err)
		}
	}
	return p, nil
}

func newLens(event reflect.Type, part Part) (lens, error) {
	var l lens
	fields := make([]reflect.StructField, event.NumField())
	for i := range fields {
		f := event.Field(i)
		if err := checkField(f); err != nil {
			return lens{}, err
		}
		if Part(f.Tag.Get("seal")) == part {
			l.fields = append(l.fields, i)
		} else {
			f.Tag = `json:"-"`
		}
		fields[i] = f
	}
	l.shape = reflect.StructOf(fields)
	if !reflect.PointerTo(event).ConvertibleTo(reflect.PointerTo(l.shape)) {
		return lens{}, fmt.Errorf("its part %q has another shape than the whole", string(part))
	}
	if part != "" {
		l.cuts = cutsOf(event, l.fields)
		l.rest = without(l.shape, l.cuts)
	}
	return l, nil
}

// checkField refuses what a lens would show wrongly.
func checkField(f reflect.StructField) error {
	switch tag := f.Tag.Get("seal"); {
	case f.Anonymous || !f.IsExported():
		return fmt.Errorf("its field %s is embedded or not exported", f.Name)
	case tag != "" && tag != string(Personal) && tag != string(Secret):
		return fmt.Errorf(`its field %s is tagged seal:"%s": want personal or secret`, f.Name, tag)
	}
	return checkInside(f.Type, f.Name, map[reflect.Type]bool{})
}

// checkInside refuses tags below the event's own fields: a field is sealed whole, or not at all.
func checkInside(t reflect.Type, name string, seen map[reflect.Type]bool) error {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return checkInside(t.Elem(), name, seen)
	case reflect.Struct:
	default:
		return nil
	}
	if seen[t] {
		return nil
	}
	seen[t] = true
	for f := range t.Fields() {
		if f.Tag.Get("seal") != "" {
			return fmt.Errorf("within its field %s, %s has a seal tag, which nobody obeys there", name, f.Name)
		}
		if err := checkInside(f.Type, name, seen); err != nil {
			return err
		}
	}
	return nil
}

// through returns a pointer to the event that event points to, seen through the lens.
func (l lens) through(event reflect.Value) any {
	return reflect.NewAt(l.shape, event.UnsafePointer()).Interface()
}

// empty reports whether the event, which v points to, has nothing in this part.
func (l lens) empty(v reflect.Value) bool {
	for _, i := range l.fields {
		if !v.Elem().Field(i).IsZero() {
			return false
		}
	}
	return true
}

// A writer writes parts as JSON, one after another, into one buffer.
type writer struct {
	buf bytes.Buffer
	enc *json.Encoder
}

func newWriter() *writer {
	w := &writer{}
	w.enc = json.NewEncoder(&w.buf)
	w.enc.SetEscapeHTML(false)
	return w
}

// write returns the part of v that the lens shows, good until the next write. It is empty if JSON shows nothing.
func (w *writer) write(l lens, v reflect.Value) ([]byte, error) {
	w.forget()
	if l.worth(v) {
		return w.writeCut(l, v)
	}
	if err := w.enc.Encode(l.through(v)); err != nil {
		return nil, fmt.Errorf("write it as JSON: %w", plainError(err))
	}
	part := bytes.TrimSuffix(w.buf.Bytes(), []byte("\n"))
	if string(part) == "{}" {
		return nil, nil
	}
	return part, nil
}

// forget overwrites what was written last: it may be secret, and the buffer lives on.
func (w *writer) forget() {
	clear(w.buf.Bytes())
	w.buf.Reset()
}

// read fills v with what a part holds.
func (l lens) read(part []byte, v reflect.Value) error {
	if len(l.upcasts) > 0 && len(part) > 0 {
		return l.readOld(part, v)
	}
	if len(l.fields) == 0 || len(part) == 0 {
		return nil
	}
	if len(l.cuts) > 0 && len(part) >= worthCutting {
		if done, err := l.readCut(part, v); done || err != nil {
			return err
		}
	}
	if err := json.Unmarshal(part, l.through(v)); err != nil {
		return fmt.Errorf("read its JSON: %w", plainError(err))
	}
	return nil
}

// plainError keeps of an error of encoding/json what quotes nothing of the document.
func plainError(err error) error {
	kind := strings.TrimPrefix(fmt.Sprintf("%T", err), "*json.")
	return fmt.Errorf("%s", kind)
}
