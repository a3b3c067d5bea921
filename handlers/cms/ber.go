package cms

import "errors"

// How much structure a message may have. A real one has about 130 elements for each certificate in it, ten
// levels deep.
const (
	maxDepth    = 64
	maxElements = 4096
)

// ErrBER says that something is not well-formed.
var ErrBER = errors.New("it is not well-formed ASN.1")

// Bits and values of BER's first bytes. Source: ITU-T X.690, 8.1.
const (
	berConstructed = 0x20
	berHighTag     = 0x1f
	berOctets      = 0x04
	berIndefinite  = 0x80
)

// DER returns the DER form of a single BER element: every length definite and short, every octet string
// in one piece. It bounds what the parser behind it has to digest. Devices sign with indefinite lengths.
func DER(ber []byte) ([]byte, error) {
	r := berReader{in: ber}
	der, err := r.element(make([]byte, 0, len(ber)), 0)
	if err != nil {
		return nil, err
	}
	if r.at != len(ber) {
		return nil, ErrBER
	}
	return der, nil
}

// A berReader reads BER elements one after the other.
type berReader struct {
	in       []byte
	at       int
	elements int
}

// element appends the DER form of the next element to out.
func (r *berReader) element(out []byte, depth int) ([]byte, error) {
	if r.elements++; r.elements > maxElements || depth > maxDepth || len(r.in)-r.at < 2 {
		return nil, ErrBER
	}
	tag := r.in[r.at]
	r.at++
	length, definite, err := r.length()
	if err != nil || tag&berHighTag == berHighTag {
		return nil, ErrBER
	}
	if tag&berConstructed == 0 {
		if !definite {
			return nil, ErrBER
		}
		content := r.in[r.at : r.at+length]
		r.at += length
		return append(AppendHeader(out, tag, length), content...), nil
	}
	content, err := r.content(tag, length, definite, depth)
	if err != nil {
		return nil, err
	}
	if tag == berOctets|berConstructed {
		tag = berOctets
	}
	return append(AppendHeader(out, tag, len(content)), content...), nil
}

// content returns the DER form of what a constructed element holds; of an octet string in pieces, the octets.
func (r *berReader) content(tag byte, length int, definite bool, depth int) ([]byte, error) {
	end := r.at + length
	var content []byte
	for r.more(definite, end) {
		start := len(content)
		var err error
		if content, err = r.element(content, depth+1); err != nil {
			return nil, err
		}
		if tag == berOctets|berConstructed {
			piece, err := octets(content[start:])
			if err != nil {
				return nil, err
			}
			content = append(content[:start], piece...)
		}
	}
	if definite {
		if r.at != end {
			return nil, ErrBER
		}
		return content, nil
	}
	if len(r.in)-r.at < 2 {
		return nil, ErrBER
	}
	r.at += 2 // the two zero bytes that end it
	return content, nil
}

// more reports whether the constructed element has another one in it.
func (r *berReader) more(definite bool, end int) bool {
	if definite {
		return r.at < end
	}
	return len(r.in)-r.at >= 2 && (r.in[r.at] != 0 || r.in[r.at+1] != 0)
}

// length reads a length. A definite one fits into what is left.
func (r *berReader) length() (length int, definite bool, err error) {
	first := r.in[r.at]
	r.at++
	switch {
	case first == berIndefinite:
		return 0, false, nil
	case first < berIndefinite:
		length = int(first)
	default:
		n := int(first &^ berIndefinite)
		if n > 4 || len(r.in)-r.at < n {
			return 0, false, ErrBER
		}
		for _, b := range r.in[r.at : r.at+n] {
			length = length<<8 | int(b)
		}
		r.at += n
	}
	if length < 0 || length > len(r.in)-r.at {
		return 0, false, ErrBER
	}
	return length, true, nil
}

// octets returns the content of a single octet string in DER.
func octets(der []byte) ([]byte, error) {
	r := berReader{in: der, at: 1}
	if len(der) < 2 || der[0] != berOctets {
		return nil, ErrBER
	}
	length, _, err := r.length()
	if err != nil || r.at+length != len(der) {
		return nil, ErrBER
	}
	return der[r.at:], nil
}

// AppendHeader appends the header of a DER element to out.
func AppendHeader(out []byte, tag byte, length int) []byte {
	switch {
	case length < 1<<7:
		return append(out, tag, byte(length))
	case length < 1<<8:
		return append(out, tag, 0x81, byte(length))
	case length < 1<<16:
		return append(out, tag, 0x82, byte(length>>8), byte(length))
	}
	return append(out, tag, 0x83, byte(length>>16), byte(length>>8), byte(length))
}
