package seal

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/rollcall-mdm/rollcall/rawjson"
)

// worthCutting is the size from which a field that is JSON already is cut out of its part and set into it as it stands,
// in bytes. To encoding/json it would be text to be checked, and checked again: most of what a long list costs.
const worthCutting = 1 << 10

// A cut is a field that is JSON already: what a device has answered, mostly.
type cut struct {
	field int
	name  string
}

// cutsOf returns the fields of a part that are JSON already, and are absent if they are empty.
func cutsOf(event reflect.Type, fields []int) (cuts []cut) {
	for _, i := range fields {
		f := event.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Type != reflect.TypeFor[json.RawMessage]() || options != "omitempty" || name == "-" {
			continue
		}
		if name == "" {
			name = f.Name
		}
		cuts = append(cuts, cut{i, name})
	}
	return cuts
}

func (c cut) of(v reflect.Value) json.RawMessage { return v.Elem().Field(c.field).Bytes() }

// without returns the shape in which the fields that are JSON already are named "-" too.
func without(shape reflect.Type, cuts []cut) reflect.Type {
	fields := make([]reflect.StructField, shape.NumField())
	for i := range fields {
		fields[i] = shape.Field(i)
	}
	for _, c := range cuts {
		fields[c.field].Tag = `json:"-"`
	}
	return reflect.StructOf(fields)
}

// worth reports whether the event, which v points to, has something to cut that is a whole object or array, so that
// whatever stands in it stays within it.
func (l lens) worth(v reflect.Value) bool {
	large := false
	for _, c := range l.cuts {
		raw := c.of(v)
		if len(raw) == 0 {
			continue
		}
		if end, err := rawjson.Skip(raw, 0); err != nil || end != len(raw) || raw[0] != '{' && raw[0] != '[' {
			return false
		}
		large = large || len(raw) >= worthCutting
	}
	return large
}

// writeCut writes the part with what is JSON already as it stands.
func (w *writer) writeCut(l lens, v reflect.Value) ([]byte, error) {
	if err := w.enc.Encode(reflect.NewAt(l.rest, v.UnsafePointer()).Interface()); err != nil {
		return nil, fmt.Errorf("write it as JSON: %w", plainError(err))
	}
	w.buf.Truncate(w.buf.Len() - len("}\n"))
	for _, c := range l.cuts {
		raw := c.of(v)
		if len(raw) == 0 {
			continue
		}
		if w.buf.Len() > len("{") {
			w.buf.WriteByte(',')
		}
		w.buf.WriteString(`"` + c.name + `":`)
		w.buf.Write(raw)
	}
	w.buf.WriteByte('}')
	return w.buf.Bytes(), nil
}

// readCut fills v with what the part holds, and reports whether it could be cut. What is JSON already shares the part's
// memory.
func (l lens) readCut(part []byte, v reflect.Value) (bool, error) {
	members, err := rawjson.Members(part)
	if err != nil || len(members) == 0 {
		return false, nil // encoding/json finds the words for it
	}
	rest := []byte("{")
	for _, m := range members {
		if c, is := l.cut(m.Name); is {
			v.Elem().Field(c.field).SetBytes(m.Value[:len(m.Value):len(m.Value)])
			continue
		}
		name, err := json.Marshal(m.Name)
		if err != nil {
			return false, nil
		}
		if len(rest) > len("{") {
			rest = append(rest, ',')
		}
		rest = append(append(append(rest, name...), ':'), m.Value...)
	}
	if err := json.Unmarshal(append(rest, '}'), reflect.NewAt(l.rest, v.UnsafePointer()).Interface()); err != nil {
		return false, fmt.Errorf("read its JSON: %w", plainError(err))
	}
	return true, nil
}

func (l lens) cut(name string) (cut, bool) {
	for _, c := range l.cuts {
		if c.name == name {
			return c, true
		}
	}
	return cut{}, false
}
