package trust_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/trust"
)

var (
	own     = trust.Authority{Subject: "CN=own", Certificate: []byte("own")}
	other   = trust.Authority{Subject: "CN=other", Certificate: []byte("other")}
	trusted = func(a trust.Authority) domain.Event {
		return trust.AuthorityTrusted{Fingerprint: a.Fingerprint(), Subject: a.Subject, Certificate: a.Certificate}
	}
	withdrawn = func(a trust.Authority) domain.Event { return trust.AuthorityWithdrawn{Fingerprint: a.Fingerprint()} }
)

type events = []domain.Event

func TestConfigure(t *testing.T) {
	for name, tt := range map[string]struct {
		given events
		when  []trust.Authority
		then  events
	}{
		"the first start":           {nil, []trust.Authority{own, other}, events{trusted(own), trusted(other)}},
		"nothing is new":            {events{trusted(own), trusted(other)}, []trust.Authority{other, own}, nil},
		"one is named twice":        {nil, []trust.Authority{own, own}, events{trusted(own)}},
		"one is left out":           {events{trusted(own), trusted(other)}, []trust.Authority{own}, events{withdrawn(other)}},
		"one comes back":            {events{trusted(own), trusted(other), withdrawn(own)}, []trust.Authority{own, other}, events{trusted(own)}},
		"one takes another's place": {events{trusted(own)}, []trust.Authority{other}, events{trusted(other), withdrawn(own)}},
	} {
		var s trust.Trust
		for _, e := range tt.given {
			s = s.Evolve(e, time.Time{})
		}
		if got := s.Configure(tt.when); !reflect.DeepEqual(got, tt.then) {
			t.Errorf("%s: %+v, want %+v", name, got, tt.then)
		}
	}
}
