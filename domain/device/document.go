package device

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"unicode/utf8"
)

// A Document is a property list, byte by byte. Where it is text it is stored as text, which is smaller and which
// people can read; where it is not, as base64 behind a mark that no property list begins with.
type Document []byte

var mark = []byte("base64:")

// MarshalText fulfils encoding.TextMarshaler.
func (d Document) MarshalText() ([]byte, error) {
	if utf8.Valid(d) && !bytes.HasPrefix(d, mark) {
		return d, nil
	}
	return base64.StdEncoding.AppendEncode(bytes.Clone(mark), d), nil
}

// UnmarshalText fulfils encoding.TextUnmarshaler.
func (d *Document) UnmarshalText(text []byte) error {
	encoded, binary := bytes.CutPrefix(text, mark)
	if !binary {
		*d = bytes.Clone(text)
		return nil
	}
	plain, err := base64.StdEncoding.AppendDecode(nil, encoded)
	if err != nil {
		return fmt.Errorf("decode a stored property list: %w", err)
	}
	*d = plain
	return nil
}
