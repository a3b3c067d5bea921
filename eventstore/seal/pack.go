package seal

// Before it is sealed, a part is packed: one byte that says how, then the bytes.
const (
	packedPlain  = 0
	packedZstd   = 1 // a frame, which names its dictionary if it has one
	packedFilled = 2 // one byte n, then something that is packed by itself, then n bytes that say nothing
)

const (
	worthPacking       = 200      // bytes; fewer gain less than the time is worth
	worthPackingSecret = 300      // bytes; see packPart
	roundSecrets       = 32       // bytes
	maxUnpacked        = 64 << 20 // bytes; more than any door lets in
)

// packPart returns a part's bytes as they are sealed. How long a ciphertext is shows how long its content was, so a
// secret is filled up to a round length; and a short one, as PINs and passwords are, is not compressed, lest its length
// tell of its letters. A longer one is a command's whole property list, or a token, which is noise. Its compressor
// starts afresh: a secret never shares a frame with what somebody else could choose in order to try it out.
func packPart(part Part, plain []byte) []byte {
	switch {
	case part == Evidence:
		return packBy(messageCompressor, plain, worthPacking)
	case part == Secret:
		return filled(packBy(partCompressor, plain, worthPackingSecret))
	}
	return pack(plain)
}

// pack returns bytes as they are sealed.
func pack(plain []byte) []byte { return packBy(partCompressor, plain, worthPacking) }

func packBy(with compressor, plain []byte, worth int) []byte {
	if len(plain) > worth {
		if z, err := with.of(len(plain)); err == nil {
			packed := z.EncodeAll(plain, append(make([]byte, 0, 1+len(plain)), packedZstd))
			if len(packed) <= len(plain) {
				return packed
			}
		}
	}
	return append(append(make([]byte, 0, 1+len(plain)), packedPlain), plain...)
}

// filled makes the length of something packed round.
func filled(packed []byte) []byte {
	n := (roundSecrets - (len(packed)+2)%roundSecrets) % roundSecrets
	round := append(make([]byte, 0, 2+len(packed)+n), packedFilled, byte(n))
	return append(append(round, packed...), make([]byte, n)...)
}

// unpack undoes pack and packPart. Whatever else was sealed is ErrBroken.
func unpack(packed []byte) ([]byte, error) {
	if len(packed) >= 2 && packed[0] == packedFilled && len(packed) >= 2+int(packed[1]) {
		packed = packed[2 : len(packed)-int(packed[1])]
	}
	if len(packed) == 0 {
		return nil, ErrBroken
	}
	switch packed[0] {
	case packedPlain:
		return packed[1:], nil
	case packedZstd:
		z, err := decompressor()
		if err != nil {
			return nil, err
		}
		plain, err := z.DecodeAll(packed[1:], nil)
		if err != nil {
			return nil, ErrBroken
		}
		return plain, nil
	}
	return nil, ErrBroken
}
