package mdmtest

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"crypto/x509/pkix"
	"hash/maphash"
	"math/big"
	mathrand "math/rand/v2"
	"sync"
	"time"
)

// variants is how many different sets of programs the devices of one platform have to begin with.
const variants = 16

// A shelf holds what the devices of a fleet have in common, so that it is in memory once.
type shelf struct {
	mu        sync.Mutex
	sets      map[Platform][variants][]App
	roots     []Certificate
	fragments map[uint64]fragment
	known     map[string]*known // by their keys, written out
	prints    map[uint64]*known // by fingerprint
}

// apps returns a set of programs. It is shared: clone it before you change it.
func (s *shelf) apps(p Platform, variant int) []App {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sets == nil {
		s.sets = map[Platform][variants][]App{}
	}
	set := s.sets[p]
	if set[variant] == nil {
		set[variant] = newApps(p, mathrand.New(mathrand.NewPCG(uint64(variant), 60)))
		s.sets[p] = set
	}
	return set[variant]
}

// share returns a fragment with the same bytes, which others may hold too.
func (s *shelf) share(f fragment) fragment {
	key := maphash.Bytes(seed, f)
	s.mu.Lock()
	defer s.mu.Unlock()
	if known, ok := s.fragments[key]; ok && bytes.Equal(known, f) {
		return known
	}
	if s.fragments == nil {
		s.fragments = map[uint64]fragment{}
	}
	s.fragments[key] = f
	return f
}

// A Certificate is one in the keychain of a device.
type Certificate struct {
	CommonName string
	DER        []byte
	IsIdentity bool
}

// certificates returns the roots that every device of the company trusts.
func (s *shelf) certificates() []Certificate {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.roots == nil {
		for i, name := range []string{"Example Root CA", "Example Issuing CA 2", "Example Wi-Fi CA", "Example VPN CA"} {
			s.roots = append(s.roots, newRoot(name, byte(i+1)))
		}
	}
	return s.roots
}

// newRoot makes a root that is the same each time: an Ed25519 key from a seed signs without chance.
func newRoot(name string, number byte) Certificate {
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{number}, ed25519.SeedSize))
	t := &x509.Certificate{
		SerialNumber: big.NewInt(int64(number) + 4096), Subject: pkix.Name{CommonName: name, Organization: []string{"Example Inc."}},
		NotBefore: time.Date(2023, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2043, 1, 1, 0, 0, 0, 0, time.UTC),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(nil, t, t, key.Public(), key)
	if err != nil {
		panic(err) // the template above is wrong
	}
	return Certificate{CommonName: name, DER: der}
}
