package certificate_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/certificate"
)

func TestBind(t *testing.T) {
	bound := certificate.Bound{Device: "a"}
	tests := []struct {
		name   string
		given  []domain.Event
		device string
		then   []domain.Event
		no     domain.Reason
	}{
		{"a certificate that nobody has", nil, "a", []domain.Event{bound}, 0},
		{"its own device asks again", []domain.Event{bound}, "a", nil, 0},
		{"one that was issued for any device", []domain.Event{certificate.Issued{Session: "s"}}, "a", []domain.Event{bound}, 0},
		{"one that was issued for it", []domain.Event{certificate.Issued{Device: "a"}}, "a", []domain.Event{bound}, 0},
		{"one that was issued for another", []domain.Event{certificate.Issued{Device: "b"}}, "a", nil, domain.Forbidden},
		{"another device", []domain.Event{bound}, "b", nil, domain.Forbidden},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var c certificate.Certificate
			for _, e := range tt.given {
				c = c.Evolve(e, time.Time{})
			}
			got, err := c.Bind(tt.device)
			if r, _ := domain.Refused(err); (err != nil) != (tt.no != 0) || r != nil && r.Reason != tt.no {
				t.Fatalf("the answer is %v, want the refusal %v", err, tt.no)
			}
			if !reflect.DeepEqual(got, tt.then) {
				t.Errorf("what follows is %+v, want %+v", got, tt.then)
			}
		})
	}
}

func TestACertificateIsIssuedOnce(t *testing.T) {
	issued := certificate.Issued{Serial: "4711", Session: "s", Device: "a"}
	got, err := certificate.Certificate{}.Issue(issued)
	if err != nil || !reflect.DeepEqual(got, []domain.Event{issued}) {
		t.Errorf("what follows is %+v (%v)", got, err)
	}
	c := certificate.Certificate{}.Evolve(issued, time.Time{})
	if again, err := c.Issue(issued); again != nil || err != nil || !c.Issued || c.Session != "s" || c.For != "a" {
		t.Errorf("it is issued again: %+v (%v), and is %+v", again, err, c)
	}
}

func TestACertificateFitsTheDeviceThatWasAttested(t *testing.T) {
	for name, tt := range map[string]struct {
		attested *domain.Attestation
		told     string
		fits     bool
	}{
		"nothing attested":   {nil, "other", true},
		"no serial attested": {&domain.Attestation{OSVersion: "18"}, "other", true},
		"the same":           {&domain.Attestation{SerialMark: "mark"}, "mark", true},
		"another":            {&domain.Attestation{SerialMark: "mark"}, "other", false},
		"none told":          {&domain.Attestation{SerialMark: "mark"}, "", true},
	} {
		c := certificate.Certificate{}.Evolve(certificate.Issued{Attested: tt.attested}, time.Time{})
		err := c.Fits(func() string { return tt.told })
		if r, refused := domain.Refused(err); refused == tt.fits || refused && r.Reason != domain.Forbidden {
			t.Errorf("%s: %v", name, err)
		}
	}
}
