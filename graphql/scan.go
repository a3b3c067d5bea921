package graphql

import (
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"
)

// What a document may be at most. The parser and the validator below us are quadratic, or worse, in some of them,
// and deep nesting ends the process; so each is counted before they see a document.
const (
	maxDocument = 64 << 10 // bytes
	maxTokens   = 4000
	maxDepth    = 32  // of brackets of any kind, and of selections after fragments are put in
	maxName     = 128 // bytes; suggestions for a misspelt name cost its length times the names we know
)

// A limit is the refusal of a document that asks for too much. Nothing was resolved.
type limit struct {
	status  int
	message string
	hint    string
}

func (l *limit) Error() string { return l.message }

func limitf(hint, format string, args ...any) error {
	return &limit{http.StatusBadRequest, fmt.Sprintf(format, args...), hint}
}

// A scanner counts a document's tokens and depth in one pass over its bytes.
type scanner struct {
	src           string
	at            int
	tokens, depth int
	plain         []byte // the document with signs taken out that the parser stumbles over; nil if it has none
}

// scan refuses a document that is too long, has too many tokens, or nests too deep. It accepts much that is no
// GraphQL: the parser will say so. Brackets in strings and comments do not count.
//
// It returns the document as the parser wants it, which loses its place after a comment that is not ASCII, and
// after a byte order mark: both are blanked out, and every other byte stays where it is.
func scan(src string) (string, error) {
	if len(src) > maxDocument {
		return "", &limit{http.StatusRequestEntityTooLarge, fmt.Sprintf("the document has more than %d bytes", maxDocument), "put values into variables, or ask in parts"}
	}
	s := scanner{src: src}
	for s.at < len(s.src) {
		if err := s.step(); err != nil {
			return "", err
		}
	}
	if s.plain != nil {
		return string(s.plain), nil
	}
	return src, nil
}

func (s *scanner) step() error {
	if strings.HasPrefix(s.src[s.at:], byteOrderMark) {
		s.blank(len(byteOrderMark))
		return nil
	}
	switch s.src[s.at] {
	case ' ', '\t', '\n', '\r', ',':
		s.at++
		return nil
	case '#':
		s.comment()
		return nil
	case '"':
		s.text()
	case '{', '[', '(':
		s.at++
		if s.depth++; s.depth > maxDepth {
			return limitf("ask in parts", "the document nests more than %d deep", maxDepth)
		}
	case '}', ']', ')':
		s.at++
		s.depth--
	default:
		if length := s.word(); length > maxName {
			return limitf("", "a name or number has more than %d bytes", maxName)
		}
	}
	if s.tokens++; s.tokens > maxTokens {
		return limitf("ask in parts, or use fragments", "the document has more than %d tokens", maxTokens)
	}
	return nil
}

const byteOrderMark = "\ufeff"

// blank puts spaces in the place of the next n bytes.
func (s *scanner) blank(n int) {
	if s.plain == nil {
		s.plain = []byte(s.src)
	}
	for range n {
		s.plain[s.at] = ' '
		s.at++
	}
}

// comment skips to the end of the line.
func (s *scanner) comment() {
	for s.at < len(s.src) && s.src[s.at] != '\n' && s.src[s.at] != '\r' {
		if s.src[s.at] >= utf8.RuneSelf {
			s.blank(1)
		} else {
			s.at++
		}
	}
}

// text skips a string or a block string. One that does not end on its line ends there, as the parser will find;
// what follows is counted as if it stood outside.
func (s *scanner) text() {
	if strings.HasPrefix(s.src[s.at:], `"""`) {
		s.block()
		return
	}
	for s.at++; s.at < len(s.src); s.at++ {
		switch s.src[s.at] {
		case '\\':
			s.at++
		case '"':
			s.at++
			return
		case '\n', '\r':
			return
		}
	}
	s.at = len(s.src)
}

func (s *scanner) block() {
	for s.at += 3; s.at < len(s.src); s.at++ {
		switch {
		case strings.HasPrefix(s.src[s.at:], `\"""`):
			s.at += 3
		case strings.HasPrefix(s.src[s.at:], `"""`):
			s.at += 3
			return
		}
	}
	s.at = len(s.src)
}

// word skips a name, a number or any other single sign, and returns its length.
func (s *scanner) word() int {
	start := s.at
	for s.at < len(s.src) && wordly(s.src[s.at]) {
		s.at++
	}
	if s.at == start {
		s.at++
		return 1
	}
	return s.at - start
}

func wordly(c byte) bool {
	return c == '_' || c == '-' || c == '+' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}
