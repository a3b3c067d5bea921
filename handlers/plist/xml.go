package plist

import (
	"strconv"
	"unicode/utf8"
)

// An xmlReader reads the form of XML that Apple writes: UTF-8, no entities but XML's five, no attributes but the
// version, nothing between the elements but space and comments.
type xmlReader struct {
	writer
	src     []byte
	pos     int
	scratch []byte // text that could not be taken from src as it stands
}

func (r *xmlReader) fail(what string) error { return &Error{what, r.pos} }

// at reports whether s stands at pos.
func (r *xmlReader) at(s string) bool {
	return len(r.src)-r.pos >= len(s) && string(r.src[r.pos:r.pos+len(s)]) == s
}

// take moves on over s, if it stands at pos.
func (r *xmlReader) take(s string) bool {
	if !r.at(s) {
		return false
	}
	r.pos += len(s)
	return true
}

func (r *xmlReader) document() error {
	r.take("\xef\xbb\xbf")
	if !utf8.Valid(r.src) {
		return r.fail("it is not UTF-8")
	}
	if err := r.prolog(); err != nil {
		return err
	}
	if err := r.root(); err != nil {
		return err
	}
	if err := r.space(); err != nil {
		return err
	}
	if r.pos < len(r.src) {
		return r.fail("something follows its end")
	}
	return nil
}

// root reads <plist>, one value, and </plist>.
func (r *xmlReader) root() error {
	if !r.take("<plist") {
		return r.fail("it does not begin with <plist>")
	}
	if err := r.version(); err != nil {
		return err
	}
	if err := r.space(); err != nil {
		return err
	}
	if r.at("</") {
		return r.fail("it is empty")
	}
	if _, err := r.element(0); err != nil {
		return err
	}
	if err := r.space(); err != nil {
		return err
	}
	return r.closing("plist")
}

// version reads the rest of the tag <plist>.
func (r *xmlReader) version() error {
	spaced := r.blanks()
	if spaced && r.take("version") {
		if _, err := r.attribute(); err != nil {
			return err
		}
		r.blanks()
	}
	if !r.take(">") {
		return r.fail("the tag of its root is malformed")
	}
	return nil
}

// element reads one value into dst.
func (r *xmlReader) element(depth int) (kind, error) {
	k, truth, empty, err := r.opening()
	if err != nil {
		return none, err
	}
	switch k {
	case dictKind, arrayKind:
		if depth == maxDepth {
			return k, r.fail("it is nested too deeply")
		}
		if empty {
			r.dst = append(r.dst, hollow[k]...)
			return k, nil
		}
		if k == dictKind {
			return k, r.dict(depth)
		}
		return k, r.array(depth)
	case booleanKind:
		r.boolean(truth)
		if empty {
			return k, nil
		}
		if err := r.space(); err != nil {
			return k, err
		}
		return k, r.closing(strconv.FormatBool(truth))
	case keyKind:
		return k, r.fail("a key stands where a value should")
	}
	return k, r.leaf(k, empty)
}

var hollow = [...]string{dictKind: "{}", arrayKind: "[]"}

func (r *xmlReader) array(depth int) error {
	r.dst = append(r.dst, '[')
	for first := true; ; first = false {
		if err := r.space(); err != nil {
			return err
		}
		if r.at("</") {
			r.dst = append(r.dst, ']')
			return r.closing("array")
		}
		if !first {
			r.dst = append(r.dst, ',')
		}
		if _, err := r.element(depth + 1); err != nil {
			return err
		}
	}
}

func (r *xmlReader) dict(depth int) error {
	r.dst = append(r.dst, '{')
	set := r.openKeys()
	for first := true; ; first = false {
		if err := r.space(); err != nil {
			return err
		}
		if r.at("</") {
			r.closeKeys(set)
			r.dst = append(r.dst, '}')
			return r.closing("dict")
		}
		if !first {
			r.dst = append(r.dst, ',')
		}
		if err := r.member(depth, &set); err != nil {
			return err
		}
	}
}

// member reads a key and its value.
func (r *xmlReader) member(depth int, set *keySet) error {
	from := len(r.dst)
	if err := r.key(); err != nil {
		return err
	}
	if !r.add(set, from) {
		return r.fail("a key comes twice")
	}
	to := len(r.dst)
	r.dst = append(r.dst, ':')
	if err := r.space(); err != nil {
		return err
	}
	if r.at("</") {
		return r.fail("a key has no value")
	}
	k, err := r.element(depth + 1)
	if err == nil && depth == 0 && r.top != nil {
		r.top.note(k, from, to, len(r.dst))
	}
	return err
}

func (r *xmlReader) key() error {
	k, _, empty, err := r.opening()
	switch {
	case err != nil:
		return err
	case k != keyKind:
		return r.fail("a value stands where a key should")
	}
	return r.str("key", empty)
}
