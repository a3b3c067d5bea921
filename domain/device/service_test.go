package device_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
)

func TestTokensOfServices(t *testing.T) {
	watch := device.Pairing{Hash: []byte("h"), WatchUDID: "W", SecurityToken: []byte("s"), Expires: noon}
	pair := func(p device.Pairing) func(device.Device) (events, error) {
		return func(d device.Device) (events, error) { return d.IssuePairing(p) }
	}
	maid := func(d device.Device) (events, error) { return d.IssueToken("u", device.ServiceMAID, "id") }
	gone := then(enrolled, one(left))
	check(t, []decision{
		{"a user signs in with a Managed Apple Account", both, maid, one(device.TokenIssued{Channel: "u", Service: "com.apple.maid", TokenID: "id"}), 0},
		{"of a device that left", gone, maid, nil, domain.Unmanaged},
		{"a watch is to pair", enrolled, pair(watch), one(device.TokenIssued{Service: "com.apple.watch.pairing", Expires: noon, Pairing: &watch}), 0},
		{"a watch without a name", enrolled, pair(device.Pairing{SecurityToken: []byte("s")}), nil, domain.Invalid},
		{"a watch without a security token", enrolled, pair(device.Pairing{WatchUDID: "W"}), nil, domain.Invalid},
		{"a watch of a device that left", gone, pair(watch), nil, domain.Unmanaged},
	})
	d := fold(then(enrolled, one(device.TokenIssued{Service: device.ServiceWatchPairing, Pairing: &watch})), morning)
	for _, c := range []struct {
		watch, token, security string
		at                     time.Time
		ok                     bool
	}{
		{"W", "h", "s", morning, true},
		{"V", "h", "s", morning, false},
		{"W", "x", "s", morning, false},
		{"W", "h", "x", morning, false},
		{"W", "h", "s", noon, false},
	} {
		if err := d.Pairs(c.watch, []byte(c.token), []byte(c.security), c.at); (err == nil) != c.ok {
			t.Errorf("%+v: %v", c, err)
		}
	}
	for i := range 9 {
		p := watch
		p.WatchUDID = fmt.Sprint(i)
		d = d.Evolve(device.TokenIssued{Service: device.ServiceWatchPairing, Pairing: &p}, morning)
	}
	if len(d.Pairings) != 4 || d.Pairings[3].WatchUDID != "8" {
		t.Errorf("it remembers %+v", d.Pairings)
	}
}

func TestReturnToService(t *testing.T) {
	ask := func(enabled bool) func(device.Device) (events, error) {
		return func(d device.Device) (events, error) { return d.ReturnToService(enabled) }
	}
	escrowed := device.BootstrapTokenEscrowed{BootstrapToken: []byte("b")}
	check(t, []decision{
		{"is not offered", enrolled, ask(false), one(device.ReturnedToService{}), 0},
		{"is offered", enrolled, ask(true), one(device.ReturnedToService{Enabled: true}), 0},
		{"keeps the apps of a device that left its bootstrap token", then(enrolled, one(escrowed)), ask(true),
			one(device.ReturnedToService{Enabled: true, AppsPreserved: true}), 0},
		{"of a device that left", then(enrolled, one(left)), ask(true), nil, domain.Unmanaged},
	})
}

// Lesson 8: AwaitingConfiguration stands in the messages about bootstrap tokens too, and absent is not false.
func TestBootstrapTokensTellWhetherTheDeviceAwaitsConfiguration(t *testing.T) {
	yes, no := new(true), new(false)
	set := func(b string, awaits *bool) func(device.Device) (events, error) {
		return func(d device.Device) (events, error) { return d.SetBootstrapToken([]byte(b), awaits) }
	}
	escrowed := func(awaits *bool) device.BootstrapTokenEscrowed {
		return device.BootstrapTokenEscrowed{AwaitingConfiguration: awaits, BootstrapToken: []byte("b")}
	}
	check(t, []decision{
		{"with a token", enrolled, set("b", yes), one(escrowed(yes)), 0},
		{"with the token that was left before", then(enrolled, one(escrowed(nil))), set("b", yes), one(escrowed(yes)), 0},
		{"no news", then(enrolled, one(escrowed(yes))), set("b", yes), nil, 0},
		{"absent is no news", then(enrolled, one(escrowed(yes))), set("b", nil), nil, 0},
		{"with no token", then(enrolled, one(escrowed(yes))), set("", no), one(device.BootstrapTokenDeleted{AwaitingConfiguration: no}), 0},
	})
	for _, c := range []struct {
		last  domain.Event
		waits bool
	}{
		{escrowed(nil), true}, {escrowed(no), false}, {device.BootstrapTokenDeleted{AwaitingConfiguration: no}, false},
		{device.BootstrapTokenReleased{AwaitingConfiguration: no}, false}, {device.BootstrapTokenReleased{Found: true}, true},
	} {
		if d := fold(then(enrolled, events{escrowed(yes), c.last}), morning); d.Awaiting != c.waits {
			t.Errorf("after %+v it waits: %v", c.last, d.Awaiting)
		}
	}
}
