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
func Members(raw json.RawMessage) (found []Member, err error) {
	err = each(raw, func(key, value []byte) (more bool, err error) {
		name, err := Unquote(key)
		found = append(found, Member{name, value})
		return true, err
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

// Get returns the first member of an object that has the name; nil if there is none. It looks no further than that.
func Get(raw json.RawMessage, name string) (found json.RawMessage, err error) {
	err = each(raw, func(key, value []byte) (more bool, err error) {
		if is(key, name) {
			found = value
		}
		return found == nil, nil
	})
	return found, err
}

// Only returns the object with those members alone that have one of the names, as they stand there: an empty object if
// there is none, or raw is no object.
func Only(raw json.RawMessage, names ...string) (json.RawMessage, error) {
	kept := []byte("{")
	err := each(raw, func(key, value []byte) (more bool, err error) {
		for _, name := range names {
			if !is(key, name) {
				continue
			}
			if len(kept) > len("{") {
				kept = append(kept, ',')
			}
			kept = append(append(append(kept, key...), ':'), value...)
			break
		}
		return true, nil
	})
	return append(kept, '}'), err
}

// is reports whether a key, which has its quotes, is that of a name.
func is(key []byte, name string) bool {
	if bytes.IndexByte(key, '\\') < 0 && utf8.Valid(key) {
		return string(key[1:len(key)-1]) == name
	}
	text, err := Unquote(key)
	return err == nil && text == name
}

// each shows the members of an object, keys with their quotes, until there are no more or no more are wanted.
func each(raw []byte, show func(key, value []byte) (more bool, err error)) error {
	i := blank(raw, 0)
	if i >= len(raw) || raw[i] != '{' {
		return nil
	}
	for i = blank(raw, i+1); i < len(raw) && raw[i] != '}'; {
		end, err := Skip(raw, i)
		if err != nil || raw[i] != '"' {
			return Err
		}
		key := raw[i:end]
		i = blank(raw, end)
		if i >= len(raw) || raw[i] != ':' {
			return Err
		}
		i = blank(raw, i+1)
		if end, err = Skip(raw, i); err != nil {
			return err
		}
		if more, err := show(key, raw[i:end:end]); err != nil || !more {
			return err
		}
		if i, err = comma(raw, end, '}'); err != nil {
			return err
		}
	}
	if i >= len(raw) {
		return Err
	}
	return nil
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
