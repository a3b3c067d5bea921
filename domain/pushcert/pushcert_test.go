package pushcert_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/pushcert"
)

var noon = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

func TestStore(t *testing.T) {
	first := pushcert.Stored{Topic: "topic", Fingerprint: "a", NotAfter: noon.Add(1), Certificate: []byte("cert"), Key: []byte("key")}
	with := func(f func(*pushcert.Stored)) pushcert.Stored { s := first; f(&s); return s }
	second := with(func(s *pushcert.Stored) { s.Fingerprint = "b" })
	renewed := with(func(s *pushcert.Stored) { s.Fingerprint, s.Renewal = "b", true })
	lying := with(func(s *pushcert.Stored) { s.Renewal = true })
	tests := []struct {
		name  string
		given []domain.Event
		store pushcert.Stored
		then  []domain.Event
		no    domain.Reason
	}{
		{"the first", nil, first, []domain.Event{first}, 0},
		{"the first is no renewal, whatever it says", nil, lying, []domain.Event{first}, 0},
		{"the same again", []domain.Event{first}, first, nil, 0},
		{"a renewal", []domain.Event{first}, second, []domain.Event{renewed}, 0},
		{"without a topic", nil, with(func(s *pushcert.Stored) { s.Topic = "" }), nil, domain.Invalid},
		{"expired", nil, with(func(s *pushcert.Stored) { s.NotAfter = noon }), nil, domain.Invalid},
		{"another topic's", []domain.Event{first}, with(func(s *pushcert.Stored) { s.Topic, s.Fingerprint = "other", "b" }), nil, domain.Conflict},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var p pushcert.PushCertificate
			for _, e := range tt.given {
				p = p.Evolve(e, noon)
			}
			got, err := p.Store(tt.store, noon)
			if r, _ := domain.Refused(err); (err != nil) != (tt.no != 0) || r != nil && r.Reason != tt.no {
				t.Fatalf("the answer is %v, want the refusal %v", err, tt.no)
			}
			if !reflect.DeepEqual(got, tt.then) {
				t.Errorf("what follows is %+v, want %+v", got, tt.then)
			}
		})
	}
}

func TestTheNewestCounts(t *testing.T) {
	var p pushcert.PushCertificate
	p = p.Evolve(pushcert.Stored{Topic: "topic", Fingerprint: "a", Key: []byte("old")}, noon)
	p = p.Evolve(pushcert.Stored{Topic: "topic", Fingerprint: "b", NotAfter: noon, Certificate: []byte("c"), Key: []byte("new")}, noon)
	want := pushcert.PushCertificate{Topic: "topic", Fingerprint: "b", NotAfter: noon, Certificate: []byte("c"), Key: []byte("new")}
	if !reflect.DeepEqual(p, want) {
		t.Errorf("the certificate is %+v, want %+v", p, want)
	}
}

func TestSomebodyIsWarnedOnceOfEachDate(t *testing.T) {
	end := noon.AddDate(0, 0, 60)
	var p pushcert.PushCertificate
	p = p.Evolve(pushcert.Stored{Topic: "topic", Fingerprint: "a", NotAfter: end}, noon)
	if got := p.Warn(noon.Add(-time.Second)); got != nil {
		t.Errorf("61 days before: %v", got)
	}
	var told []int
	for hour := range 24 * 62 {
		for _, e := range p.Warn(noon.Add(time.Duration(hour) * time.Hour)) {
			told = append(told, e.(pushcert.Expiring).Days)
			p = p.Evolve(e, noon)
		}
	}
	if !reflect.DeepEqual(told, domain.EndWarnings) {
		t.Errorf("told %v days before, want %v", told, domain.EndWarnings)
	}
	p = p.Evolve(pushcert.Stored{Topic: "topic", Fingerprint: "b", NotAfter: end.AddDate(0, 0, 5)}, noon)
	if got := p.Warn(end); len(got) != 1 || got[0].(pushcert.Expiring).Days != 7 {
		t.Errorf("a renewed one, looked at 5 days before its end for the first time: %v", got)
	}
	if got := (pushcert.PushCertificate{}).Warn(end); got != nil {
		t.Errorf("none at all: %v", got)
	}
}
