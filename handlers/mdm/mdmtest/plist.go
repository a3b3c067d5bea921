package mdmtest

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
)

// head is how Apple's devices begin a property list.
const head = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
`

// A dict is a dictionary of a property list. Its keys are written in order, as devices do.
type dict = map[string]any

// A fragment is a value that was rendered before, two levels deep. Many devices may share its bytes.
type fragment []byte

// A blank is the place of a CommandUUID that is not known yet.
type blank struct{}

// A form is a property list in parts. A nil part is the blank; the others are never written to.
type form [][]byte

// fill appends the property list to dst, with the UUID in the blank.
func (f form) fill(dst []byte, uuid string) []byte {
	for _, part := range f {
		if part == nil {
			dst = append(dst, uuid...)
		} else {
			dst = append(dst, part...)
		}
	}
	return dst
}

// render returns the dictionary as a property list.
func render(d dict) form {
	w := &writer{buf: []byte(head)}
	w.value(d, 0)
	w.buf = append(w.buf, "</plist>\n"...)
	w.cut()
	return w.parts
}

// renderFragment returns the value as it stands two levels deep: as the value of a key of the outermost dictionary.
func renderFragment(v any) fragment {
	w := &writer{}
	w.value(v, 1)
	return w.buf
}

// text returns the dictionary as a property list of one piece.
func text(d dict) []byte { return render(d).fill(nil, "") }

// A writer writes property lists as Apple's serialiser does: tabs, sorted keys, data in lines of 76.
type writer struct {
	buf   []byte
	parts form
}

// cut ends a part.
func (w *writer) cut() {
	w.parts = append(w.parts, w.buf[:len(w.buf):len(w.buf)])
	w.buf = nil
}

func (w *writer) indent(depth int) {
	for range depth {
		w.buf = append(w.buf, '\t')
	}
}

func (w *writer) value(v any, depth int) {
	switch v := v.(type) {
	case fragment:
		w.cut()
		w.parts = append(w.parts, v)
		return
	case dict:
		w.dict(v, depth)
		return
	case []dict:
		w.list(len(v), depth, func(i int) { w.value(v[i], depth+1) })
		return
	case []string:
		w.list(len(v), depth, func(i int) { w.value(v[i], depth+1) })
		return
	case [][]byte:
		w.list(len(v), depth, func(i int) { w.value(v[i], depth+1) })
		return
	case []any:
		w.list(len(v), depth, func(i int) { w.value(v[i], depth+1) })
		return
	}
	w.indent(depth)
	w.scalar(v, depth)
	w.buf = append(w.buf, '\n')
}

func (w *writer) dict(d dict, depth int) {
	w.indent(depth)
	if len(d) == 0 {
		w.buf = append(w.buf, "<dict/>\n"...)
		return
	}
	w.buf = append(w.buf, "<dict>\n"...)
	for _, key := range slices.Sorted(maps.Keys(d)) {
		w.indent(depth + 1)
		w.buf = append(w.buf, "<key>"...)
		w.escape(key)
		w.buf = append(w.buf, "</key>\n"...)
		w.value(d[key], depth+1)
	}
	w.indent(depth)
	w.buf = append(w.buf, "</dict>\n"...)
}

func (w *writer) list(n, depth int, item func(int)) {
	w.indent(depth)
	if n == 0 {
		w.buf = append(w.buf, "<array/>\n"...)
		return
	}
	w.buf = append(w.buf, "<array>\n"...)
	for i := range n {
		item(i)
	}
	w.indent(depth)
	w.buf = append(w.buf, "</array>\n"...)
}

func (w *writer) scalar(v any, depth int) {
	switch v := v.(type) {
	case string:
		w.buf = append(w.buf, "<string>"...)
		w.escape(v)
		w.buf = append(w.buf, "</string>"...)
	case blank:
		w.buf = append(w.buf, "<string>"...)
		w.cut()
		w.parts = append(w.parts, nil)
		w.buf = append(w.buf, "</string>"...)
	case bool:
		w.buf = append(w.buf, '<')
		w.buf = strconv.AppendBool(w.buf, v)
		w.buf = append(w.buf, "/>"...)
	case int:
		w.number("integer", strconv.Itoa(v))
	case int64:
		w.number("integer", strconv.FormatInt(v, 10))
	case uint64:
		w.number("integer", strconv.FormatUint(v, 10))
	case float64:
		w.number("real", strconv.FormatFloat(v, 'g', -1, 64))
	case time.Time:
		w.number("date", v.UTC().Format("2006-01-02T15:04:05Z"))
	case []byte:
		w.data(v, depth)
	default:
		panic(fmt.Sprintf("a property list cannot hold a %T", v))
	}
}

func (w *writer) number(tag, text string) {
	w.buf = append(w.buf, '<')
	w.buf = append(w.buf, tag...)
	w.buf = append(w.buf, '>')
	w.buf = append(w.buf, text...)
	w.buf = append(w.buf, "</"...)
	w.buf = append(w.buf, tag...)
	w.buf = append(w.buf, '>')
}

// dataLine is how many base64 letters stand in a line.
const dataLine = 76

func (w *writer) data(v []byte, depth int) {
	encoded := base64.StdEncoding.EncodeToString(v)
	w.buf = append(w.buf, "<data>\n"...)
	for len(encoded) > 0 {
		n := min(dataLine, len(encoded))
		w.indent(depth)
		w.buf = append(w.buf, encoded[:n]...)
		w.buf = append(w.buf, '\n')
		encoded = encoded[n:]
	}
	w.indent(depth)
	w.buf = append(w.buf, "</data>"...)
}

// escape writes text that may hold markup. What XML cannot hold becomes U+FFFD.
func (w *writer) escape(s string) {
	if !needsEscape(s) {
		w.buf = append(w.buf, s...)
		return
	}
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(s)) // a bytes.Buffer never fails
	w.buf = append(w.buf, b.Bytes()...)
}

func needsEscape(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f || c == '<' || c == '>' || c == '&' {
			return true
		}
	}
	return false
}
