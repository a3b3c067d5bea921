// Package plist reads and writes Apple's property lists for the doors.
//
// What comes from outside is guarded first: only XML and binary property lists pass, and only such as a server can
// hold without harm. ToJSON and Scan read a message once and give JSON, which is what the log and the views keep;
// Unmarshal fills a struct where types matter more than speed. Marshal and MarshalCommand write XML.
//
// The reader of XML (xml.go, text.go) and that of the binary form (binary.go) both write JSON as they go (json.go).
// What they accept, howett.net/plist accepts too, and reads the same; the reverse is not so.
package plist

import (
	"bytes"
	"encoding/json"
	"strconv"
)

// What a property list may hold at most. The body's size is the door's to bound.
const (
	maxDepth    = 64      // containers in containers
	maxElements = 200_000 // values and keys
	maxBody     = 1 << 30 // bytes; beyond it positions would not fit
)

// An Error says why a body is no property list that we take. It never quotes the body.
type Error struct {
	What string // what is wrong
	At   int    // where, in bytes from the start
}

func (e *Error) Error() string {
	return "property list: " + e.What + " at byte " + strconv.Itoa(e.At)
}

// ToJSON returns the property list as JSON: data as base64, a date as RFC 3339 in UTC, an integer exactly, a real
// as a number ("NaN", "Infinity" and "-Infinity" as strings). Keys keep their order.
func ToJSON(body []byte) (json.RawMessage, error) {
	return AppendJSON(make([]byte, 0, len(body)/2+64), body)
}

// AppendJSON appends what ToJSON would return to dst. After an error it returns dst as it was.
func AppendJSON(dst, body []byte) ([]byte, error) {
	out, err := transcode(dst, body, nil)
	if err != nil {
		return dst, err
	}
	return out, nil
}

// transcode appends body as JSON to dst and notes the entries of its root in d, unless d is nil.
func transcode(dst, body []byte, d *Dict) ([]byte, error) {
	if len(body) > maxBody {
		return nil, &Error{"it is too long", maxBody}
	}
	w := writer{dst: dst, left: maxElements, top: d}
	if bytes.HasPrefix(body, []byte("bplist")) {
		r := binaryReader{writer: w, src: body, limit: len(dst) + maxGrowth(body)}
		err := r.document()
		return r.dst, err
	}
	r := xmlReader{writer: w, src: body}
	err := r.document()
	return r.dst, err
}
