package declaration

import (
	"bytes"
	"encoding/json"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/command"
)

// Check refuses a payload that devices would not take: an unknown type, an unknown key, a key that is missing, a value
// of another type, out of range, or none that Apple names. It names the key, never the value. Devices take an unknown key
// for an error of the whole declaration. Source: Apple's schema of declarations.
func Check(declarationType string, payload json.RawMessage) error {
	spec, known := command.LookupDeclaration(declarationType)
	if !known {
		return domain.WithHint(domain.Refusef(domain.Invalid, "Apple has no declaration %.100q", declarationType), "types are spelt as Apple does")
	}
	read := json.NewDecoder(bytes.NewReader(payload))
	read.UseNumber()
	var keys map[string]any
	if err := read.Decode(&keys); err != nil {
		return domain.Refusef(domain.Invalid, "a payload is a JSON object")
	}
	return spec.Check(keys)
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
