package projections

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/rollcall-mdm/rollcall/rawjson"
)

// text returns the text that raw is; empty if it is none.
func text(raw json.RawMessage) string {
	if len(raw) == 0 || raw[0] != '"' {
		return ""
	}
	s, _ := rawjson.Unquote(raw)
	return s
}

// truth returns the truth value that raw is; nil if it is none.
func truth(raw json.RawMessage) *bool {
	switch string(raw) {
	case "true":
		return new(true)
	case "false":
		return new(false)
	}
	return nil
}

// canonical returns the value with its members sorted and without blanks, so that equal values are equal texts.
func canonical(value any) (string, error) {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		return "", err
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

// decode reads a value whose numbers stay as they are written.
func decode(raw json.RawMessage) (value any, err error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if err := dec.Decode(&value); err != nil {
		return nil, rawjson.Err
	}
	return value, nil
}
