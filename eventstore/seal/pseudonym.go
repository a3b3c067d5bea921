package seal

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
)

// Pseudonyms names devices and users in the log so that a name betrays nobody, and needs no lookup: a keyed hash of
// the identifier, 32 characters of lower-case base32. The key stands beside the data keys, never in the log. The same
// identifier always has the same pseudonym; if the key is lost, no device is recognised any more.
type Pseudonyms struct{ key [keySize]byte }

// OpenPseudonyms reads the index key from a file, and makes it if there is none.
func OpenPseudonyms(path string) (Pseudonyms, error) {
	key, err := keyFile(path, "index key")
	return Pseudonyms{key}, err
}

// NewPseudonyms returns pseudonyms under the given key.
func NewPseudonyms(key [32]byte) Pseudonyms { return Pseudonyms{key} }

// Device returns the pseudonym of a device by its UDID or EnrollmentID, exactly as the device gives it.
func (p Pseudonyms) Device(id string) string { return p.hash("device", id) }

// Channel returns the pseudonym of a user's channel on a device. The same user has another one on each device.
func (p Pseudonyms) Channel(id, user string) string { return p.hash("channel", id, user) }

// Derive returns a key for another purpose, which tells nothing about this one. Servers that share pseudonyms share it.
func (p Pseudonyms) Derive(purpose string) (key [32]byte) {
	mac := hmac.New(sha256.New, p.key[:])
	mac.Write([]byte("derive\x00" + purpose)) // no list of words begins so: its first word would be too long
	mac.Sum(key[:0])
	return key
}

// String keeps the key out of whatever prints it.
func (Pseudonyms) String() string { return "pseudonyms" }

// GoString keeps the key out of whatever prints it.
func (Pseudonyms) GoString() string { return "seal.Pseudonyms{}" }

var lowerBase32 = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// Stamp returns a mark of words, 64 hex digits: the same words always have the same one. It tells whether a content has
// changed, and to nobody without the key what it is.
func (p Pseudonyms) Stamp(words ...string) string {
	return hex.EncodeToString(p.mac(append([]string{"stamp"}, words...)))
}

func (p Pseudonyms) hash(words ...string) string {
	return lowerBase32.EncodeToString(p.mac(words)[:20])
}

// mac joins the words by their lengths, so that no two lists of words are hashed alike.
func (p Pseudonyms) mac(words []string) []byte {
	mac := hmac.New(sha256.New, p.key[:])
	for _, w := range words {
		mac.Write(binary.BigEndian.AppendUint32(nil, uint32(len(w))))
		mac.Write([]byte(w))
	}
	return mac.Sum(nil)
}
