package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

const keySize = 32

// PartKeySize is the length of a part's own key, in bytes.
const PartKeySize = keySize

// partKey derives the key of one part of one event by HKDF-SHA256, with the event's id and the part's name as info.
// The data key is uniformly random, so that HKDF's first step may be left out (RFC 5869, section 3.3). Its second is
// one HMAC, written out here because it stands in the way of each event, and crypto/hkdf takes four times as long.
func partKey(data *[keySize]byte, event eventstore.UUID, part Part) [keySize]byte {
	var inner [sha256.BlockSize + 40]byte
	var outer [sha256.BlockSize + sha256.Size]byte
	for i := range sha256.BlockSize {
		var k byte
		if i < keySize {
			k = data[i]
		}
		inner[i], outer[i] = k^0x36, k^0x5c
	}
	text := append(append(inner[:sha256.BlockSize], event[:]...), part...)
	sum := sha256.Sum256(append(text, 1))
	copy(outer[sha256.BlockSize:], sum[:])
	return sha256.Sum256(outer[:])
}

// place returns what binds a part to its event: whatever is changed there, the part no longer opens.
func place(env eventstore.Envelope, part Part) []byte {
	aad := make([]byte, 0, 192)
	aad = binary.BigEndian.AppendUint32(aad, uint32(len(env.Stream.Kind)+1+len(env.Stream.ID)))
	aad = append(aad, env.Stream.Kind...)
	aad = append(aad, '-')
	aad = append(aad, env.Stream.ID...)
	aad = binary.BigEndian.AppendUint64(aad, uint64(env.Version))
	aad = binary.BigEndian.AppendUint32(aad, uint32(len(env.Type)))
	aad = append(aad, env.Type...)
	aad = append(aad, env.ID[:]...)
	return append(aad, part...)
}

// sealPart packs and seals the plain bytes of a part.
func sealPart(data *[keySize]byte, env eventstore.Envelope, part Part, plain []byte) ([]byte, error) {
	key := partKey(data, env.ID, part)
	return sealBytes(key[:], place(env, part), packPart(part, plain))
}

// OpenWith opens one part of an event with the part's own key, as Codec.PartKey gives it. What it returns is JSON,
// or, of the evidence, the bytes that were received. ErrAbsent: the event has no such part; ErrBroken: it does not
// open.
func OpenWith(partKey []byte, env eventstore.Envelope, part Part) ([]byte, error) {
	sealed, err := part.of(env)
	if err != nil {
		return nil, err
	}
	if len(sealed) == 0 {
		return nil, ErrAbsent
	}
	packed, err := openBytes(partKey, place(env, part), sealed)
	if err != nil {
		return nil, err
	}
	return unpack(packed)
}

func openPart(data *[keySize]byte, env eventstore.Envelope, part Part) ([]byte, error) {
	key := partKey(data, env.ID, part)
	return OpenWith(key[:], env, part)
}

func sealBytes(key, aad, plain []byte) ([]byte, error) {
	aead, err := newAEAD(key)
	if err != nil {
		return nil, err
	}
	return aead.Seal(make([]byte, 0, len(plain)+aead.Overhead()), nil, plain, aad), nil
}

func openBytes(key, aad, sealed []byte) ([]byte, error) {
	aead, err := newAEAD(key)
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open(nil, nil, sealed, aad)
	if err != nil {
		return nil, ErrBroken
	}
	return plain, nil
}

// newAEAD returns AES-256-GCM with a random nonce in front of each ciphertext.
func newAEAD(key []byte) (cipher.AEAD, error) {
	if len(key) != keySize {
		return nil, fmt.Errorf("a key has %d bytes, not %d", keySize, len(key))
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}
