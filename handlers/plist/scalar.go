package plist

import (
	"encoding/base64"
	"encoding/binary"
	"math"
	"strconv"
	"time"
	"unicode/utf16"
)

// binaryInteger reads an integer: of 1, 2 or 4 bytes it has no sign, of 8 it has, of 16 it must fit into 8.
func (r *binaryReader) binaryInteger(at int) error {
	size := 1 << (r.src[at] & 0xF)
	if r.src[at]&0xF > 4 || at+1+size > r.table {
		return r.fail("an integer is malformed", at)
	}
	var high, low uint64
	switch size {
	case 16:
		high, low = r.number(at+1, 8), r.number(at+9, 8)
	case 8:
		low = r.number(at+1, 8)
		high = uint64(int64(low) >> 63)
	default:
		low = r.number(at+1, size)
	}
	switch {
	case high == 0:
		r.dst = strconv.AppendUint(r.dst, low, 10)
	case high == math.MaxUint64 && int64(low) < 0:
		r.dst = strconv.AppendInt(r.dst, int64(low), 10)
	default:
		return r.fail("an integer is too large", at)
	}
	return nil
}

// epoch is where Apple's dates count from, in seconds after Unix's.
const epoch = 978307200

// float reads a real or a date.
func (r *binaryReader) float(at int) (kind, error) {
	size := 1 << (r.src[at] & 0xF)
	if size != 8 && r.src[at] != 0x22 || at+1+size > r.table {
		return none, r.fail("a number is malformed", at)
	}
	if size == 4 {
		r.real(float64(math.Float32frombits(binary.BigEndian.Uint32(r.src[at+1:]))))
		return realKind, nil
	}
	f := math.Float64frombits(binary.BigEndian.Uint64(r.src[at+1:]))
	if r.src[at]>>4 == 2 {
		r.real(f)
		return realKind, nil
	}
	seconds, part := math.Modf(f + epoch)
	if !(math.Abs(seconds) < 1e12) || !r.date(time.Unix(int64(seconds), int64(part*float64(time.Second)))) {
		return none, r.fail("a date is none", at)
	}
	return dateKind, nil
}

// bytes reads data or a string.
func (r *binaryReader) bytes(at int) (kind, error) {
	size := 1
	if r.src[at]>>4 == 6 {
		size = 2
	}
	first, count, err := r.counted(at, size)
	if err != nil {
		return none, err
	}
	if len(r.dst)+count*size > r.limit {
		return none, r.fail("it unfolds to too much", at)
	}
	content := r.src[first : first+count*size]
	r.dst = append(r.dst, '"')
	switch r.src[at] >> 4 {
	case 4:
		r.dst = base64.StdEncoding.AppendEncode(r.dst, content)
		r.dst = append(r.dst, '"')
		return dataKind, nil
	case 5:
		if !r.ascii(content) {
			return none, r.fail("text holds a character that it must not", at)
		}
	case 6:
		if !r.utf16(content) {
			return none, r.fail("text is not UTF-16, or holds a character that it must not", at)
		}
	}
	r.dst = append(r.dst, '"')
	return stringKind, nil
}

func (r *binaryReader) ascii(content []byte) bool {
	for _, c := range content {
		if c >= 0x80 || !inXML(rune(c)) {
			return false
		}
		r.dst = appendRune(r.dst, rune(c), true)
	}
	return true
}

func (r *binaryReader) utf16(content []byte) bool {
	for i := 0; i < len(content); i += 2 {
		c := rune(binary.BigEndian.Uint16(content[i:]))
		if utf16.IsSurrogate(c) {
			if i += 2; i == len(content) {
				return false
			}
			if c = utf16.DecodeRune(c, rune(binary.BigEndian.Uint16(content[i:]))); c == 0xFFFD {
				return false
			}
		}
		if !inXML(c) {
			return false
		}
		r.dst = appendRune(r.dst, c, true)
	}
	return true
}
