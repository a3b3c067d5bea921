// Package authority decides which roots of this server issue the identities of devices, which are still believed, and
// which certificates are believed no longer.
//
// There is one stream, Devices. The newest root in force issues; the ones before it are believed until they are retired,
// so that devices have time to come over. What is revoked stands in the same stream: its version numbers the
// revocation list, and one look at it tells whether a certificate is good. The roots' keys are never in the log.
package authority

import (
	"maps"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
)

// Kind is the kind of the stream; there is one, Devices.
const Kind = "authority"

// Devices is the id of the stream of the authority that issues identities of devices.
const Devices = "devices"

// Where a root came from.
const (
	Made     = "made"     // by this server
	Found    = "found"    // in the data directory of a server that did not tell the log about it
	Imported = "imported" // by an administrator
)

// A RootInstalled says that a root issues from now on. Those before it are believed on.
type RootInstalled struct {
	Fingerprint string // SHA-256 of the DER, hex
	Subject     string // its name
	NotBefore   time.Time
	NotAfter    time.Time
	Source      string // made, found or imported
	Certificate []byte // DER
}

// A RootRetired says that what a root has issued is believed no longer.
type RootRetired struct {
	Fingerprint string
	Reason      string `json:",omitempty"`
}

// A CertificateRevoked says that a certificate is believed no longer.
type CertificateRevoked struct {
	Fingerprint string    // SHA-256 of the certificate's DER, hex
	Serial      string    // hex
	Issuer      string    `json:",omitempty"` // fingerprint of the root that issued it; empty if it was none of this server's
	NotAfter    time.Time `json:",omitzero"`
	Because     string    // one of Reasons
	Reason      string    `json:",omitempty"` // in somebody's words; it names nobody
}

// A RootExpiring says that a root ends soon, or has ended: so do all certificates that it has issued.
type RootExpiring struct {
	Fingerprint string
	NotAfter    time.Time
	Days        int // that were left, at most; 0 if it has ended
}

// EventType returns the stored name.
func (RootExpiring) EventType() string { return "authority.root-expiring" }

// EventType returns the stored name.
func (RootInstalled) EventType() string { return "authority.root-installed" }

// EventType returns the stored name.
func (RootRetired) EventType() string { return "authority.root-retired" }

// EventType returns the stored name.
func (CertificateRevoked) EventType() string { return "authority.certificate-revoked" }

// Events lists every event of an authority by its zero value.
func Events() []domain.Event {
	return []domain.Event{RootInstalled{}, RootRetired{}, RootExpiring{}, CertificateRevoked{}}
}

// Reasons are why a certificate may be revoked, with their numbers in a revocation list. Source: RFC 5280, 5.3.1.
func Reasons() map[string]int {
	return map[string]int{"unspecified": 0, "key-compromise": 1, "affiliation-changed": 3, "superseded": 4, "cessation-of-operation": 5, "privilege-withdrawn": 9}
}

// A Root is a root in force.
type Root struct {
	Fingerprint string
	Subject     string
	NotBefore   time.Time
	NotAfter    time.Time
	Certificate []byte // DER
	Warnings    []int  // that were given: days before its end
}

// A Revocation is a certificate that is believed no longer.
type Revocation struct {
	Serial   string // hex
	Issuer   string // fingerprint of the root; empty if it was none of this server's
	NotAfter time.Time
	Because  string
	At       time.Time
}

// An Authority is what its events tell.
type Authority struct {
	Roots   []Root                // in force, the issuing one last
	Retired []string              // fingerprints of roots that are no longer
	Revoked map[string]Revocation // by the certificate's fingerprint
}

// Issuing returns the root that issues; false if there is none.
func (a Authority) Issuing() (Root, bool) {
	if len(a.Roots) == 0 {
		return Root{}, false
	}
	return a.Roots[len(a.Roots)-1], true
}

// Knows reports whether the root is in force, or was once.
func (a Authority) Knows(fingerprint string) bool {
	return slices.Contains(a.Retired, fingerprint) || slices.ContainsFunc(a.Roots, func(r Root) bool { return r.Fingerprint == fingerprint })
}

// Install decides what follows when a root is to issue from now on. One that issues already is no news; one that was
// in force before is put in front again.
func (a Authority) Install(r RootInstalled) ([]domain.Event, error) {
	if r.Fingerprint == "" || len(r.Certificate) == 0 || !r.NotBefore.Before(r.NotAfter) {
		return nil, domain.Refusef(domain.Invalid, "a root needs a certificate, and a time in which it is good")
	}
	if now, ok := a.Issuing(); ok && now.Fingerprint == r.Fingerprint {
		return nil, nil
	}
	return []domain.Event{r}, nil
}

// Retire decides what follows when a root is to be believed no longer. The issuing one stays.
func (a Authority) Retire(fingerprint, reason string) ([]domain.Event, error) {
	if now, ok := a.Issuing(); ok && now.Fingerprint == fingerprint {
		return nil, domain.WithHint(domain.Refusef(domain.Conflict, "this root issues: without it no device can come in"),
			"roll over to another root first")
	}
	if !slices.ContainsFunc(a.Roots, func(r Root) bool { return r.Fingerprint == fingerprint }) {
		return nil, domain.Refusef(domain.NotFound, "no such root is in force")
	}
	return []domain.Event{RootRetired{fingerprint, reason}}, nil
}

// Revoke decides what follows when a certificate is to be believed no longer. One that was revoked stays so, as it was.
func (a Authority) Revoke(r CertificateRevoked) ([]domain.Event, error) {
	if _, known := Reasons()[r.Because]; !known {
		return nil, domain.WithHint(domain.Refusef(domain.Invalid, "%q is no reason for which a certificate is revoked", r.Because),
			"take one of "+strings.Join(slices.Sorted(maps.Keys(Reasons())), ", "))
	}
	if _, ok := new(big.Int).SetString(r.Serial, 16); !ok || r.Fingerprint == "" {
		return nil, domain.Refusef(domain.Invalid, "a certificate is named by its fingerprint and its serial number")
	}
	if _, already := a.Revoked[r.Fingerprint]; already {
		return nil, nil
	}
	return []domain.Event{r}, nil
}

// Warn decides what follows when somebody looks how long roots are good for. One that issues is told of already when what it issues
// would end before its time, which is so many days: nobody is given more than the root has left. Each warning is given once, and one
// that was missed while nobody looked is not made up for.
func (a Authority) Warn(days int, at time.Time) (events []domain.Event) {
	for i, r := range a.Roots {
		left, due := domain.EndDue(r.NotBefore, r.NotAfter, at)
		if issues := i == len(a.Roots)-1; !due && issues && !at.Before(r.NotAfter.AddDate(0, 0, -days)) {
			left, due = days, true
		}
		if due && !slices.Contains(r.Warnings, left) {
			events = append(events, RootExpiring{r.Fingerprint, r.NotAfter, left})
		}
	}
	return events
}

// Evolve returns the authority after e.
func (a Authority) Evolve(e domain.Event, at time.Time) Authority {
	switch e := e.(type) {
	case RootInstalled:
		a.Roots = append(a.without(e.Fingerprint), Root{e.Fingerprint, e.Subject, e.NotBefore, e.NotAfter, e.Certificate, nil})
	case RootRetired:
		a.Roots = a.without(e.Fingerprint)
		a.Retired = append(slices.Clip(a.Retired), e.Fingerprint)
	case RootExpiring:
		a.Roots = slices.Clone(a.Roots)
		for i, r := range a.Roots {
			if r.Fingerprint == e.Fingerprint {
				a.Roots[i].Warnings = append(slices.Clip(r.Warnings), e.Days)
			}
		}
	case CertificateRevoked:
		revoked := make(map[string]Revocation, len(a.Revoked)+1)
		maps.Copy(revoked, a.Revoked)
		revoked[e.Fingerprint] = Revocation{e.Serial, e.Issuer, e.NotAfter, e.Because, at}
		a.Revoked = revoked
	}
	return a
}

func (a Authority) without(fingerprint string) []Root {
	return slices.DeleteFunc(slices.Clone(a.Roots), func(r Root) bool { return r.Fingerprint == fingerprint })
}
