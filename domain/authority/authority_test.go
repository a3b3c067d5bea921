package authority_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/authority"
)

type events = []domain.Event

var (
	noon = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	old  = authority.RootInstalled{Fingerprint: "old", Subject: "CN=old", NotBefore: noon, NotAfter: noon.AddDate(10, 0, 0), Source: authority.Found, Certificate: []byte("old")}
	next = authority.RootInstalled{Fingerprint: "next", Subject: "CN=next", NotBefore: noon, NotAfter: noon.AddDate(10, 0, 0), Source: authority.Made, Certificate: []byte("next")}
	bad  = authority.CertificateRevoked{Fingerprint: "c", Serial: "4711", Issuer: "old", NotAfter: noon, Because: "superseded"}
)

func TestDecisions(t *testing.T) {
	odd := bad
	odd.Because = "tired of it"
	nameless := bad
	nameless.Serial = "no number"
	again := bad
	again.Because = "key-compromise"
	for name, tt := range map[string]struct {
		given events
		when  func(authority.Authority) (events, error)
		then  events
		no    domain.Reason
	}{
		"the first root":            {nil, func(a authority.Authority) (events, error) { return a.Install(old) }, events{old}, 0},
		"the issuing one again":     {events{old}, func(a authority.Authority) (events, error) { return a.Install(old) }, nil, 0},
		"another takes over":        {events{old}, func(a authority.Authority) (events, error) { return a.Install(next) }, events{next}, 0},
		"the one before comes back": {events{old, next}, func(a authority.Authority) (events, error) { return a.Install(old) }, events{old}, 0},
		"a root without a certificate": {nil, func(a authority.Authority) (events, error) {
			return a.Install(authority.RootInstalled{Fingerprint: "x"})
		}, nil, domain.Invalid},
		"the old one is retired":                {events{old, next}, func(a authority.Authority) (events, error) { return a.Retire("old", "done") }, events{authority.RootRetired{Fingerprint: "old", Reason: "done"}}, 0},
		"the issuing one cannot be retired":     {events{old, next}, func(a authority.Authority) (events, error) { return a.Retire("next", "") }, nil, domain.Conflict},
		"one that is not there":                 {events{old}, func(a authority.Authority) (events, error) { return a.Retire("next", "") }, nil, domain.NotFound},
		"a certificate is revoked":              {events{old}, func(a authority.Authority) (events, error) { return a.Revoke(bad) }, events{bad}, 0},
		"a revoked one stays as it was":         {events{old, bad}, func(a authority.Authority) (events, error) { return a.Revoke(again) }, nil, 0},
		"for a reason that there is not":        {events{old}, func(a authority.Authority) (events, error) { return a.Revoke(odd) }, nil, domain.Invalid},
		"a serial number that is none":          {events{old}, func(a authority.Authority) (events, error) { return a.Revoke(nameless) }, nil, domain.Invalid},
		"one that another authority has issued": {events{old}, func(a authority.Authority) (events, error) { b := bad; b.Issuer = ""; return a.Revoke(b) }, events{func() domain.Event { b := bad; b.Issuer = ""; return b }()}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := tt.when(fold(tt.given))
			if r, _ := domain.Refused(err); (err != nil) != (tt.no != 0) || r != nil && r.Reason != tt.no {
				t.Fatalf("the answer is %v, want the refusal %v", err, tt.no)
			}
			if !reflect.DeepEqual(got, tt.then) {
				t.Errorf("what follows is %+v, want %+v", got, tt.then)
			}
		})
	}
}

func fold(given events) (a authority.Authority) {
	for _, e := range given {
		a = a.Evolve(e, noon)
	}
	return a
}

func TestTheNewestRootIssuesAndTheOldOneStaysInForce(t *testing.T) {
	before := fold(events{old, bad})
	after := before.Evolve(next, noon).Evolve(authority.CertificateRevoked{Fingerprint: "d", Serial: "1", Because: "unspecified"}, noon)
	if r, _ := after.Issuing(); r.Fingerprint != "next" || len(after.Roots) != 2 || after.Roots[0].Fingerprint != "old" {
		t.Errorf("in force are %+v", after.Roots)
	}
	if len(before.Revoked) != 1 || len(after.Revoked) != 2 || len(before.Roots) != 1 {
		t.Error("what follows has changed what was before")
	}
	if gone := after.Evolve(authority.RootRetired{Fingerprint: "old"}, noon); !gone.Knows("old") || !gone.Knows("next") || gone.Knows("other") {
		t.Error("it forgets which roots there were")
	}
	if r, found := (authority.Authority{}).Issuing(); found {
		t.Errorf("%+v issues where there is none", r)
	}
	if got := after.Evolve(authority.RootRetired{Fingerprint: "old"}, noon); len(got.Roots) != 1 || got.Roots[0].Fingerprint != "next" {
		t.Errorf("in force are %+v", got.Roots)
	}
}
