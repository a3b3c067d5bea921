package seal

import (
	"embed"
	"fmt"
	"runtime"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// The dictionaries hold what messages have in common, so that a short one need not say it: Apple's names of keys, and
// how property lists and our JSON are built. They are public and the same for all.
//
// Each is known by the number that its own header, and every frame packed with it, names. One that was ever used stays
// here for ever, byte by byte: what was packed with it opens with no other. To pack better one day, train another one
// (tests/dictionary) under the next number, and let compressors name it.
//
//go:embed dictionaries/*.zdict
var dictionaries embed.FS

// The dictionaries with which parts are packed today, by their numbers.
const (
	dictionaryOfParts    = 1 // the JSON of personal and secret parts, and of snapshots
	dictionaryOfMessages = 2 // evidence: messages as devices send them
)

func dictionary(number int) ([]byte, error) {
	return dictionaries.ReadFile(fmt.Sprintf("dictionaries/%d.zdict", number))
}

// A compressor packs with one dictionary: what is short without coding its letters anew, which would take as long as all
// the rest, and gain some hundredths.
type compressor struct{ short, long func() (*zstd.Encoder, error) }

// shortPart is the length of what the short one is for, in bytes.
const shortPart = 2 << 10

// compressorWith returns a compressor that is made when it is first needed. It keeps nothing from one call to the next,
// and starts no goroutines. Each of its encoders takes some 600 kB, and works for ten microseconds: half as many as there
// are processors are enough.
func compressorWith(number int) compressor {
	with := func(more ...zstd.EOption) func() (*zstd.Encoder, error) {
		return sync.OnceValues(func() (*zstd.Encoder, error) {
			text, err := dictionary(number)
			if err != nil {
				return nil, err
			}
			return zstd.NewWriter(nil, append(more, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderCRC(false),
				zstd.WithEncoderConcurrency((runtime.GOMAXPROCS(0)+1)/2), zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(128<<10),
				zstd.WithEncoderDict(text))...)
		})
	}
	return compressor{short: with(zstd.WithNoEntropyCompression(true)), long: with()}
}

// of returns the encoder for so many bytes.
func (c compressor) of(size int) (*zstd.Encoder, error) {
	if size < shortPart {
		return c.short()
	}
	return c.long()
}

var (
	partCompressor    = compressorWith(dictionaryOfParts)
	messageCompressor = compressorWith(dictionaryOfMessages)

	// decompressor knows all dictionaries: a frame names its own, or none, as it was before there were any.
	decompressor = sync.OnceValues(func() (*zstd.Decoder, error) {
		files, err := dictionaries.ReadDir("dictionaries")
		if err != nil {
			return nil, err
		}
		var all [][]byte
		for _, f := range files {
			text, err := dictionaries.ReadFile("dictionaries/" + f.Name())
			if err != nil {
				return nil, err
			}
			all = append(all, text)
		}
		return zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(maxUnpacked), zstd.WithDecoderDicts(all...))
	})
)
