package acme

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"sync"
	"time"
)

// nonces are given out to anybody, and taken back once each. A nonce carries its time under a keyed hash: none is kept that
// was not used, and of those that were so many that memory is bounded. What was given before the oldest one that is kept, or
// before this server began, is no longer taken; the client is given another, and tries again.
type nonces struct {
	key  [32]byte
	now  func() time.Time
	most int // of those that were used; twice as many are kept

	mu     sync.Mutex
	since  int64             // microseconds since 1970: older ones are not taken
	turned int64             // when fresh began
	fresh  map[used]struct{} // used since turned
	before map[used]struct{} // used before, but given after since
}

// used is a nonce's time and its random part.
type used [16]byte

// What is kept of nonces that were used, and how long one is good.
const (
	nonceBytes = 16
	maxUsed    = 1 << 15
	nonceLasts = time.Hour
)

func newNonces(secret [32]byte, now func() time.Time) *nonces {
	at := now().UnixMicro()
	return &nonces{key: derive(secret, "nonces"), now: now, most: maxUsed, since: at, turned: at, fresh: map[used]struct{}{}}
}

// derive makes of the door's key another for one purpose.
func derive(secret [32]byte, purpose string) (key [32]byte) {
	text, err := hkdf.Key(sha256.New, secret[:], nil, "acme "+purpose, len(key))
	if err != nil {
		panic(err) // a length that HKDF does not give
	}
	copy(key[:], text)
	return key
}

func (n *nonces) give() string {
	text := binary.BigEndian.AppendUint64(make([]byte, 0, 2*nonceBytes), uint64(n.now().UnixMicro()))
	text = text[:nonceBytes]
	_, _ = rand.Read(text[8:]) // never fails
	return base64.RawURLEncoding.EncodeToString(append(text, n.hash(text)...))
}

func (n *nonces) hash(text []byte) []byte {
	mac := hmac.New(sha256.New, n.key[:])
	mac.Write(text)
	return mac.Sum(nil)[:nonceBytes]
}

// take reports whether the nonce is one of ours that nobody has used.
func (n *nonces) take(text string) bool {
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(raw) != 2*nonceBytes || !hmac.Equal(raw[nonceBytes:], n.hash(raw[:nonceBytes])) {
		return false
	}
	one := used(raw[:nonceBytes])
	given, now := int64(binary.BigEndian.Uint64(one[:8])), n.now().UnixMicro()
	n.mu.Lock()
	defer n.mu.Unlock()
	if given < n.since || given < now-nonceLasts.Microseconds() || has(n.fresh, one) || has(n.before, one) {
		return false
	}
	n.fresh[one] = struct{}{}
	if len(n.fresh) >= n.most { // what stood in before was given before turned
		n.before, n.fresh, n.since, n.turned = n.fresh, map[used]struct{}{}, n.turned+1, now
	}
	return true
}

func has(set map[used]struct{}, one used) bool {
	_, found := set[one]
	return found
}
