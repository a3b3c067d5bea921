package plist

import (
	"bytes"
	"strconv"
	"time"
)

// leaf reads the text of a string, number, date or data and its closing tag.
func (r *xmlReader) leaf(k kind, empty bool) error {
	if k == stringKind {
		return r.str("string", empty)
	}
	start := r.pos
	text, err := r.plain(leafNames[k], empty)
	if err != nil {
		return err
	}
	if what := r.writeLeaf(k, text); what != "" {
		return &Error{what, start}
	}
	return nil
}

var leafNames = [...]string{integerKind: "integer", realKind: "real", dataKind: "data", dateKind: "date"}

// writeLeaf writes text as JSON, or says what is wrong with it.
func (r *xmlReader) writeLeaf(k kind, text []byte) string {
	switch k {
	case integerKind:
		if !r.integer(text) {
			return "an integer is none, or too large"
		}
	case realKind:
		f, err := strconv.ParseFloat(string(text), 64)
		if err != nil {
			return "a real is none, or too large"
		}
		r.real(f)
	case dataKind:
		if !r.base64(text) {
			return "data is not in base64"
		}
	case dateKind:
		if !r.dateText(text) {
			return "a date is none"
		}
	}
	return ""
}

// dateText writes a date. Apple's own form is copied, any other is read as RFC 3339.
func (r *xmlReader) dateText(text []byte) bool {
	if appleDate(text) {
		r.dst = append(r.dst, '"')
		r.dst = append(r.dst, text...)
		r.dst = append(r.dst, '"')
		return true
	}
	t, err := time.ParseInLocation(time.RFC3339, string(text), time.UTC)
	return err == nil && r.date(t)
}

// appleDate reports whether text is a date like 2026-11-22T09:00:00Z of a day that every month has.
func appleDate(text []byte) bool {
	const form = "dddd-dd-ddTdd:dd:ddZ"
	if len(text) != len(form) {
		return false
	}
	for i, c := range text {
		if digit := '0' <= c && c <= '9'; form[i] == 'd' && !digit || form[i] != 'd' && form[i] != c {
			return false
		}
	}
	two := func(i int) int { return int(text[i]-'0')*10 + int(text[i+1]-'0') }
	month, day := two(5), two(8)
	return 1 <= month && month <= 12 && 1 <= day && day <= 28 && two(11) < 24 && two(14) < 60 && two(17) < 60
}

// plain reads text up to its closing tag and returns it decoded. It is good until the next call.
func (r *xmlReader) plain(name string, empty bool) ([]byte, error) {
	if empty {
		return nil, nil
	}
	n := bytes.IndexByte(r.src[r.pos:], '<')
	if n < 0 {
		return nil, r.fail("it is cut off")
	}
	text := r.src[r.pos : r.pos+n]
	if r.pos += n; r.at("</") && bytes.IndexByte(text, '&') < 0 {
		return text, r.closing(name)
	}
	r.pos -= n
	var err error
	if r.scratch, err = r.text(r.scratch[:0], false); err != nil {
		return nil, err
	}
	return r.scratch, r.closing(name)
}
