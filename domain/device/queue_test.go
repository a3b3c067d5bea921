package device_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
)

func orders(channel device.ChannelID, o device.Order) func(device.Device) (events, error) {
	return func(d device.Device) (events, error) { return d.Order(channel, o, false, noon) }
}

func TestOrder(t *testing.T) {
	change := func(f func(*device.Order)) device.Order { o := order("1"); f(&o); return o }
	full := device.Order{
		UUID: "1", RequestType: "InstallProfile", Body: []byte("<plist/>"), Parameters: json.RawMessage(`{"Payload":"…"}`), Priority: 3,
		NotBefore: noon.Add(time.Hour), ExpiresAt: noon.Add(2 * time.Hour), SupersedeKey: "s", Reason: "because", Key: "k",
	}
	keyed := change(func(o *device.Order) { o.Key = "k" })
	keyedAgain := change(func(o *device.Order) { o.UUID, o.Key = "2", "k" })
	expiring := func(at time.Time) device.Order { return change(func(o *device.Order) { o.ExpiresAt = at }) }
	replaced := again(2, "A")
	check(t, []decision{
		{"a command", enrolled, orders("", order("1")), one(waiting("1")), 0},
		{"a command with all that can be said of it", enrolled, orders("", full), one(queued("", full)), 0},
		{"without a push", enrolled, func(d device.Device) (events, error) { return d.Order("", order("1"), true, noon) },
			one(func() device.CommandQueued { e := waiting("1"); e.NoPush = true; return e }()), 0},
		{"for a user", both, orders("u", order("1")), one(queued("u", order("1"))), 0},
		{"for a device that was given up", then(enrolled, one(device.PresumedUnmanaged{})), orders("", order("1")), one(waiting("1")), 0},
		{"for a device that nobody knows", nil, orders("", order("1")), nil, domain.NotFound},
		{"for a device that only authenticated", events{seen, pinned}, orders("", order("1")), nil, domain.Conflict},
		{"for a device that left", then(enrolled, one(left)), orders("", order("1")), nil, domain.Conflict},
		{"for a user whom nobody knows", enrolled, orders("u", order("1")), nil, domain.NotFound},
		{"for a user who was not seen since the device enrolled again", then(both, events{replaced, token}), orders("u", order("1")), nil, domain.NotFound},
		{"without an id", enrolled, orders("", change(func(o *device.Order) { o.UUID = "" })), nil, domain.Invalid},
		{"without a request type", enrolled, orders("", change(func(o *device.Order) { o.RequestType = "" })), nil, domain.Invalid},
		{"without a body", enrolled, orders("", change(func(o *device.Order) { o.Body = nil })), nil, domain.Invalid},
		{"an id that waits", then(enrolled, one(waiting("1"))), orders("", order("1")), nil, domain.Conflict},
		{"an id that waits in another channel", then(both, one(queued("u", order("1")))), orders("", order("1")), nil, domain.Conflict},
		{"an id that ended", then(enrolled, events{waiting("1"), cancelled("", "1", "x")}), orders("", order("1")), nil, domain.Conflict},
		{"expired", enrolled, orders("", expiring(noon)), nil, domain.Invalid},
		{"to expire soon", enrolled, orders("", expiring(noon.Add(1))), one(queued("", expiring(noon.Add(1)))), 0},
		{"to expire before it may be delivered", enrolled, orders("", change(func(o *device.Order) { o.NotBefore, o.ExpiresAt = noon.Add(2), noon.Add(2) })), nil, domain.Invalid},
		{"the same request twice is one command", then(enrolled, one(queued("", keyed))), orders("", keyedAgain), nil, 0},
		{"the same request after its command ended", then(enrolled, events{queued("", keyed), cancelled("", "1", "x")}), orders("", keyedAgain), nil, 0},
		{"the same request after the device left", then(enrolled, events{queued("", keyed), cancelled("", "1", "x"), left}), orders("", keyedAgain), nil, 0},
	})
}

func TestOneThousandOrdersAreRemembered(t *testing.T) {
	d := fold(enrolled, morning)
	for i := range 1000 {
		o := order(fmt.Sprint(i))
		o.Key = fmt.Sprint("key ", i)
		d = d.Evolve(queued("", o), morning)
	}
	if uuid, known := d.Keyed("key 999"); !known || uuid != "999" {
		t.Errorf("the newest key stands for %q, %v", uuid, known)
	}
	if _, known := d.Keyed("key 0"); known || len(d.Keys) > 256 {
		t.Errorf("%d keys are remembered", len(d.Keys))
	}
	if _, known := d.Keyed(""); known {
		t.Error("no key stands for a command")
	}
	for i := range 1000 {
		d = d.Evolve(cancelled("", fmt.Sprint(i), "x"), morning)
	}
	if c, _ := d.Channel(""); len(c.Queue) != 0 || len(d.Settled) > 128 {
		t.Errorf("%d commands wait, %d that ended are remembered", len(c.Queue), len(d.Settled))
	}
}

func TestAFullQueue(t *testing.T) {
	if _, err := filled(9_999).Order("", order("x"), false, noon); err != nil {
		t.Errorf("the 10,000th command: %v", err)
	}
	_, err := filled(10_000).Order("", order("x"), false, noon)
	if r, ok := domain.Refused(err); !ok || r.Reason != domain.Conflict || r.Hint == "" {
		t.Errorf("the 10,001st command: %v", err)
	}
}

// filled returns a device for which n commands wait.
func filled(n int) device.Device {
	d := fold(enrolled, morning)
	own := d.Channels[0]
	for i := range n {
		own.Queue = append(own.Queue, &device.Item{Order: order(fmt.Sprint(i))})
	}
	d.Channels = []device.Channel{own}
	return d
}

func TestSupersede(t *testing.T) {
	keyed := func(uuid, key string) device.Order { o := order(uuid); o.SupersedeKey = key; return o }
	two := then(enrolled, events{queued("", keyed("1", "wifi")), queued("", keyed("2", "wifi")), queued("", keyed("3", "vpn")), waiting("4")})
	superseded := func(uuid string) device.CommandSuperseded {
		return device.CommandSuperseded{UUID: uuid, RequestType: "ProfileList", By: "9"}
	}
	new9 := queued("", keyed("9", "wifi"))
	check(t, []decision{
		{"the later takes the place of all with its key", two, orders("", keyed("9", "wifi")), events{new9, superseded("1"), superseded("2")}, 0},
		{"without a key it takes nobody's place", two, orders("", order("9")), one(waiting("9")), 0},
		{"what is out stays", then(two, one(first("1", 1))), orders("", keyed("9", "wifi")), events{new9, superseded("2")}, 0},
		{"what is out stays, though another was handed out since", then(two, events{first("1", 1), first("3", 1)}), orders("", keyed("9", "wifi")), events{new9, superseded("2")}, 0},
		{"what was put off goes", then(two, events{first("1", 1), deferred("1", 1)}), orders("", keyed("9", "wifi")), events{new9, superseded("1"), superseded("2")}, 0},
		{"another channel's stays", then(both, one(queued("u", keyed("1", "wifi")))), orders("", keyed("9", "wifi")), one(new9), 0},
		{"a late answer to what was superseded", then(two, events{new9, superseded("1"), superseded("2")}), says("Acknowledged", "1"),
			events{unmatched("1", "Acknowledged", "settled"), delivered("3", 1)}, 0},
	})
}

func TestCancel(t *testing.T) {
	cancel := func(uuid string) func(device.Device) (events, error) {
		return func(d device.Device) (events, error) { return d.Cancel(uuid, "no") }
	}
	everything := func(d device.Device) (events, error) { return d.ClearQueue("no") }
	check(t, []decision{
		{"what waits", then(enrolled, one(waiting("1"))), cancel("1"), one(cancelled("", "1", "no")), 0},
		{"what is out", then(enrolled, events{waiting("1"), first("1", 1)}), cancel("1"), one(cancelled("", "1", "no")), 0},
		{"a user's", then(both, one(queued("u", order("1")))), cancel("1"), one(cancelled("u", "1", "no")), 0},
		{"what ended", then(enrolled, events{waiting("1"), cancelled("", "1", "x")}), cancel("1"), nil, domain.Conflict},
		{"what never was", enrolled, cancel("1"), nil, domain.NotFound},
		{"everything", then(both, events{waiting("1"), queued("u", order("2"))}), everything, events{cancelled("", "1", "no"), cancelled("u", "2", "no")}, 0},
		{"everything, which is nothing", enrolled, everything, nil, 0},
		{"everything of a device that nobody knows", nil, everything, nil, domain.NotFound},
	})
}

func TestSizeGrowsWithWhatIsKept(t *testing.T) {
	if one, ten := device.Size(filled(1)), device.Size(filled(10)); one <= 0 || ten <= one {
		t.Errorf("with one command %d bytes, with ten %d", one, ten)
	}
}
