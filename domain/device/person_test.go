package device_test

import (
	"testing"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
)

// Who signed in to bring a device stays with the certificate that he brought it with.
func TestWhoBringsADevice(t *testing.T) {
	ada := domain.Person{Account: "ada@example.com", Issuer: "https://login.example.com"}
	hello := func(os, certificate string, who domain.Person) device.Authenticate {
		return device.Authenticate{Topic: "topic", OSVersion: os, Certificate: device.Certificate{Fingerprint: certificate}, Person: who}
	}
	brought := func(d device.Device, m device.Authenticate) (device.Device, domain.Person) {
		t.Helper()
		events, err := d.Authenticate(m, noon)
		if err != nil {
			t.Fatal(err)
		}
		who := domain.Person{Account: "no event"}
		for _, e := range events {
			if e, is := e.(device.Authenticated); is {
				who = e.Person
			}
			d = d.Evolve(e, noon)
		}
		return d, who
	}
	d, who := brought(device.Device{}, hello("18", "c1", ada))
	if who != ada {
		t.Errorf("first: %v", who)
	}
	d, who = brought(d, hello("18.1", "c1", domain.Person{}))
	if who != ada || d.Person() != ada {
		t.Errorf("again, when the sign-in is forgotten: %v", who)
	}
	if d, who = brought(d, hello("18.1", "c2", domain.Person{})); who != (domain.Person{}) || d.Person() != (domain.Person{}) {
		t.Errorf("with another certificate, for which nobody signed in: %v", who)
	}
	d, _ = brought(d, hello("18.2", "c2", ada))
	if d = d.Evolve(device.SubjectErased{}, noon); d.Person() != (domain.Person{}) {
		t.Errorf("after it was erased: %v", d.Person())
	}
}
