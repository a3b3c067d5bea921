// Package rawjson cuts JSON into its pieces without reading them.
//
// Answers of devices hold lists of hundreds of entries, of which most are known already: whoever wants a few of them cuts
// the list here, and decodes only those. It looks at quotes, brackets and commas alone, and so is several times as fast as
// encoding/json, but it does not check what stands between them: it is for JSON that our own codec has written. Where that
// is not well-formed, an error says so, or whoever decodes the piece finds out.
package rawjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"unicode/utf8"
)

// Err says that what should be JSON is not well-formed.
var Err = errors.New("the result is not well-formed JSON")

// A Member is one member of a JSON object.
type Member struct {
	Name  string
	Value json.RawMessage // as it stands there: it shares its memory
}

// Members cuts an object into its members. Anything but an object has none.
func Members(raw json.RawMessage) ([]Member, error) {
	i := blank(raw, 0)
	if i >= len(raw) || raw[i] != '{' {
		return nil, nil
	}
	var found []Member
	for i = blank(raw, i+1); i < len(raw) && raw[i] != '}'; {
		end, err := Skip(raw, i)
		if err != nil || raw[i] != '"' {
			return nil, Err
		}
		name, err := Unquote(raw[i:end])
		if err != nil {
			return nil, err
		}
		i = blank(raw, end)
		if i >= len(raw) || raw[i] != ':' {
			return nil, Err
		}
		i = blank(raw, i+1)
		if end, err = Skip(raw, i); err != nil {
			return nil, err
		}
		found = append(found, Member{name, raw[i:end]})
		if i, err = comma(raw, end, '}'); err != nil {
			return nil, err
		}
	}
	if i >= len(raw) {
		return nil, Err
	}
	return found, nil
}

// Elements cuts an array into its elements. Anything but an array has none.
func Elements(raw json.RawMessage) ([]json.RawMessage, error) {
	i := blank(raw, 0)
	if i >= len(raw) || raw[i] != '[' {
		return nil, nil
	}
	var found []json.RawMessage
	for i = blank(raw, i+1); i < len(raw) && raw[i] != ']'; {
		end, err := Skip(raw, i)
		if err != nil {
			return nil, err
		}
		found = append(found, raw[i:end])
		if i, err = comma(raw, end, ']'); err != nil {
			return nil, err
		}
	}
	if i >= len(raw) {
		return nil, Err
	}
	return found, nil
}

// comma returns where the next entry begins, or where the list closes.
func comma(raw []byte, i int, closing byte) (int, error) {
	i = blank(raw, i)
	switch {
	case i >= len(raw):
		return i, Err
	case raw[i] == closing:
		return i, nil
	case raw[i] != ',':
		return i, Err
	}
	i = blank(raw, i+1)
	if i >= len(raw) || raw[i] == closing {
		return i, Err
	}
	return i, nil
}

func blank(raw []byte, i int) int {
	for i < len(raw) && (raw[i] == ' ' || raw[i] == '\n' || raw[i] == '\t' || raw[i] == '\r') {
		i++
	}
	return i
}

// Skip returns where the value that begins at i ends.
func Skip(raw []byte, i int) (int, error) {
	depth := 0
	for start := i; i < len(raw); i++ {
		switch raw[i] {
		case '"':
			if i = closingQuote(raw, i+1); i >= len(raw) {
				return i, Err
			}
			if depth == 0 {
				return i + 1, nil
			}
		case '{', '[':
			depth++
		case '}', ']', ',':
			if depth == 0 {
				if i == start {
					return i, Err
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
	return i, Err
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

// Unquote returns the text that a JSON string holds.
func Unquote(raw []byte) (text string, err error) {
	if bytes.IndexByte(raw, '\\') < 0 && len(raw) >= 2 && utf8.Valid(raw) {
		return string(raw[1 : len(raw)-1]), nil
	}
	if err = json.Unmarshal(raw, &text); err != nil {
		return "", Err
	}
	return text, nil
}
