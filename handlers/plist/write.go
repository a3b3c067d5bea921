package plist

import (
	"bytes"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"howett.net/plist"
)

// Unmarshal reads a property list into v, which is a pointer. Fields are named by `plist` tags. Keys that v does
// not have are passed over; a value of another type is an error.
func Unmarshal(body []byte, v any) (err error) {
	if _, err := AppendJSON(nil, body); err != nil {
		return err
	}
	defer func() {
		if recover() != nil { // the message might quote the body
			err = errors.New("read a property list: the reader gave up")
		}
	}()
	if err := plist.NewDecoder(bytes.NewReader(body)).Decode(v); err != nil {
		return fmt.Errorf("read a property list: %w", err)
	}
	return nil
}

// Marshal returns v as an XML property list. A character that XML does not know becomes U+FFFD.
func Marshal(v any) (_ []byte, err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("write a property list: the writer gave up")
		}
	}()
	var out bytes.Buffer
	if err := plist.NewEncoder(&out).Encode(v); err != nil {
		return nil, fmt.Errorf("write a property list: %w", err)
	}
	return out.Bytes(), nil
}

// MarshalCommand returns a command as a device wants it. Parameters are the command's own keys, with []byte for
// data and time.Time for dates; RequestType is not one of them.
func MarshalCommand(uuid, requestType string, parameters map[string]any) ([]byte, error) {
	command := make(map[string]any, len(parameters)+1)
	for key, v := range parameters {
		command[key] = v
	}
	if _, given := command["RequestType"]; given {
		return nil, errors.New("write a command: RequestType stands among its parameters")
	}
	command["RequestType"] = requestType
	envelope := map[string]any{"CommandUUID": uuid, "Command": command}
	if err := writable(envelope, 0); err != nil {
		return nil, fmt.Errorf("write a command: %w", err)
	}
	return Marshal(envelope)
}

// writable returns why v is no value of a property list.
func writable(v any, depth int) error {
	if depth > maxDepth {
		return errors.New("it is nested too deeply")
	}
	switch v := v.(type) {
	case bool, []byte, time.Time, int, int64, uint64, float64:
		return nil
	case string:
		return writableText(v)
	case []any:
		for _, e := range v {
			if err := writable(e, depth+1); err != nil {
				return err
			}
		}
		return nil
	case map[string]any:
		return writableDict(v, depth)
	}
	return fmt.Errorf("a property list cannot hold a Go %T", v)
}

func writableDict(v map[string]any, depth int) error {
	for key, e := range v {
		if err := writableText(key); err != nil {
			return err
		}
		if err := writable(e, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// writableText returns an error if XML cannot hold s.
func writableText(s string) error {
	for i, c := range s {
		if _, size := utf8.DecodeRuneInString(s[i:]); !inXML(c) || c == utf8.RuneError && size == 1 {
			return errors.New("text holds a character that XML does not know")
		}
	}
	return nil
}
