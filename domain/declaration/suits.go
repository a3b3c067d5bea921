package declaration

import (
	"bytes"
	"encoding/json"

	"github.com/rollcall-mdm/rollcall/domain/command"
)

// Suits returns the refusal of a declaration that cannot work on a channel, as far as it is known, with a reason that a
// person understands: the type does not exist on its platform, in its version, on such a channel or in its kind of
// enrolment, or a key of the payload does not. Secrets may be masked in the payload. A type that Apple's schema does not
// have suits: nobody knows better.
//
// It decides nothing. Which types a client is given is what the client has told that it takes (Capabilities).
func Suits(declarationType string, payload json.RawMessage, t command.Target) error {
	spec, known := command.LookupDeclaration(declarationType)
	if !known {
		return nil
	}
	var keys map[string]any
	read := json.NewDecoder(bytes.NewReader(payload))
	read.UseNumber()
	_ = read.Decode(&keys) // what is no object has no keys that could be judged
	return spec.Suits(t, keys)
}
