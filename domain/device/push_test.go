package device_test

import (
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
)

func TestRequestPush(t *testing.T) {
	wake := func(channel device.ChannelID) func(device.Device) (events, error) {
		return func(d device.Device) (events, error) { return d.RequestPush(channel, "asked") }
	}
	forgotten := device.TokenUpdated{Enrolled: true} // as it comes from the log when its keys were destroyed
	check(t, []decision{
		{"of a device", enrolled, wake(""), one(device.PushRequested{Because: "asked"}), 0},
		{"of a user", both, wake("u"), one(device.PushRequested{Channel: "u", Because: "asked"}), 0},
		{"of a device that was given up", then(enrolled, one(device.PresumedUnmanaged{})), wake(""), one(device.PushRequested{Because: "asked"}), 0},
		{"of a device that nobody knows", nil, wake(""), nil, domain.NotFound},
		{"of a user whom nobody knows", enrolled, wake("u"), nil, domain.NotFound},
		{"of a device that only authenticated", events{seen, pinned}, wake(""), nil, domain.Conflict},
		{"of a device that left", then(enrolled, one(left)), wake(""), nil, domain.Conflict},
		{"of a device whose token is no longer known", events{seen, pinned, forgotten}, wake(""), nil, domain.Conflict},
	})
}

func TestRecordPush(t *testing.T) {
	record := func(p device.Push) func(device.Device) (events, error) {
		return func(d device.Device) (events, error) { return d.RecordPush(p) }
	}
	now := []byte("token")
	dead := device.Push{Token: now, Status: 410, Reason: "Unregistered", Final: true, Unregistered: true}
	with := func(f func(*device.Push)) device.Push { p := dead; f(&p); return p }
	refused := device.PushRefused{Status: 410, Reason: "Unregistered", Final: true, Unregistered: true}
	given := events{refused, device.PresumedUnmanaged{Reason: "Apple says that its push token is no longer registered (Unregistered)"}}
	usersOwn := device.PushRefused{Channel: "u", Status: 410, Reason: "Unregistered", Final: true, Unregistered: true}
	harmless := device.PushRefused{Status: 410, Reason: "Unregistered"}
	check(t, []decision{
		{"taken", enrolled, record(device.Push{Token: now, APNsID: "id", Attempt: 2}), one(device.PushAccepted{APNsID: "id", Attempt: 2}), 0},
		{"refused for now", enrolled, record(device.Push{Token: now, Status: 503, Reason: "ServiceUnavailable"}), one(device.PushRefused{Status: 503, Reason: "ServiceUnavailable"}), 0},
		{"the newest token is dead", enrolled, record(dead), given, 0},
		{"it died after it was given", enrolled, record(with(func(p *device.Push) { p.DeadSince = morning.Add(time.Second) })), given, 0},
		{"the device was given up before", then(enrolled, one(device.PresumedUnmanaged{})), record(dead), one(refused), 0},
		{"a user's token is dead: he alone is", both, record(with(func(p *device.Push) { p.Channel, p.Token = "u", []byte("hers") })), one(usersOwn), 0},
		{"it died before it was given: it was given anew", enrolled, record(with(func(p *device.Push) { p.DeadSince = morning.Add(-time.Second) })), one(harmless), 0},
		{"an older token is dead", enrolled, record(with(func(p *device.Push) { p.Token = []byte("old") })), one(harmless), 0},
		{"a device's token on a user's channel", both, record(with(func(p *device.Push) { p.Channel = "u" })),
			one(device.PushRefused{Channel: "u", Status: 410, Reason: "Unregistered"}), 0},
		{"of a user whom nobody knows", enrolled, record(device.Push{Channel: "u"}), nil, 0},
		{"of a device that nobody knows", nil, record(dead), nil, 0},
	})
}

func TestADeadTokenIsMarkedUntilTheNext(t *testing.T) {
	d := fold(then(enrolled, one(device.PushRefused{Unregistered: true})), morning)
	if c, _ := d.Channel(""); !c.Unmanaged.Equal(morning) {
		t.Errorf("the channel is %+v", c)
	}
	if c, _ := d.Evolve(token, noon).Channel(""); !c.Unmanaged.IsZero() || !c.Since.Equal(noon) {
		t.Errorf("after a new token the channel is %+v", c)
	}
	if c, _ := fold(then(enrolled, one(device.PushRefused{Final: true})), morning).Channel(""); !c.Unmanaged.IsZero() {
		t.Error("a push was refused for another reason, and the token was marked")
	}
}
