package device_test

import (
	"reflect"
	"testing"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
)

// What is vouched for about a key stands with the device that authenticates with it: the names that it tells of itself, if they
// are vouched for, and no others.
func TestAnAttestedKey(t *testing.T) {
	vouched := domain.Attestation{Root: "r", SerialMark: "m", OSVersion: "18.1"}
	for name, tt := range map[string]struct {
		attested *device.Attested
		then     events
	}{
		"nothing":    {nil, nil},
		"the serial": {&device.Attested{Attestation: vouched, Serial: true}, one(device.IdentityAttested{Certificate: "A", Attested: vouched, SerialNumber: "S1"})},
		"both":       {&device.Attested{Attestation: vouched, Serial: true, UDID: true}, one(device.IdentityAttested{Certificate: "A", Attested: vouched, SerialNumber: "S1", UDID: "U1"})},
		"neither":    {&device.Attested{Attestation: vouched}, one(device.IdentityAttested{Certificate: "A", Attested: vouched})},
	} {
		m := device.Authenticate{Topic: "topic", Identity: device.Identity{UDID: "U1", SerialNumber: "S1"}, Certificate: device.Certificate{Fingerprint: "A"}, Attested: tt.attested}
		got, err := device.Device{}.Authenticate(m, noon)
		if err != nil || len(got) < 2 {
			t.Fatalf("%s: %v, %v", name, got, err)
		}
		if !reflect.DeepEqual(append(events{}, got[2:]...), append(events{}, tt.then...)) {
			t.Errorf("%s: what follows is %+v, want %+v", name, got[2:], tt.then)
		}
	}
}
