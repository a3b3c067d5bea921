package main

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/rollcall-mdm/rollcall/domain/device"
	proof "github.com/rollcall-mdm/rollcall/domain/evidence"
	"github.com/rollcall-mdm/rollcall/domain/stranger"
	"github.com/rollcall-mdm/rollcall/domain/trust"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/handlers/mdm"
)

// A tally says how much of what devices sent could be checked.
type tally struct {
	Evidence  int `json:"evidence"`           // events that have some
	Closed    int `json:"closed,omitempty"`   // that nothing here opens
	Unsigned  int `json:"unsigned,omitempty"` // proven in another way than by a signature
	Cut       int `json:"cut,omitempty"`      // signed, and longer than what was kept of them: no signature can be checked
	Blanked   int `json:"blanked,omitempty"`  // kept without what lets passwords be tried, and so without their signature
	Holds     int `json:"holds"`              // signatures that hold, by a certificate that was the device's, and trusted, then
	Alone     int `json:"alone,omitempty"`    // that hold, but the events that tell whose the certificate was are not here
	Unchained int `json:"unchained,omitempty"`
	Broken    int `json:"broken"` // that do not hold
}

func (t tally) String() string {
	if t.Evidence == 0 {
		return "no event has evidence"
	}
	text := fmt.Sprintf("%d events have evidence: %d device signatures hold, by the certificate of their day", t.Evidence, t.Holds)
	for _, more := range []struct {
		n    int
		what string
	}{
		{t.Alone, "hold, but whose the certificate was is told by events that are not here"},
		{t.Unchained, "hold, but whom the server trusted then is told by events that are not here"},
		{t.Broken, "do not hold"}, {t.Cut, "were kept in part, and cannot be checked"},
		{t.Blanked, "were checked when they came, and kept without the proof of a password, on which the signature hangs"},
		{t.Unsigned, "were proven without a signature"}, {t.Closed, "could not be opened"},
	} {
		if more.n > 0 {
			text += fmt.Sprintf("; %d %s", more.n, more.what)
		}
	}
	return text
}

// clockSkew is how far a certificate's start may lie ahead of the server's clock, as at the door.
const clockSkew = 10 * time.Minute

// A signatures checks what devices have signed, as the events go by: against the certificate that was the device's at
// that time, and the authorities that the server trusted then, both by the log's own account.
type signatures struct {
	Open func(eventstore.Envelope) ([]byte, error) // the evidence; nil if nothing here opens it

	tally
	pins        map[eventstore.Stream]pins
	authorities map[string]*x509.Certificate // by fingerprint; nil until the log has told of some
}

// Pins are the certificates that may speak for a device: the pinned one, and one that an Authenticate has claimed.
type pins struct{ pinned, claimed string }

// event looks at the next event. It returns what is wrong with it, empty if nothing is.
func (s *signatures) event(env eventstore.Envelope) (problem string) {
	s.learn(env)
	if len(env.Evidence) == 0 {
		return ""
	}
	s.Evidence++
	plain, err := s.Open(env)
	switch {
	case err != nil:
		return "its evidence does not open: it was altered, or the key is another's"
	case plain == nil:
		s.Closed++
		return ""
	}
	m := proof.Parse(plain)
	switch {
	case len(m.Blanked) > 0:
		s.Blanked++
		return ""
	case m.Signature == "", env.Stream.Kind == stranger.Kind: // a stranger's signature did not hold: that is why it is there
		s.Unsigned++
		return ""
	case !m.Whole():
		s.Cut++
		return ""
	}
	if problem = s.check(env, m); problem != "" {
		s.Broken++
	}
	return problem
}

// check checks a signature, whose certificate it was, and who had issued it.
func (s *signatures) check(env eventstore.Envelope, m proof.Message) string {
	shows, err := mdm.VerifySignature(m.Signature, m.Body)
	if err != nil {
		return "the device's signature over what it sent does not hold: " + err.Error()
	}
	alone, problem := s.owner(env, shows[0])
	if problem != "" {
		return problem
	}
	switch chained, problem := s.chain(env.Time, shows); {
	case problem != "":
		return problem
	case alone:
		s.Alone++
	case !chained:
		s.Unchained++
	default:
		s.Holds++
	}
	return ""
}

// owner checks that the signer's certificate was the device's when the event happened.
func (s *signatures) owner(env eventstore.Envelope, signer *x509.Certificate) (alone bool, problem string) {
	sum := sha256.Sum256(signer.Raw)
	fingerprint := hex.EncodeToString(sum[:])
	switch env.Type {
	case device.MessageUnrecognised{}.EventType(): // the certificate is bound to the device: the door made sure, by another stream
		return false, ""
	case device.IdentityRefused{}.EventType():
		var e device.IdentityRefused
		if json.Unmarshal(env.Data, &e) == nil && e.Certificate != fingerprint {
			return false, "the message was signed with another certificate than the event says"
		}
		return false, ""
	}
	switch p := s.pins[env.Stream]; {
	case fingerprint == p.pinned, fingerprint == p.claimed:
		return false, ""
	case p.pinned != "":
		return false, fmt.Sprintf("the message was signed with the certificate %.8s, which was not the device's then", fingerprint)
	}
	return true, ""
}

// chain checks that the certificate was good when the event happened, and led to an authority that was trusted then.
func (s *signatures) chain(at time.Time, shows []*x509.Certificate) (chained bool, problem string) {
	leaf := shows[0]
	if at.Before(leaf.NotBefore) && !at.Add(clockSkew).Before(leaf.NotBefore) {
		at = leaf.NotBefore
	}
	if at.Before(leaf.NotBefore) || at.After(leaf.NotAfter) {
		return false, "the message was signed with a certificate that was not valid then"
	}
	if s.authorities == nil {
		return false, ""
	}
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	for _, c := range s.authorities {
		roots.AddCert(c)
	}
	for _, c := range shows[1:] {
		between.AddCert(c)
	}
	_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	if err != nil {
		return false, "no authority that the server trusted then has issued the signer's certificate"
	}
	return true, ""
}

// learn takes from the event what it says about certificates and authorities. All of that stands in open parts.
func (s *signatures) learn(env eventstore.Envelope) {
	if s.pins == nil {
		s.pins = map[eventstore.Stream]pins{}
	}
	p := s.pins[env.Stream]
	switch env.Type {
	case device.Authenticated{}.EventType():
		var e device.Authenticated
		if json.Unmarshal(env.Data, &e) == nil {
			s.pins[env.Stream] = pins{p.pinned, e.Certificate}
		}
	case device.IdentityPinned{}.EventType(), device.IdentityReplaced{}.EventType():
		var e device.IdentityPinned // both call it so
		if json.Unmarshal(env.Data, &e) == nil {
			s.pins[env.Stream] = pins{pinned: e.Certificate}
		}
	case trust.AuthorityTrusted{}.EventType():
		var e trust.AuthorityTrusted
		if json.Unmarshal(env.Data, &e) != nil {
			return
		}
		if c, err := x509.ParseCertificate(e.Certificate); err == nil {
			if s.authorities == nil {
				s.authorities = map[string]*x509.Certificate{}
			}
			s.authorities[e.Fingerprint] = c
		}
	case trust.AuthorityWithdrawn{}.EventType():
		var e trust.AuthorityWithdrawn
		if json.Unmarshal(env.Data, &e) == nil {
			delete(s.authorities, e.Fingerprint)
		}
	}
}
