package mdm

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rollcall-mdm/rollcall/domain/device"
)

// A trusted certificate is one that was verified, and the time within which that holds.
type trusted struct {
	device.Certificate
	from, until time.Time
}

// trust verifies the first certificate: it must chain to an authority, by the others if need be, and be valid by
// our own clock. A clock that runs a little behind the issuer's is forgiven.
func (i *Identity) trust(shows []*x509.Certificate, now time.Time) (trusted, error) {
	leaf := shows[0]
	from := leaf.NotBefore.Add(-i.Skew)
	at := now
	if at.Before(leaf.NotBefore) && !at.Before(from) {
		at = leaf.NotBefore
	}
	between := x509.NewCertPool()
	for _, c := range shows[1:] {
		between.AddCert(c)
	}
	roots := i.roots.Load()
	if roots == nil {
		roots = i.Authorities
	}
	if roots == nil {
		roots = x509.NewCertPool() // nil would mean the machine's own
	}
	chains, err := leaf.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	if err != nil {
		return trusted{}, errors.New("the certificate is not valid here: " + why(err))
	}
	chains = slices.DeleteFunc(chains, func(chain []*x509.Certificate) bool { return i.isOwn(chain[len(chain)-1]) && !forClients(leaf) })
	if len(chains) == 0 {
		return trusted{}, errors.New("the certificate is not valid here: this server has issued it for something else than to speak as a device")
	}
	return trusted{certificateOf(leaf), from, earliestEnd(chains[0])}, nil
}

// isOwn reports whether a root is one of the server's own.
func (i *Identity) isOwn(root *x509.Certificate) bool {
	own := i.own.Load()
	return own != nil && slices.ContainsFunc(*own, root.Equal)
}

// forClients reports whether a certificate may be used by clients of TLS: it says so, or says nothing of what it is for.
func forClients(c *x509.Certificate) bool {
	return len(c.ExtKeyUsage)+len(c.UnknownExtKeyUsage) == 0 || slices.ContainsFunc(c.ExtKeyUsage, func(use x509.ExtKeyUsage) bool {
		return use == x509.ExtKeyUsageClientAuth || use == x509.ExtKeyUsageAny
	})
}

// why says what is wrong with a certificate without quoting names from it.
func why(err error) string {
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
		return "it has expired, or is not valid yet"
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "no authority that this server trusts has issued it"
	}
	return "its chain does not hold"
}

func certificateOf(c *x509.Certificate) device.Certificate {
	hash := sha256.Sum256(c.Raw)
	return device.Certificate{
		Fingerprint: hex.EncodeToString(hash[:]), Serial: c.SerialNumber.Text(16), NotAfter: c.NotAfter.UTC(),
	}
}

func earliestEnd(chain []*x509.Certificate) time.Time {
	end := chain[0].NotAfter
	for _, c := range chain {
		if c.NotAfter.Before(end) {
			end = c.NotAfter
		}
	}
	return end
}

func parseAll(ders [][]byte, err error) ([]*x509.Certificate, error) {
	if err != nil {
		return nil, err
	}
	var all []*x509.Certificate
	for _, der := range ders {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, errors.New("the certificate cannot be read")
		}
		all = append(all, c)
	}
	return all, nil
}

// verified remembers which certificates were verified, by the hash of the form in which they are shown, so that a
// device that calls often is not verified each time. It keeps two halves: when the young one is full, it becomes
// the old one, and what nobody has asked for since is forgotten.
type verified struct {
	mu         sync.Mutex
	half       int
	young, old map[[sha256.Size]byte]trusted
	forgotten  atomic.Int64 // how often all was
}

func newVerified(most int) *verified {
	return &verified{half: max(most/2, 1), young: map[[sha256.Size]byte]trusted{}}
}

// recall returns the certificate that is shown in this form, or verifies it if it is not known as valid now.
func (v *verified) recall(shown []byte, now time.Time, verify func() (trusted, error)) (device.Certificate, error) {
	key := sha256.Sum256(shown)
	if t, ok := v.get(key); ok && !now.Before(t.from) && !now.After(t.until) {
		return t.Certificate, nil
	}
	before := v.forgotten.Load()
	t, err := verify()
	if err != nil {
		return device.Certificate{}, err
	}
	v.put(key, t, before)
	return t.Certificate, nil
}

// forget drops all: whom to believe has changed.
func (v *verified) forget() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.forgotten.Add(1)
	v.old, v.young = nil, map[[sha256.Size]byte]trusted{}
}

func (v *verified) get(key [sha256.Size]byte) (trusted, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if t, ok := v.young[key]; ok {
		return t, true
	}
	t, ok := v.old[key]
	if ok {
		v.keep(key, t)
	}
	return t, ok
}

// put remembers what was verified, unless all was forgotten since it was begun.
func (v *verified) put(key [sha256.Size]byte, t trusted, before int64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.forgotten.Load() == before {
		v.keep(key, t)
	}
}

func (v *verified) keep(key [sha256.Size]byte, t trusted) {
	if len(v.young) >= v.half {
		v.old, v.young = v.young, make(map[[sha256.Size]byte]trusted, v.half)
	}
	v.young[key] = t
}
