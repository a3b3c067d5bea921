package plist

import "bytes"

// opening reads an opening tag. empty tells of one that closes itself, truth is what a boolean says.
func (r *xmlReader) opening() (k kind, truth, empty bool, err error) {
	if r.left--; r.left < 0 {
		return none, false, false, r.fail("it has too many elements")
	}
	if r.pos >= len(r.src) || r.src[r.pos] != '<' {
		return none, false, false, r.fail("an element is missing")
	}
	i := r.pos + 1
	for i < len(r.src) && 'a' <= r.src[i] && r.src[i] <= 'z' {
		i++
	}
	if k, truth = kindOf(r.src[r.pos+1 : i]); k == none {
		return none, false, false, r.fail("an element has no place in a property list")
	}
	r.pos = i
	r.blanks()
	if empty = r.take("/>"); !empty && !r.take(">") {
		return none, false, false, r.fail("a tag is malformed")
	}
	return k, truth, empty, nil
}

func kindOf(name []byte) (k kind, truth bool) {
	switch string(name) {
	case "key":
		return keyKind, false
	case "string":
		return stringKind, false
	case "integer":
		return integerKind, false
	case "true":
		return booleanKind, true
	case "false":
		return booleanKind, false
	case "dict":
		return dictKind, false
	case "array":
		return arrayKind, false
	case "data":
		return dataKind, false
	case "date":
		return dateKind, false
	case "real":
		return realKind, false
	}
	return none, false
}

// closing reads the closing tag of name.
func (r *xmlReader) closing(name string) error {
	if !r.take("</") || !r.take(name) {
		return r.fail("a closing tag is missing")
	}
	r.blanks()
	if !r.take(">") {
		return r.fail("a closing tag is malformed")
	}
	return nil
}

// blanks skips space and reports whether there was any.
func (r *xmlReader) blanks() bool {
	from := r.pos
	for r.pos < len(r.src) && blank(r.src[r.pos]) {
		r.pos++
	}
	return r.pos > from
}

func blank(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }

// space skips space and comments between elements.
func (r *xmlReader) space() error {
	for {
		r.blanks()
		if !r.at("<!--") {
			return nil
		}
		if err := r.comment(); err != nil {
			return err
		}
	}
}

func (r *xmlReader) comment() error {
	end := bytes.Index(r.src[r.pos+4:], []byte("--"))
	if end < 0 {
		return r.fail("a comment does not end")
	}
	r.pos += 4 + end + 2
	if !r.take(">") {
		return r.fail("a comment is malformed")
	}
	return nil
}
