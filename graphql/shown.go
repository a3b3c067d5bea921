package graphql

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

// mask stands where a secret was.
const mask = "••••••"

// ShownIn returns an event as people may see it, as JSON; of one whose type this program does not know, what is open.
func ShownIn(env eventstore.Envelope, e domain.Event) (json.RawMessage, error) {
	if e == nil {
		return env.Data, nil
	}
	return Shown(e, len(env.Secret) > 0)
}

// Shown returns an event as people may see it, as JSON. A field that its tag calls secret is not even read: if the event
// has secrets, a mask stands in its place.
func Shown(e domain.Event, secrets bool) (json.RawMessage, error) {
	v := reflect.ValueOf(e)
	open := reflect.New(v.Type()).Elem()
	masks := map[string]string{}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.Tag.Get("seal") == "secret" {
			masks[jsonName(f)] = mask
			continue
		}
		open.Field(i).Set(v.Field(i))
	}
	text, err := json.Marshal(open.Interface())
	if err != nil {
		return nil, fmt.Errorf("show a %s: %w", e.EventType(), err)
	}
	if text, err = conceal(text); err != nil || !secrets || len(masks) == 0 {
		return text, err
	}
	all := map[string]json.RawMessage{}
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("show a %s: %w", e.EventType(), err)
	}
	for name, m := range masks {
		all[name], _ = json.Marshal(m) // text always marshals
	}
	return json.Marshal(all)
}

// capabilities are Apple's keys whose values open something for whoever holds them: the push token and magic, and
// addresses that hold a code. They are needed to reach a device, and shown to nobody.
var capabilities = map[string]bool{
	"Token": true, "PushToken": true, "PushMagic": true, "push-token": true, "push-magic": true,
	"InvitationURL": true, "ManifestURL": true, "MediaURL": true,
}

// conceal puts a mask in the place of every capability within a piece of JSON.
func conceal(text json.RawMessage) (json.RawMessage, error) {
	if !mentions(text) {
		return text, nil
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("conceal what opens something: %w", err)
	}
	concealed(v)
	return json.Marshal(v)
}

func mentions(text []byte) bool {
	for key := range capabilities {
		if bytes.Contains(text, []byte(`"`+key+`"`)) {
			return true
		}
	}
	return false
}

func concealed(v any) {
	switch v := v.(type) {
	case map[string]any:
		for key, inner := range v {
			if capabilities[key] {
				v[key] = mask
			} else {
				concealed(inner)
			}
		}
	case []any:
		for _, inner := range v {
			concealed(inner)
		}
	}
}

func jsonName(f reflect.StructField) string {
	if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" {
		return name
	}
	return f.Name
}
