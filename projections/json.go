package projections

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"unicode/utf8"
)

// Results hold lists of hundreds of entries, of which most are known already: they are cut into pieces here,
// and only the pieces that are new are decoded. The JSON comes from our own codec, so it is well-formed; where it is
// not, an error says so.

var errJSON = errors.New("the result is not well-formed JSON")

// A member is one member of a JSON object.
type member struct {
	name  string
	value json.RawMessage
}

// members cuts an object into its members. Anything but an object has none.
func members(raw json.RawMessage) ([]member, error) {
	i := blank(raw, 0)
	if i >= len(raw) || raw[i] != '{' {
		return nil, nil
	}
	var found []member
	for i = blank(raw, i+1); i < len(raw) && raw[i] != '}'; {
		end, err := skip(raw, i)
		if err != nil || raw[i] != '"' {
			return nil, errJSON
		}
		name, err := unquote(raw[i:end])
		if err != nil {
			return nil, err
		}
		i = blank(raw, end)
		if i >= len(raw) || raw[i] != ':' {
			return nil, errJSON
		}
		i = blank(raw, i+1)
		if end, err = skip(raw, i); err != nil {
			return nil, err
		}
		found = append(found, member{name, raw[i:end]})
		if i, err = comma(raw, end, '}'); err != nil {
			return nil, err
		}
	}
	if i >= len(raw) {
		return nil, errJSON
	}
	return found, nil
}

// elements cuts an array into its elements. Anything but an array has none.
func elements(raw json.RawMessage) ([]json.RawMessage, error) {
	i := blank(raw, 0)
	if i >= len(raw) || raw[i] != '[' {
		return nil, nil
	}
	var found []json.RawMessage
	for i = blank(raw, i+1); i < len(raw) && raw[i] != ']'; {
		end, err := skip(raw, i)
		if err != nil {
			return nil, err
		}
		found = append(found, raw[i:end])
		if i, err = comma(raw, end, ']'); err != nil {
			return nil, err
		}
	}
	if i >= len(raw) {
		return nil, errJSON
	}
	return found, nil
}

// comma returns where the next entry begins, or where the list closes.
func comma(raw []byte, i int, closing byte) (int, error) {
	i = blank(raw, i)
	switch {
	case i >= len(raw):
		return i, errJSON
	case raw[i] == closing:
		return i, nil
	case raw[i] != ',':
		return i, errJSON
	}
	i = blank(raw, i+1)
	if i >= len(raw) || raw[i] == closing {
		return i, errJSON
	}
	return i, nil
}

func blank(raw []byte, i int) int {
	for i < len(raw) && (raw[i] == ' ' || raw[i] == '\n' || raw[i] == '\t' || raw[i] == '\r') {
		i++
	}
	return i
}

// skip returns where the value that begins at i ends.
func skip(raw []byte, i int) (int, error) {
	depth := 0
	for start := i; i < len(raw); i++ {
		switch raw[i] {
		case '"':
			if i = closingQuote(raw, i+1); i >= len(raw) {
				return i, errJSON
			}
			if depth == 0 {
				return i + 1, nil
			}
		case '{', '[':
			depth++
		case '}', ']', ',':
			if depth == 0 {
				if i == start {
					return i, errJSON
				}
				return i, nil
			}
			if raw[i] == ',' {
				continue
			}
			if depth--; depth == 0 {
				return i + 1, nil
			}
		case ' ', '\n', '\t', '\r', ':':
			if depth == 0 {
				return i, nil
			}
		}
	}
	return i, errJSON
}

// closingQuote returns where the text ends that begins at i, or the end of raw.
func closingQuote(raw []byte, i int) int {
	for ; i < len(raw); i++ {
		switch raw[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return len(raw)
}

func unquote(raw []byte) (text string, err error) {
	if bytes.IndexByte(raw, '\\') < 0 && len(raw) >= 2 && utf8.Valid(raw) {
		return string(raw[1 : len(raw)-1]), nil
	}
	if err = json.Unmarshal(raw, &text); err != nil {
		return "", errJSON
	}
	return text, nil
}

// text returns the text that raw is; empty if it is none.
func text(raw json.RawMessage) string {
	if len(raw) == 0 || raw[0] != '"' {
		return ""
	}
	s, _ := unquote(raw)
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

// get returns the member of an object with a name; nil if there is none.
func get(raw json.RawMessage, name string) (json.RawMessage, error) {
	list, err := members(raw)
	for _, m := range list {
		if m.name == name {
			return m.value, err
		}
	}
	return nil, err
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
		return nil, errJSON
	}
	return value, nil
}
