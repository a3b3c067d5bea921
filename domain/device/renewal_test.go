package device_test

import (
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
)

// renewing is a device that was handed an enrolment profile of ours, while another command waits.
func renewing() events {
	profile := queued("", device.Order{UUID: "P", RequestType: "InstallProfile", Body: []byte("p"), Renews: true})
	out := device.CommandDelivered{UUID: "P", RequestType: "InstallProfile", Attempt: 1, NewSession: true}
	return then(both, events{profile, waiting("1"), queued("u", order("2")), out})
}

// Lesson 5: a server-driven renewal also sends Authenticate; it is no new enrolment.
func TestARenewalLosesNothing(t *testing.T) {
	with := func(m device.Authenticate, renewal string) device.Authenticate { m.Renewal = renewal; return m }
	at := func(m device.Authenticate, at time.Time) func(device.Device) (events, error) {
		return func(d device.Device) (events, error) { return d.Authenticate(m, at) }
	}
	renewed := again(1, "B")
	renewed.Renewal = true
	soon := morning.Add(time.Minute)
	ends := func(uuid string) device.CommandCancelled {
		return device.CommandCancelled{UUID: uuid, RequestType: "InstallProfile", Reason: "the device enrolled again"}
	}
	anew := events{ends("P"), cancelled("", "1", "the device enrolled again"), cancelled("u", "2", "the device enrolled again"), again(2, "B")}
	answered := device.CommandAcknowledged{UUID: "P", RequestType: "InstallProfile"}
	check(t, []decision{
		{"soon after the profile was handed out", renewing(), at(hello("B"), soon), one(renewed), 0},
		{"at a URL that names the order, whenever", renewing(), at(with(hello("B"), "P"), noon), one(renewed), 0},
		{"at a URL that names another order", renewing(), at(with(hello("B"), "Q"), soon), anew, 0},
		{"long after the profile was handed out: it was erased", renewing(), at(hello("B"), noon), anew, 0},
		{"after the profile was answered", then(renewing(), one(answered)), at(hello("B"), soon), anew[1:], 0},
		{"it repeats itself", then(renewing(), one(renewed)), at(hello("B"), soon), nil, 0},
		{"after it left", then(renewing(), one(left)), at(hello("B"), soon), anew, 0},
	})
}

func TestARenewalUnderAPin(t *testing.T) {
	renewed := again(1, "B")
	renewed.Renewal = true
	d := fold(then(renewing(), one(renewed)), morning)
	if d.Status != device.StatusEnrolled || d.Generation != 1 || !d.Admits("A") || !d.Admits("B") {
		t.Fatalf("while its profile is replaced the device is %+v", d)
	}
	if list, err := d.Connect(device.Report{Status: device.Idle}, morning.Add(time.Minute)); err != nil || len(list) != 1 {
		t.Errorf("a device whose profile was not replaced after all is handed %v, %v", list, err)
	}
	m := device.TokenUpdate{Topic: "topic", Token: []byte("token"), PushMagic: "magic", Certificate: hello("B").Certificate}
	list, err := d.UpdateToken(m, noon)
	if err != nil || len(list) != 2 {
		t.Fatalf("its TokenUpdate leads to %v, %v", list, err)
	}
	for _, e := range list {
		d = d.Evolve(e, noon)
	}
	own, _ := d.Channel("")
	user, _ := d.Channel("u")
	if d.Admits("A") || !d.Admits("B") || d.Renewing || len(own.Queue) != 2 || len(user.Queue) != 1 || !user.Enrolled {
		t.Errorf("after the renewal the device is %+v", d)
	}
}

func TestAProfileThatReplacesTheEnrolmentIsSeen(t *testing.T) {
	for profile, is := range map[string]bool{
		"": false, "<plist/>": false, "<string>com.apple.mdm</string>": true, "0\x80…<string>com.apple.mdm</string>…": true,
		"<string>com.apple.mdm.wifi</string>": false,
	} {
		if device.ReplacesEnrolment([]byte(profile)) != is {
			t.Errorf("%q", profile)
		}
	}
}

// Lessons 20 and 21: an identity can be copied to a second machine.
func TestACloneIsSuspected(t *testing.T) {
	named := seen
	named.Identity = device.Identity{UDID: "U1", SerialNumber: "S1"}
	known := events{named, pinned, token}
	other := hello("A")
	other.Identity = device.Identity{UDID: "U1", SerialNumber: "S2"}
	suspected := device.IdentityCloneSuspected{Certificate: "A", MessageType: "Authenticate", Known: named.Identity, Claimed: other.Identity}
	let := again(2, "A")
	let.Identity = other.Identity
	back := again(3, "A")
	back.Identity = named.Identity
	same := hello("A")
	same.Identity = named.Identity
	serial := device.Identity{SerialNumber: "S9"}
	suspect := func(fingerprint string, claimed device.Identity) func(device.Device) (events, error) {
		return func(d device.Device) (events, error) {
			return d.SuspectClone(fingerprint, "TokenUpdate", claimed)
		}
	}
	of := device.IdentityCloneSuspected{Certificate: "A", MessageType: "TokenUpdate", Known: named.Identity, Claimed: serial}
	check(t, []decision{
		{"the same certificate with another serial number", known, authenticate(other), events{suspected, let}, 0},
		{"it is told once", then(known, events{suspected, let, token}), authenticate(same), events{
			device.IdentityCloneSuspected{Certificate: "A", MessageType: "Authenticate", Known: other.Identity, Claimed: named.Identity}, back,
		}, 0},
		{"and once only", then(known, events{suspected, let, token, suspected}), authenticate(other), one(func() device.Authenticated {
			e := again(3, "A")
			e.Identity = other.Identity
			return e
		}()), 0},
		{"another certificate, another serial number: a repair", known, authenticate(func() device.Authenticate {
			m := other
			m.Certificate.Fingerprint = "B"
			return m
		}()), one(func() device.Authenticated { e := again(2, "B"); e.Identity = other.Identity; return e }()), 0},
		{"its certificate speaks as another device", known, suspect("A", serial), one(of), 0},
		{"again", then(known, one(of)), suspect("A", serial), nil, 0},
		{"another certificate", known, suspect("B", serial), nil, 0},
		{"as nobody", known, suspect("A", device.Identity{}), nil, 0},
		{"of a device that nobody knows", nil, suspect("A", serial), nil, domain.Reason(0)},
	})
}
