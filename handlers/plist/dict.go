package plist

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"time"
)

// A Dict is a message: a property list whose root is a dictionary, read once, its values kept as JSON.
//
// A getter returns the zero value for a key that is absent. For a key of another type it does so too, and Err
// tells of the first such key: read all you need, then ask Err once.
type Dict struct {
	json    []byte
	entries []entry
	first   [12]entry // room for most messages
	err     error
}

// An entry is a key and its value in the JSON.
type entry struct {
	from, to int32 // the key, in its quotes
	end      int32 // of the value, which begins after the colon behind the key
	kind     kind
}

// Scan reads a message. What it returns shares no memory with body.
func Scan(body []byte) (*Dict, error) {
	d := &Dict{json: make([]byte, 0, len(body)/2+64)}
	d.entries = d.first[:0]
	out, err := transcode(d.json, body, d)
	if err != nil {
		return nil, err
	}
	if out[0] != '{' {
		return nil, &Error{"its root is no dictionary", 0}
	}
	d.json = out
	return d, nil
}

// note keeps an entry of the root.
func (d *Dict) note(k kind, from, to, end int) {
	d.entries = append(d.entries, entry{int32(from), int32(to), int32(end), k})
}

func (d *Dict) key(e entry) []byte   { return d.json[e.from+1 : e.to-1] }
func (d *Dict) value(e entry) []byte { return d.json[e.to+1 : e.end : e.end] }

// find returns the entry of key, if there is one. A key that JSON must escape is never found by its name; Apple has
// none.
func (d *Dict) find(key string) (entry, bool) {
	for _, e := range d.entries {
		if int(e.to-e.from) == len(key)+2 && string(d.key(e)) == key {
			return e, true
		}
	}
	return entry{}, false
}

// typed returns the value of key in JSON if it is of kind k.
func (d *Dict) typed(key string, k kind) []byte {
	e, found := d.find(key)
	if !found {
		return nil
	}
	if e.kind != k {
		if d.err == nil {
			d.err = &Error{key + " is not " + kindNames[k], 0}
		}
		return nil
	}
	return d.value(e)
}

// wrong keeps the error of a value that its type cannot hold.
func (d *Dict) wrong(key string, err error) {
	if err != nil && d.err == nil {
		d.err = &Error{key + " is out of range", 0}
	}
}

// Err returns the first key that was of another type than a getter asked for, as an *Error.
func (d *Dict) Err() error { return d.err }

// Has reports whether the message has the key, of whatever type.
func (d *Dict) Has(key string) bool {
	_, found := d.find(key)
	return found
}

// Keys returns the message's keys in the order they came.
func (d *Dict) Keys() []string {
	keys := make([]string, len(d.entries))
	for i, e := range d.entries {
		keys[i], _ = unquote(d.json[e.from:e.to])
	}
	return keys
}

// String returns the string at key.
func (d *Dict) String(key string) string {
	v := d.typed(key, stringKind)
	if v == nil {
		return ""
	}
	s, err := unquote(v)
	d.wrong(key, err)
	return s
}

// unquote returns the string that JSON has in quotes.
func unquote(quoted []byte) (string, error) {
	if !slices.Contains(quoted, '\\') {
		return string(quoted[1 : len(quoted)-1]), nil
	}
	var s string
	err := json.Unmarshal(quoted, &s)
	return s, err
}

// Bool returns the boolean at key, or nil if it is absent.
func (d *Dict) Bool(key string) *bool {
	v := d.typed(key, booleanKind)
	if v == nil {
		return nil
	}
	return new(v[0] == 't')
}

// Int returns the integer at key.
func (d *Dict) Int(key string) int64 {
	v := d.typed(key, integerKind)
	if v == nil {
		return 0
	}
	n, err := strconv.ParseInt(string(v), 10, 64)
	d.wrong(key, err)
	return n
}

// Time returns the date at key.
func (d *Dict) Time(key string) time.Time {
	v := d.typed(key, dateKind)
	if v == nil {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339, string(v[1:len(v)-1]))
	d.wrong(key, err)
	return t
}

// Bytes returns the data at key. It is nil if the key is absent, and empty but not nil if the data is empty.
func (d *Dict) Bytes(key string) []byte {
	v := d.typed(key, dataKind)
	if v == nil {
		return nil
	}
	out := make([]byte, 0, base64.StdEncoding.DecodedLen(len(v)-2))
	out, err := base64.StdEncoding.AppendDecode(out, v[1:len(v)-1])
	d.wrong(key, err)
	return out
}

// JSON returns the value at key, of whatever type, or nil if it is absent. It is a part of the Dict's own memory.
func (d *Dict) JSON(key string) json.RawMessage {
	e, found := d.find(key)
	if !found {
		return nil
	}
	return d.value(e)
}

// Whole returns the message as one JSON object. It is the Dict's own memory.
func (d *Dict) Whole() json.RawMessage { return d.json[:len(d.json):len(d.json)] }

// Rest returns the message without some keys, or nil if nothing is left.
func (d *Dict) Rest(without ...string) json.RawMessage {
	var out []byte
	for _, e := range d.entries {
		if slices.Contains(without, string(d.key(e))) {
			continue
		}
		if out == nil {
			out = append(make([]byte, 0, len(d.json)-int(e.from)+2), '{')
		} else {
			out = append(out, ',')
		}
		out = append(out, d.json[e.from:e.end]...)
	}
	if out == nil {
		return nil
	}
	return append(out, '}')
}
