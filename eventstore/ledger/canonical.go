// Package ledger proves that a log is what it was: nothing altered, left out, put in or moved.
//
// Every event is a leaf of a Merkle tree (RFC 6962): the hash of its canonical bytes, which are the envelope exactly
// as it is stored, ciphertext and all. The root of the tree over the first n events speaks for all of them. A
// checkpoint is a root with its size, signed; whoever keeps one can find out later whether the log still holds the
// same events. A bundle is what an auditor takes home: events, hashes, a checkpoint, and proofs.
//
// A leaf holds ciphertext, so destroying a key forgets what was sealed and breaks no proof.
//
// Forms: c2sp.org/tlog-checkpoint, c2sp.org/signed-note, c2sp.org/tlog-tiles, c2sp.org/tlog-proof.
package ledger

import (
	"crypto/sha256"
	"encoding/binary"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// canonicalVersion is the first byte of the canonical form. Another form has another first byte; forms that were
// in use stay readable for ever.
const canonicalVersion = 1

// Canonical returns the envelope's canonical bytes:
//
//	version    1 byte, 1
//	ids        16 bytes each: event, correlation, causation; zeros if none
//	numbers    8 bytes each, big-endian: position, version in the stream, time in microseconds since 1970
//	the rest   4 bytes of length, big-endian, then as many bytes, each: stream kind, stream id, type,
//	           actor kind, id, name and role, data, personal, secret, evidence
//
// The actor's address is not part of it: it stands in the sealed part. Absent and empty are the same.
func Canonical(env eventstore.Envelope) []byte { return AppendCanonical(nil, &env) }

// AppendCanonical appends the envelope's canonical bytes to b.
func AppendCanonical(b []byte, env *eventstore.Envelope) []byte {
	b = append(b, canonicalVersion)
	for _, id := range [...]*eventstore.UUID{&env.ID, &env.Correlation, &env.Causation} {
		b = append(b, id[:]...)
	}
	for _, n := range [...]int64{int64(env.Position), env.Version, env.Time.UnixMicro()} {
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	a := &env.Actor
	for _, s := range [...]string{env.Stream.Kind, env.Stream.ID, env.Type, string(a.Kind), a.ID, a.Name, a.Role} {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...)
	}
	for _, p := range [...][]byte{env.Data, env.Personal, env.Secret, env.Evidence} {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(p))), p...)
	}
	return b
}

// Leaf returns the envelope's leaf hash: RFC 6962's hash of its canonical bytes.
func Leaf(env eventstore.Envelope) tlog.Hash {
	var l Leaves
	return l.Hash(&env)
}

// Leaves hashes many envelopes without new memory for each. The zero value is ready.
type Leaves struct{ buf []byte }

// Hash returns the envelope's leaf hash.
func (l *Leaves) Hash(env *eventstore.Envelope) tlog.Hash {
	l.buf = AppendCanonical(append(l.buf[:0], 0), env) // RFC 6962 puts 0 before a leaf
	h := tlog.Hash(sha256.Sum256(l.buf))
	if cap(l.buf) > 1<<20 {
		l.buf = nil
	}
	return h
}
