package device_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
)

// hello returns the Authenticate that led to seen, with another certificate if one is named.
func hello(certificate string) device.Authenticate {
	return device.Authenticate{
		Topic: "topic", OSVersion: "18.1", ProductName: "iPad13,18",
		Certificate: device.Certificate{Fingerprint: certificate, Serial: "1a", NotAfter: noon},
	}
}

func authenticate(m device.Authenticate) func(device.Device) (events, error) {
	return func(d device.Device) (events, error) { return d.Authenticate(m, noon) }
}

// again is seen in a later generation, with a certificate.
func again(generation int, certificate string) device.Authenticated {
	e := seen
	e.Generation, e.Certificate = generation, certificate
	return e
}

func TestAuthenticate(t *testing.T) {
	newOS := hello("A")
	newOS.OSVersion = "18.2"
	full := hello("A")
	full.Identity, full.Rest = device.Identity{UDID: "U1", SerialNumber: "S"}, json.RawMessage(`{"k":1,"NewUnlockCode":"1234"}`)
	full.BuildVersion, full.Model, full.ModelName = "22B", "M", "iPad"
	check(t, []decision{
		{"a new device is let in, and its certificate pinned", nil, authenticate(full), events{
			device.Authenticated{
				Generation: 1, Topic: "topic", Certificate: "A", OSVersion: "18.1", BuildVersion: "22B", ProductName: "iPad13,18",
				Model: "M", ModelName: "iPad", Identity: full.Identity, Rest: json.RawMessage(`{"k":1,"NewUnlockCode":"•••"}`),
				Secrets: map[string]json.RawMessage{"NewUnlockCode": json.RawMessage(`"1234"`)},
			},
			device.IdentityPinned{Certificate: "A", NotAfter: noon, Serial: "1a"},
		}, 0},
		{"without a topic nobody could push it", nil, authenticate(device.Authenticate{}), nil, domain.Invalid},
		{"it repeats itself", events{seen, pinned}, authenticate(hello("A")), nil, 0},
		{"it repeats itself with a certificate that it claims", events{seen, pinned, token, again(2, "B")}, authenticate(hello("B")), nil, 0},
		{"it asks again, with another OS: a new attempt", events{seen, pinned}, authenticate(newOS),
			one(device.Authenticated{Generation: 2, Topic: "topic", Certificate: "A", OSVersion: "18.2", ProductName: "iPad13,18"}), 0},
		{"it enrols again: a new generation, and no second pin", enrolled, authenticate(hello("A")), one(again(2, "A")), 0},
		{"it enrols again with another certificate: claimed, not pinned", enrolled, authenticate(hello("B")), one(again(2, "B")), 0},
		{"it comes back after it left", then(enrolled, one(left)), authenticate(hello("A")), one(again(2, "A")), 0},
		{"what waited is cancelled, in every channel", then(both, one(waiting("1")), one(queued("u", order("2"))), one(first("1", 1))), authenticate(hello("A")), events{
			cancelled("", "1", "the device enrolled again"), cancelled("u", "2", "the device enrolled again"), again(2, "A"),
		}, 0},
	})
}

func TestAfterAuthenticateNothingOfTheOldEnrolmentIsLeft(t *testing.T) {
	unlock := token
	unlock.UnlockToken, unlock.AwaitingConfiguration = []byte("unlock"), new(bool)
	*unlock.AwaitingConfiguration = true
	given := events{seen, pinned, unlock, users, device.BootstrapTokenEscrowed{BootstrapToken: []byte("b")}, waiting("1"), queued("u", order("2")), first("1", 1)}
	d := fold(given, morning)
	more, err := d.Authenticate(hello("A"), noon)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range more {
		d = d.Evolve(e, noon)
	}
	own, _ := d.Channel("")
	if len(d.Channels) != 1 || len(own.Queue) != 0 || own.Enrolled || own.Reachable() {
		t.Errorf("the channels are %+v", d.Channels)
	}
	if d.Status != device.StatusAuthenticated || d.Generation != 2 || d.Awaiting || d.BootstrapToken != nil {
		t.Errorf("the device is %+v", d)
	}
	if string(own.Token) != "token" || string(d.UnlockToken) != "unlock" {
		t.Error("if this enrolment fails the old one lives on: it needs its push data and its unlock token")
	}
	for _, uuid := range []string{"1", "2"} {
		if events, err := d.Order("", order(uuid), false, noon); err == nil {
			t.Errorf("the old command %s was taken again: %v", uuid, events)
		}
	}
}

func TestARenewalOfTheProfileKeepsTheQueues(t *testing.T) {
	renewed := again(2, "B")
	renewed.Renewal = true
	d := fold(then(both, events{waiting("1"), renewed}), morning)
	if own, _ := d.Channel(""); len(own.Queue) != 1 || len(d.Channels) != 2 {
		t.Errorf("the channels are %+v", d.Channels)
	}
	if !d.Admits("A") || !d.Admits("B") || d.Admits("C") || d.Admits("") {
		t.Error("old and new certificate speak for the device until one is confirmed, and no others")
	}
}

func give(m device.TokenUpdate) func(device.Device) (events, error) {
	return func(d device.Device) (events, error) { return d.UpdateToken(m, noon) }
}

func TestUpdateToken(t *testing.T) {
	yes, no := true, false
	same := device.TokenUpdate{Topic: "topic", Token: []byte("token"), PushMagic: "magic", Certificate: device.Certificate{Fingerprint: "A"}}
	hers := device.TokenUpdate{Channel: "u", Topic: "topic", Token: []byte("hers"), PushMagic: "magic-u"}
	with := func(m device.TokenUpdate, change func(*device.TokenUpdate)) device.TokenUpdate { change(&m); return m }
	newMagic := with(same, func(m *device.TokenUpdate) { m.PushMagic = "new" })
	newToken := with(same, func(m *device.TokenUpdate) { m.Token = []byte("new") })
	unlock := with(same, func(m *device.TokenUpdate) { m.UnlockToken = []byte("unlock") })
	awaits := with(same, func(m *device.TokenUpdate) { m.AwaitingConfiguration = &yes })
	awaitsNot := with(same, func(m *device.TokenUpdate) { m.AwaitingConfiguration = &no })
	claimed := with(same, func(m *device.TokenUpdate) {
		m.Certificate = device.Certificate{Fingerprint: "B", Serial: "2b", NotAfter: noon}
	})
	renewal := token
	renewal.Enrolled = false
	change := func(f func(*device.TokenUpdated)) device.TokenUpdated { e := renewal; f(&e); return e }
	withUnlock := change(func(e *device.TokenUpdated) { e.UnlockToken = []byte("unlock") })
	dead := device.PushRefused{Status: 410, Reason: "Unregistered", Final: true, Unregistered: true}
	gone := device.PresumedUnmanaged{Reason: "silent"}
	check(t, []decision{
		{"before Authenticate", nil, give(same), nil, domain.Conflict},
		{"after CheckOut: it must authenticate first", then(enrolled, one(left)), give(same), nil, domain.Conflict},
		{"without a token", events{seen, pinned}, give(with(same, func(m *device.TokenUpdate) { m.Token = nil })), nil, domain.Invalid},
		{"without a PushMagic", events{seen, pinned}, give(with(same, func(m *device.TokenUpdate) { m.PushMagic = "" })), nil, domain.Invalid},
		{"with another topic", events{seen, pinned}, give(with(same, func(m *device.TokenUpdate) { m.Topic = "other" })), nil, domain.Invalid},
		{"a user's before the device's own", events{seen, pinned}, give(hers), nil, domain.Conflict},
		{"the first proves the enrolment", events{seen, pinned}, give(same), one(token), 0},
		{"the same again is no news", enrolled, give(same), nil, 0},
		{"a new token", enrolled, give(newToken), one(change(func(e *device.TokenUpdated) { e.Token = []byte("new") })), 0},
		{"a new magic", enrolled, give(newMagic), one(change(func(e *device.TokenUpdated) { e.PushMagic = "new" })), 0},
		{"an unlock token", enrolled, give(unlock), one(withUnlock), 0},
		{"the same unlock token is no news", then(enrolled, one(withUnlock)), give(unlock), nil, 0},
		{"no unlock token leaves the one before", then(enrolled, one(withUnlock)), give(same), nil, 0},
		{"it awaits configuration", enrolled, give(awaits), one(change(func(e *device.TokenUpdated) { e.AwaitingConfiguration = &yes })), 0},
		{"it awaits nothing, as before", enrolled, give(awaitsNot), nil, 0},
		{"a user's first", enrolled, give(hers), one(users), 0},
		{"a user's same again", both, give(hers), nil, 0},
		{"after Apple called it dead, the same token is news", then(enrolled, one(dead)), give(same), one(renewal), 0},
		{"a device that was given up is back", then(enrolled, one(gone)), give(same), one(renewal), 0},
		{"it confirms the certificate that it claimed", then(enrolled, one(again(2, "B"))), give(claimed), events{
			token, device.IdentityReplaced{Before: "A", Certificate: "B", NotAfter: noon, Serial: "2b"},
		}, 0},
		{"with the old certificate the old enrolment lives on", then(enrolled, one(again(2, "B"))), give(same), one(token), 0},
	})
}

func TestTheBoundOnUserChannels(t *testing.T) {
	given := enrolled
	for i := range 1000 {
		e := users
		e.Channel = device.ChannelID(fmt.Sprint(i))
		given = append(given[:len(given):len(given)], e)
	}
	d := fold(given, morning)
	m := device.TokenUpdate{Channel: "one more", Token: []byte("x"), PushMagic: "m"}
	if _, err := d.UpdateToken(m, noon); err == nil {
		t.Error("the 1,001st user was let in")
	}
	for _, known := range []device.ChannelID{"", "999"} {
		m.Channel = known
		if got, err := d.UpdateToken(m, noon); err != nil || len(got) != 1 {
			t.Errorf("the known channel %q cannot renew its token: %v, %v", known, got, err)
		}
	}
}

func TestAConfirmedCertificateIsTheOnlyOne(t *testing.T) {
	d := fold(then(enrolled, events{again(2, "B"), token, device.IdentityReplaced{Before: "A", Certificate: "B"}}), morning)
	if d.Admits("A") || !d.Admits("B") {
		t.Errorf("the old certificate is admitted: %v, the new one: %v", d.Admits("A"), d.Admits("B"))
	}
	if (device.Device{}).Admits("") {
		t.Error("no certificate speaks for a device of which nothing is known")
	}
}

func TestCheckOut(t *testing.T) {
	leave := device.Device.CheckOut
	check(t, []decision{
		{"of a device that never came", nil, leave, nil, domain.Conflict},
		{"before its TokenUpdate", events{seen, pinned}, leave, one(left), 0},
		{"with an empty queue", enrolled, leave, one(left), 0},
		{"twice", then(enrolled, one(left)), leave, nil, 0},
		{"what waits is cancelled, in every channel", then(both, events{waiting("1"), queued("u", order("2"))}), leave, events{
			cancelled("", "1", "the device checked out"), cancelled("u", "2", "the device checked out"), left,
		}, 0},
	})
	d := fold(then(both, one(left)), morning)
	for _, c := range d.Channels {
		if c.Enrolled || c.Reachable() {
			t.Errorf("the channel %q is still enrolled", c.ID)
		}
	}
}

func TestWhatElseADeviceAsks(t *testing.T) {
	ann := device.User{UserShortName: "ann"}
	user := func(d device.Device) (events, error) { return d.AuthenticateUser("u", ann) }
	set := func(b string) func(device.Device) (events, error) {
		return func(d device.Device) (events, error) { return d.SetBootstrapToken([]byte(b), nil) }
	}
	get := func(d device.Device) (events, error) { return d.GetBootstrapToken(nil) }
	fetch := func(d device.Device) (events, error) { return d.FetchDeclarations("u", "tokens", true) }
	report := func(d device.Device) (events, error) {
		return d.ReportDeclarationStatus("u", json.RawMessage(`{}`))
	}
	refuse := func(d device.Device) (events, error) { return d.RefuseIdentity("", "C", "Connect", "foreign") }
	keep := func(d device.Device) (events, error) { return d.KeepUnrecognised("u", "Hm", "unknown", 7) }
	escrowed := device.BootstrapTokenEscrowed{BootstrapToken: []byte("b")}
	gone := then(enrolled, one(left))
	check(t, []decision{
		{"a network user", enrolled, user, one(device.UserAuthenticated{Channel: "u", User: ann}), 0},
		{"a bootstrap token", enrolled, set("b"), one(escrowed), 0},
		{"a bootstrap token before the TokenUpdate", events{seen, pinned}, set("b"), one(escrowed), 0},
		{"the same bootstrap token", then(enrolled, one(escrowed)), set("b"), nil, 0},
		{"an empty bootstrap token deletes", then(enrolled, one(escrowed)), set(""), one(device.BootstrapTokenDeleted{}), 0},
		{"nothing to delete", enrolled, set(""), nil, 0},
		{"its bootstrap token", then(enrolled, one(escrowed)), get, one(device.BootstrapTokenReleased{Found: true}), 0},
		{"its deleted bootstrap token", then(enrolled, events{escrowed, device.BootstrapTokenDeleted{}}), get, one(device.BootstrapTokenReleased{}), 0},
		{"declarations", enrolled, fetch, one(device.DeclarationsFetched{Channel: "u", Endpoint: "tokens", Found: true}), 0},
		{"a status report", enrolled, report, one(device.DeclarationStatusReported{Channel: "u", Report: json.RawMessage(`{}`)}), 0},
		{"somebody else spoke for it", enrolled, refuse, one(device.IdentityRefused{Certificate: "C", MessageType: "Connect", Reason: "foreign"}), 0},
		{"somebody spoke for a device that nobody knows", nil, refuse, nil, 0},
		{"nonsense", enrolled, keep, one(device.MessageUnrecognised{Channel: "u", MessageType: "Hm", Reason: "unknown", Size: 7}), 0},
		{"nonsense of a device that nobody knows", nil, keep, nil, 0},
		{"a stranger's user", nil, user, nil, domain.Unmanaged},
		{"a stranger's bootstrap token", nil, set("b"), nil, domain.Unmanaged},
		{"a stranger fetches a bootstrap token", nil, get, nil, domain.Unmanaged},
		{"a stranger fetches declarations", nil, fetch, nil, domain.Unmanaged},
		{"a stranger's report", nil, report, nil, domain.Unmanaged},
		{"a user of a device that left", gone, user, nil, domain.Unmanaged},
		{"a bootstrap token of a device that left", gone, set("b"), nil, domain.Unmanaged},
		{"a device that left fetches its bootstrap token", gone, get, nil, domain.Unmanaged},
		{"a device that left fetches declarations", gone, fetch, nil, domain.Unmanaged},
		{"a report of a device that left", gone, report, nil, domain.Unmanaged},
	})
}

func TestAwaitingConfigurationEndsWithDeviceConfigured(t *testing.T) {
	yes := true
	awaits := token
	awaits.AwaitingConfiguration = &yes
	configured := device.Order{UUID: "1", RequestType: "DeviceConfigured", Body: []byte("x")}
	given := events{seen, pinned, awaits, queued("", configured), device.CommandDelivered{UUID: "1", RequestType: "DeviceConfigured", Attempt: 1}}
	if !fold(given, morning).Awaiting {
		t.Error("it does not await configuration")
	}
	users := device.CommandAcknowledged{Channel: "u", UUID: "9", RequestType: "DeviceConfigured"}
	if !fold(append(given, users), morning).Awaiting {
		t.Error("a user's answer ended the device's waiting")
	}
	if fold(append(given, device.CommandAcknowledged{UUID: "1", RequestType: "DeviceConfigured"}), morning).Awaiting {
		t.Error("it still awaits configuration")
	}
}

func TestLastSeenIsTheDevicesOwnDoing(t *testing.T) {
	d := fold(enrolled, morning)
	ours := events{waiting("1"), device.PushAccepted{}, device.PushRefused{Reason: "x"}, device.PushRequested{}, cancelled("", "1", "x")}
	for _, e := range ours {
		if after := d.Evolve(e, noon); !after.LastSeen.Equal(morning) {
			t.Errorf("after %s the device was seen at %v", e.EventType(), after.LastSeen)
		}
	}
	its := events{seen, token, left, delivered("1", 1), acknowledged("1"), deferred("1", 1), unmatched("1", "x", "unknown"), device.Seen{}}
	for _, e := range its {
		if after := d.Evolve(e, noon); !after.LastSeen.Equal(noon) {
			t.Errorf("after %s the device was seen at %v", e.EventType(), after.LastSeen)
		}
	}
}
