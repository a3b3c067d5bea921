package plist

// digits64 gives the value of each base64 digit plus one; 0 is no digit. The spaces that XML writers put between
// lines have 255.
var digits64 = func() (t [256]byte) {
	for i, c := range []byte(alphabet64) {
		t[c] = byte(i) + 1
	}
	for _, c := range []byte(" \t\r\n") {
		t[c] = 255
	}
	return t
}()

const alphabet64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

// base64 appends text without its spaces, in quotes, and reports whether it is base64 with padding. Bits that
// belong to no byte are cleared, so that equal data reads equal.
func (r *xmlReader) base64(text []byte) bool {
	r.dst = append(r.dst, '"')
	from := len(r.dst)
	pad := 0
	for i := 0; i < len(text); {
		j := i
		for j < len(text) && digits64[text[j]]-1 < 64 {
			j++
		}
		if j > i && pad > 0 {
			return false
		}
		r.dst = append(r.dst, text[i:j]...)
		for ; j < len(text) && digits64[text[j]]-1 >= 64; j++ {
			switch {
			case text[j] == '=':
				pad++
			case digits64[text[j]] != 255:
				return false
			}
		}
		i = j
	}
	return r.pad64(from, pad)
}

// pad64 ends the base64 that began at from and wants pad signs of padding.
func (r *xmlReader) pad64(from, pad int) bool {
	digits := len(r.dst) - from
	if pad > 2 || (digits+pad)%4 != 0 || pad > 0 && digits == 0 {
		return false
	}
	if pad > 0 {
		loose := byte(1)<<(2*pad) - 1
		last := &r.dst[len(r.dst)-1]
		*last = alphabet64[(digits64[*last]-1)&^loose]
		r.dst = append(r.dst, "=="[:pad]...)
	}
	r.dst = append(r.dst, '"')
	return true
}
