package seal

import (
	"runtime"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// Before it is sealed, a part is packed: one byte that says how, then the bytes.
const (
	packedPlain = 0
	packedZstd  = 1
)

const (
	worthPacking = 300      // bytes; fewer gain nothing
	maxUnpacked  = 64 << 20 // bytes; more than any door lets in
)

// The compressor and its counterpart keep nothing from one call to the next, and start no goroutines.
var (
	compressor = sync.OnceValues(func() (*zstd.Encoder, error) {
		return zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderCRC(false),
			zstd.WithEncoderConcurrency(runtime.GOMAXPROCS(0)), zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(128<<10))
	})
	decompressor = sync.OnceValues(func() (*zstd.Decoder, error) {
		return zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(maxUnpacked))
	})
)

// pack returns the bytes as they are sealed. What is short, as PINs and passwords are, is not compressed: its length
// would tell more than it does already.
func pack(plain []byte) []byte {
	if len(plain) > worthPacking {
		if z, err := compressor(); err == nil {
			packed := z.EncodeAll(plain, append(make([]byte, 0, 1+len(plain)), packedZstd))
			if len(packed) <= len(plain) {
				return packed
			}
		}
	}
	return append(append(make([]byte, 0, 1+len(plain)), packedPlain), plain...)
}

// unpack undoes pack. Whatever else was sealed is ErrBroken.
func unpack(packed []byte) ([]byte, error) {
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
