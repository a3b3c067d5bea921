package declaration

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"

	"github.com/rollcall-mdm/rollcall/domain"
)

// openToken returns the revision of a declaration of Rollcall's own, which has nothing to hide: 64 hex digits that change
// if, and only if, its type or the canonical form of its payload does.
func openToken(declarationType string, payload json.RawMessage) string {
	hash := sha256.New()
	_, _ = io.WriteString(hash, declarationType+"\x00") // a hash never fails
	_, _ = hash.Write(payload)
	return hex.EncodeToString(hash.Sum(nil))
}

// canonical returns a payload with its keys sorted and without blanks, its numbers as they are written.
func canonical(payload json.RawMessage) (json.RawMessage, error) {
	dec := json.NewDecoder(bytes.NewReader(payload))
	dec.UseNumber()
	var value map[string]any
	if err := dec.Decode(&value); err != nil || value == nil || dec.More() {
		return nil, domain.Refusef(domain.Invalid, "a payload is one JSON object")
	}
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		return nil, domain.Refusef(domain.Invalid, "the payload cannot be written as JSON")
	}
	return bytes.TrimSuffix(text.Bytes(), []byte("\n")), nil
}
