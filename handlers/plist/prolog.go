package plist

import (
	"bytes"
	"strings"
)

// prolog reads what stands before <plist>: the XML declaration and the DOCTYPE, both optional.
func (r *xmlReader) prolog() error {
	r.blanks()
	if r.at("<?xml") {
		if err := r.declaration(); err != nil {
			return err
		}
	}
	if err := r.space(); err != nil {
		return err
	}
	if r.at("<!DOCTYPE") {
		if err := r.doctype(); err != nil {
			return err
		}
	}
	return r.space()
}

// declaration reads <?xml version="1.0" encoding="UTF-8"?>.
func (r *xmlReader) declaration() error {
	r.take("<?xml")
	for _, name := range []string{"version", "encoding", "standalone"} {
		spaced := r.blanks()
		if !spaced || !r.take(name) {
			if name == "version" {
				return r.fail("the XML declaration has no version")
			}
			continue
		}
		value, err := r.attribute()
		switch {
		case err != nil:
			return err
		case name == "version" && string(value) != "1.0":
			return r.fail("it is not XML 1.0")
		case name == "encoding" && !strings.EqualFold(string(value), "utf-8"):
			return r.fail("it is not in UTF-8")
		}
	}
	r.blanks()
	if !r.take("?>") {
		return r.fail("the XML declaration is malformed")
	}
	return nil
}

// attribute reads ="value" and returns the value, which is plain.
func (r *xmlReader) attribute() ([]byte, error) {
	r.blanks()
	if !r.take("=") {
		return nil, r.fail("an attribute has no value")
	}
	r.blanks()
	if !r.at(`"`) && !r.at(`'`) {
		return nil, r.fail("an attribute has no value in quotes")
	}
	quote := r.src[r.pos]
	r.pos++
	n := bytes.IndexByte(r.src[r.pos:], quote)
	if n < 0 || n > 64 {
		return nil, r.fail("an attribute does not end")
	}
	value := r.src[r.pos : r.pos+n]
	if bytes.ContainsFunc(value, notPlain) {
		return nil, r.fail("an attribute holds more than a plain word")
	}
	r.pos += n + 1
	return value, nil
}

func notPlain(c rune) bool {
	return c != '.' && c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z')
}

// doctype skips the document type. One with declarations of its own (an internal subset) is refused, so there is
// never an entity to expand.
func (r *xmlReader) doctype() error {
	r.take("<!DOCTYPE")
	var quote byte
	for ; r.pos < len(r.src); r.pos++ {
		c := r.src[r.pos]
		switch {
		case c == '[' || c == '<':
			return r.fail("its document type has declarations")
		case c < ' ' && !blank(c):
			return r.fail("its document type is malformed")
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '>':
			r.pos++
			return nil
		}
	}
	return r.fail("its document type does not end")
}
