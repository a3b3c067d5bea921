package mdm

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rollcall-mdm/rollcall/domain/device"
)

// The ways in which a device shows who it is.
const (
	byTLS       = "mtls"
	bySignature = "signature"
	byHeader    = "header" // with ":" and the header's name behind it
)

// An Identity says how devices show who they are, and whom to believe.
//
// Methods are mtls (a client certificate at our own TLS), signature (the Mdm-Signature header) and header:NAME (a
// certificate that a proxy passes on). The first that a request has counts; if it has several, all must show the
// same certificate.
type Identity struct {
	Methods        []string
	Authorities    *x509.CertPool // roots that device certificates chain to; Believe changes them while the door is open
	TrustedProxies []netip.Prefix // peers whose certificate headers are believed; nobody else's are
	Skew           time.Duration  // how far a certificate's start may lie ahead of our clock; 10 minutes if zero
	Remembered     int            // verified certificates that are kept in mind, at some 400 bytes; 32,768 if zero

	once  sync.Once
	known *verified
	roots atomic.Pointer[x509.CertPool] // instead of Authorities, once there are others
	own   atomic.Pointer[[]*x509.Certificate]
}

// Believe has device certificates chain to these roots from now on. What was verified before is verified anew. Of what roots of the
// server's own have issued only certificates for clients are believed: the one that signs its profiles is no device.
func (i *Identity) Believe(roots *x509.CertPool, own ...*x509.Certificate) {
	i.once.Do(i.init)
	i.own.Store(&own)
	i.roots.Store(roots)
	i.known.forget()
}

// Check reports the first setting that cannot work.
func (i *Identity) Check() error {
	if len(i.Methods) == 0 {
		return errors.New("no way is set in which devices show who they are: want some of mtls, signature, header:NAME")
	}
	for _, m := range i.Methods {
		kind, name, _ := strings.Cut(m, ":")
		switch {
		case m == byTLS, m == bySignature:
		case kind != byHeader || name == "" || strings.ContainsAny(name, " :\t\r\n"):
			return fmt.Errorf("%q is no way in which devices show who they are: want mtls, signature or header:NAME", m)
		case len(i.TrustedProxies) == 0:
			return fmt.Errorf("%q believes a header, but no proxy is trusted to set it: name its network with --trusted-proxy", m)
		}
	}
	return nil
}

// A denial says why somebody was not believed. Class is one of the few words that metrics know it by.
type denial struct {
	class string
	err   error
}

func (d *denial) Error() string { return d.err.Error() }
func (d *denial) Unwrap() error { return d.err }

var errNoIdentity = errors.New("the request shows no certificate that this server could trust")

// A claim is who a request says it comes from: a certificate that is trusted here, and the proof that is still due.
type claim struct {
	device.Certificate
	signature *signature // to be checked over the body; nil if there is nothing to check
}

// holds checks what is left to be proved once the body is there.
func (c claim) holds(body []byte) error {
	if c.signature == nil {
		return nil
	}
	if err := c.signature.covers(body); err != nil {
		return &denial{"bad-signature", err}
	}
	return nil
}

// examine returns who the request claims to come from. It reads no body: whoever shows no certificate that is
// trusted here cannot make the server read one.
func (i *Identity) examine(r *http.Request, now time.Time) (claim, error) {
	i.once.Do(i.init)
	var all claim
	found := false
	for _, m := range i.Methods {
		one, shown, err := i.by(m, r, now)
		switch {
		case err != nil:
			return claim{}, err
		case !shown:
			continue
		case found && one.Fingerprint != all.Fingerprint:
			return claim{}, &denial{"identities-differ", errors.New("the request shows two different certificates")}
		}
		if one.signature == nil {
			one.signature = all.signature
		}
		all, found = one, true
	}
	if !found {
		return claim{}, &denial{"no-identity", errNoIdentity}
	}
	return all, nil
}

// by returns what the request shows in one way.
func (i *Identity) by(method string, r *http.Request, now time.Time) (c claim, shown bool, err error) {
	class := "bad-certificate"
	defer func() {
		if recover() != nil { // what parses bytes from outside must not end more than its own request
			c, shown, err = claim{}, true, &denial{class, errors.New("what the request shows cannot be read")}
		}
	}()
	switch name, isHeader := strings.CutPrefix(method, byHeader+":"); {
	case isHeader:
		c.Certificate, shown, err = i.fromHeader(r, name, now)
	case method == byTLS:
		c.Certificate, shown, err = i.fromTLS(r, now)
	case method == bySignature:
		class = "bad-signature"
		c, shown, err = i.fromSignature(r, now)
	}
	if d, ok := errors.AsType[*denial](err); ok {
		return claim{}, true, d
	}
	if err != nil {
		return claim{}, true, &denial{class, err}
	}
	return c, shown, nil
}

func (i *Identity) fromTLS(r *http.Request, now time.Time) (c device.Certificate, shown bool, err error) {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return c, false, nil
	}
	shows := r.TLS.PeerCertificates
	c, err = i.known.recall(shows[0].Raw, now, func() (trusted, error) { return i.trust(shows, now) })
	return c, true, err
}

func (i *Identity) fromHeader(r *http.Request, name string, now time.Time) (c device.Certificate, shown bool, err error) {
	values := r.Header.Values(name)
	switch {
	case len(values) == 0 || values[0] == "" || !i.trusts(r.RemoteAddr):
		return c, false, nil
	case len(values) > 1:
		return c, true, errors.New("the certificate header is there twice")
	}
	c, err = i.known.recall([]byte(values[0]), now, func() (trusted, error) {
		shows, err := parseAll(certificatesInHeader(values[0]))
		if err != nil {
			return trusted{}, err
		}
		return i.trust(shows, now)
	})
	return c, true, err
}

func (i *Identity) fromSignature(r *http.Request, now time.Time) (c claim, shown bool, err error) {
	values := r.Header.Values("Mdm-Signature")
	switch len(values) {
	case 0:
		return c, false, nil
	case 1:
	default:
		return c, true, errors.New("the signature is there twice")
	}
	s, err := readSignature(values[0])
	if err != nil {
		return c, true, err
	}
	c.signature = &s
	c.Certificate, err = i.known.recall(s.certificates[0].Raw, now, func() (trusted, error) { return i.trust(s.certificates, now) })
	if err != nil {
		return c, true, &denial{"bad-certificate", err} // the signature may be good: it is its certificate that is not
	}
	return c, true, nil
}

// spoofed reports whether the request has a certificate header from somebody who may not set it.
func (i *Identity) spoofed(r *http.Request) bool {
	for _, m := range i.Methods {
		if name, ok := strings.CutPrefix(m, byHeader+":"); ok && r.Header.Get(name) != "" && !i.trusts(r.RemoteAddr) {
			return true
		}
	}
	return false
}

// advice is what whoever runs the server can do about a sender who showed nothing that counts.
func (i *Identity) advice(r *http.Request) string {
	if i.spoofed(r) {
		return "a certificate header came from an address that is no trusted proxy: see --trusted-proxy"
	}
	return "devices show who they are by " + strings.Join(i.Methods, " or ") + ": see --identity"
}

func (i *Identity) init() {
	if i.Skew == 0 {
		i.Skew = 10 * time.Minute
	}
	if i.Remembered == 0 {
		i.Remembered = 1 << 15
	}
	i.known = newVerified(i.Remembered)
}
