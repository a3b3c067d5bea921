package plist

import (
	"bytes"
	"math"
	"strconv"
	"time"
)

// A kind is the type of a value.
type kind byte

// The kinds. none is that of no value at all.
const (
	none kind = iota
	stringKind
	integerKind
	realKind
	booleanKind
	dataKind
	dateKind
	arrayKind
	dictKind
	keyKind // of XML elements alone
)

var kindNames = [...]string{"nothing", "a string", "an integer", "a real", "a boolean", "data", "a date", "an array", "a dictionary", "a key"}

// A writer writes JSON, counts what it writes and sees keys that come twice.
type writer struct {
	dst  []byte
	keys []span // of the dictionaries that are open
	left int    // elements that may still come
	top  *Dict  // whose entries are noted; may be nil
}

// A span is a part of dst.
type span struct{ from, to int32 }

// integer appends text, an integer as howett reads it: decimal or 0x, with or without minus.
func (w *writer) integer(text []byte) bool {
	if plainDigits(text) {
		w.dst = append(w.dst, text...)
		return true
	}
	minus := len(text) > 0 && text[0] == '-'
	digits, base := text, 10
	if minus {
		digits = digits[1:]
	}
	if len(digits) > 1 && digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X') {
		digits, base = digits[2:], 16
	}
	n, err := strconv.ParseUint(string(digits), base, 64)
	if err != nil || minus && n > 1<<63 {
		return false
	}
	if minus {
		w.dst = strconv.AppendInt(w.dst, -int64(n), 10) // the least integer is its own negative
	} else {
		w.dst = strconv.AppendUint(w.dst, n, 10)
	}
	return true
}

// plainDigits reports whether text is an integer that JSON writes the same.
func plainDigits(text []byte) bool {
	if len(text) == 0 || len(text) > 18 || text[0] == '0' && len(text) > 1 {
		return false
	}
	for _, c := range text {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// real appends a number, in the shortest form that reads back the same.
func (w *writer) real(f float64) {
	switch {
	case math.IsNaN(f):
		w.dst = append(w.dst, `"NaN"`...)
	case math.IsInf(f, 1):
		w.dst = append(w.dst, `"Infinity"`...)
	case math.IsInf(f, -1):
		w.dst = append(w.dst, `"-Infinity"`...)
	case f != 0 && (math.Abs(f) < 1e-6 || math.Abs(f) >= 1e21):
		w.dst = strconv.AppendFloat(w.dst, f, 'e', -1, 64)
	default:
		w.dst = strconv.AppendFloat(w.dst, f, 'f', -1, 64)
	}
}

// date appends a time in UTC, if its year can be written with four digits.
func (w *writer) date(t time.Time) bool {
	t = t.UTC()
	if t.Year() < 0 || t.Year() > 9999 {
		return false
	}
	w.dst = append(w.dst, '"')
	w.dst = t.AppendFormat(w.dst, time.RFC3339Nano)
	w.dst = append(w.dst, '"')
	return true
}

func (w *writer) boolean(b bool) { w.dst = strconv.AppendBool(w.dst, b) }

// manyKeys is the size from which a dictionary's keys are kept in a map.
const manyKeys = 48

// A keySet finds the key that comes twice in one dictionary.
type keySet struct {
	start int    // where its keys begin in writer.keys
	seen  uint64 // marks of the keys that came, so that most need no comparison
	many  map[string]struct{}
}

func (w *writer) openKeys() keySet { return keySet{start: len(w.keys)} }

func (w *writer) closeKeys(s keySet) { w.keys = w.keys[:s.start] }

// add notes the key at the end of dst, from from on, and reports whether it is new. Keys are compared as written
// in JSON, which writes equal keys equally.
func (w *writer) add(s *keySet, from int) bool {
	key := w.dst[from:]
	if s.many == nil && len(w.keys)-s.start == manyKeys {
		s.many = make(map[string]struct{}, 4*manyKeys)
		for _, k := range w.keys[s.start:] {
			s.many[string(w.dst[k.from:k.to])] = struct{}{}
		}
	}
	if s.many != nil {
		_, twice := s.many[string(key)]
		s.many[string(key)] = struct{}{}
		return !twice
	}
	mark := markOf(key)
	if s.seen&mark != 0 && w.has(s, key) {
		return false
	}
	s.seen |= mark
	w.keys = append(w.keys, span{int32(from), int32(len(w.dst))})
	return true
}

func (w *writer) has(s *keySet, key []byte) bool {
	for _, k := range w.keys[s.start:] {
		if bytes.Equal(w.dst[k.from:k.to], key) {
			return true
		}
	}
	return false
}

// markOf returns one bit out of 64 by a key's length and a few of its bytes. The key stands in quotes.
func markOf(key []byte) uint64 {
	n := len(key)
	if n < 4 {
		return 1 << (n & 63)
	}
	return 1 << ((uint(key[1])*7 + uint(key[n-2])*13 + uint(key[n/2])*3 + uint(n)) & 63)
}
