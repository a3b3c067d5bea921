package profile

import (
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"maps"
	"strings"
)

// namespaceURL is the namespace of names that are URLs. Source: RFC 9562, section 6.6.
var namespaceURL = [16]byte{0x6b, 0xa7, 0xb8, 0x11, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8}

// uuid returns the UUID of a payload by what it says, in capitals as Apple writes them. What its PayloadUUID was does
// not count.
func (h Head) uuid(v Values) string {
	v = maps.Clone(v)
	delete(v, "PayloadUUID")
	text, err := json.Marshal(v) // keys sorted, data as base64
	if err != nil {
		panic("profile: a payload holds what no property list can") // only this package makes them
	}
	if h.Stamp != nil {
		text = []byte(h.Stamp(string(text)))
	}
	id := version5(version5(namespaceURL, []byte(h.Server)), text)
	x := strings.ToUpper(hex.EncodeToString(id[:]))
	return x[:8] + "-" + x[8:12] + "-" + x[12:16] + "-" + x[16:20] + "-" + x[20:]
}

// version5 returns the UUID of a name within a namespace. Source: RFC 9562, section 5.5.
func version5(namespace [16]byte, name []byte) (id [16]byte) {
	sum := sha1.Sum(append(namespace[:], name...))
	copy(id[:], sum[:])
	id[6] = id[6]&0x0f | 0x50
	id[8] = id[8]&0x3f | 0x80
	return id
}
