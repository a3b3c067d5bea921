package seal

import (
	"encoding/json"
	"fmt"
	"reflect"
)

// An Upcast turns the JSON object of one part of an event from a form that it once had into the next one, whenever it is
// read; what is stored stays as it is. Part is personal, secret, or empty for what is open. A form that is not the one
// it knows, which a newer one is too, it returns as it came. A field may come out of another part than it is stored in
// today.
type Upcast = func(part string, stored json.RawMessage) (json.RawMessage, error)

// upcast gives the lenses of a type the upcasts of its parts.
func (p *plan) upcast(all []Upcast) {
	for part, l := range map[Part]*lens{"": &p.open, Personal: &p.personal, Secret: &p.secret} {
		for _, up := range all {
			l.upcasts = append(l.upcasts, func(stored json.RawMessage) (json.RawMessage, error) { return up(string(part), stored) })
		}
	}
}

// readOld fills v with what a part holds that may have an older form.
func (l lens) readOld(part json.RawMessage, v reflect.Value) error {
	for _, up := range l.upcasts {
		var err error
		if part, err = up(part); err != nil {
			return fmt.Errorf("turn an old form into today's: %w", plainError(err))
		}
	}
	if err := json.Unmarshal(part, v.Interface()); err != nil { // the whole event: a field may have moved
		return fmt.Errorf("read its JSON: %w", plainError(err))
	}
	return nil
}
