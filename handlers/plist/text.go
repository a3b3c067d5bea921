package plist

import (
	"bytes"
	"strconv"
	"unicode/utf8"
)

// str reads a string up to its closing tag into dst, in quotes.
func (r *xmlReader) str(name string, empty bool) error {
	r.dst = append(r.dst, '"')
	if empty {
		r.dst = append(r.dst, '"')
		return nil
	}
	var err error
	if r.dst, err = r.text(r.dst, true); err != nil {
		return err
	}
	r.dst = append(r.dst, '"')
	return r.closing(name)
}

// text appends text up to the next closing tag to dst, escaped for JSON if quoted.
func (r *xmlReader) text(dst []byte, quoted bool) ([]byte, error) {
	for {
		from := r.pos
		i := from
		for i < len(r.src) && ordinary[r.src[i]] {
			i++
		}
		dst = append(dst, r.src[from:i]...)
		if r.pos = i; i == len(r.src) {
			return dst, r.fail("it is cut off")
		}
		if r.src[i] == '<' && i+1 < len(r.src) && r.src[i+1] == '/' {
			return dst, nil
		}
		var err error
		if dst, err = r.special(dst, quoted); err != nil {
			return dst, err
		}
	}
}

// ordinary are the bytes that stand for themselves in XML and JSON. 0xEF may begin a character that XML does not
// know, '>' may end what looks like a CDATA section.
var ordinary = func() (plain [256]bool) {
	for c := range plain {
		plain[c] = c >= ' ' && c != '"' && c != '\\' && c != '<' && c != '>' && c != '&' && c != 0xEF
	}
	return plain
}()

// special appends what the byte at pos begins.
func (r *xmlReader) special(dst []byte, quoted bool) ([]byte, error) {
	switch c := r.src[r.pos]; c {
	case '<':
		return r.inside(dst, quoted)
	case '&':
		return r.reference(dst, quoted)
	case '>':
		if bytes.HasSuffix(r.src[:r.pos], []byte("]]")) {
			return dst, r.fail("text holds the end of a CDATA section")
		}
		r.pos++
		return append(dst, '>'), nil
	default:
		return r.character(dst, quoted)
	}
}

// character appends the character at pos, which is neither of '<' and '&'.
func (r *xmlReader) character(dst []byte, quoted bool) ([]byte, error) {
	if r.at("\r") { // XML's reader sees one line end, however it is written
		if r.pos++; !r.take("\n") {
			return appendRune(dst, '\n', quoted), nil
		}
		return appendRune(dst, '\n', quoted), nil
	}
	c, size := utf8.DecodeRune(r.src[r.pos:])
	if !inXML(c) {
		return dst, r.fail("text holds a character that XML does not know")
	}
	r.pos += size
	return appendRune(dst, c, quoted), nil
}

// inside appends a CDATA section, or skips a comment.
func (r *xmlReader) inside(dst []byte, quoted bool) ([]byte, error) {
	if r.at("<!--") {
		return dst, r.comment()
	}
	if !r.take("<![CDATA[") {
		return dst, r.fail("an element stands in text")
	}
	n := bytes.Index(r.src[r.pos:], []byte("]]>"))
	if n < 0 {
		return dst, r.fail("a CDATA section does not end")
	}
	var err error
	for end := r.pos + n; r.pos < end; {
		if dst, err = r.character(dst, quoted); err != nil {
			return dst, err
		}
	}
	r.pos += len("]]>")
	return dst, nil
}

// reference appends the character that &…; stands for.
func (r *xmlReader) reference(dst []byte, quoted bool) ([]byte, error) {
	n := bytes.IndexByte(r.src[r.pos:min(len(r.src), r.pos+12)], ';')
	if n < 0 {
		return dst, r.fail("an entity is malformed")
	}
	c, ok := referred(string(r.src[r.pos+1 : r.pos+n]))
	if !ok {
		return dst, r.fail("an entity is not one of XML's own")
	}
	r.pos += n + 1
	return appendRune(dst, c, quoted), nil
}

func referred(name string) (rune, bool) {
	switch name {
	case "lt":
		return '<', true
	case "gt":
		return '>', true
	case "amp":
		return '&', true
	case "quot":
		return '"', true
	case "apos":
		return '\'', true
	}
	if len(name) < 2 || name[0] != '#' {
		return 0, false
	}
	digits, base := name[1:], 10
	if digits[0] == 'x' {
		digits, base = digits[1:], 16
	}
	n, err := strconv.ParseUint(digits, base, 32)
	return rune(n), err == nil && n <= utf8.MaxRune && inXML(rune(n))
}

// inXML reports whether XML 1.0 knows the character.
func inXML(c rune) bool {
	return c == '\t' || c == '\n' || c == '\r' || ' ' <= c && c <= 0xD7FF || 0xE000 <= c && c <= 0xFFFD || 0x10000 <= c && c <= utf8.MaxRune
}

// appendRune appends a character, escaped if it goes into a JSON string.
func appendRune(dst []byte, c rune, quoted bool) []byte {
	if quoted {
		switch c {
		case '"', '\\':
			return append(dst, '\\', byte(c))
		case '\n':
			return append(dst, '\\', 'n')
		case '\r':
			return append(dst, '\\', 'r')
		case '\t':
			return append(dst, '\\', 't')
		}
	}
	return utf8.AppendRune(dst, c)
}
