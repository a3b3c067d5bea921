package device_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
)

type events = []domain.Event

// A decision is tested as: given what has happened (in the morning), when something is asked (at noon), then this
// follows, or a refusal.
type decision struct {
	name  string
	given events
	when  func(device.Device) (events, error)
	then  events
	no    domain.Reason // why it is refused; none if zero
}

var (
	morning = time.Date(2026, 1, 31, 8, 0, 0, 0, time.UTC)
	noon    = morning.Add(4 * time.Hour)
)

// What has happened to most devices here.
var (
	seen     = device.Authenticated{Generation: 1, Topic: "topic", Certificate: "A", OSVersion: "18.1", ProductName: "iPad13,18"}
	pinned   = device.IdentityPinned{Certificate: "A"}
	token    = device.TokenUpdated{Topic: "topic", Enrolled: true, Token: []byte("token"), PushMagic: "magic"}
	users    = device.TokenUpdated{Channel: "u", Topic: "topic", Enrolled: true, Token: []byte("hers"), PushMagic: "magic-u"}
	left     = device.CheckedOut{}
	enrolled = events{seen, pinned, token}
	both     = events{seen, pinned, token, users}
)

// then returns the events of all lists, in order.
func then(lists ...events) (all events) {
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

func one(e domain.Event) events { return events{e} }

// order returns an order for a command, which is its own body.
func order(uuid string) device.Order {
	return device.Order{UUID: uuid, RequestType: "ProfileList", Body: []byte(uuid)}
}

func queued(channel device.ChannelID, o device.Order) device.CommandQueued {
	return device.CommandQueued{
		Channel: channel, UUID: o.UUID, RequestType: o.RequestType, Priority: o.Priority, NotBefore: o.NotBefore,
		ExpiresAt: o.ExpiresAt, SupersedeKey: o.SupersedeKey, Reason: o.Reason, Key: o.Key, Parameters: o.Parameters, Body: o.Body, Renews: o.Renews,
	}
}

func waiting(uuid string) device.CommandQueued { return queued("", order(uuid)) }

func delivered(uuid string, attempt int) device.CommandDelivered {
	return device.CommandDelivered{UUID: uuid, RequestType: "ProfileList", Attempt: attempt}
}

// first is a delivery that begins a session.
func first(uuid string, attempt int) device.CommandDelivered {
	d := delivered(uuid, attempt)
	d.NewSession = true
	return d
}

func deferred(uuid string, times int) device.CommandDeferred {
	return device.CommandDeferred{UUID: uuid, RequestType: "ProfileList", Deferrals: times}
}

func acknowledged(uuid string) device.CommandAcknowledged {
	return device.CommandAcknowledged{UUID: uuid, RequestType: "ProfileList"}
}

func cancelled(channel device.ChannelID, uuid, reason string) device.CommandCancelled {
	return device.CommandCancelled{Channel: channel, UUID: uuid, RequestType: "ProfileList", Reason: reason}
}

func unmatched(uuid, status, because string) device.ResultUnmatched {
	return device.ResultUnmatched{UUID: uuid, Status: status, Because: because}
}

func fold(given events, at time.Time) (d device.Device) {
	for _, e := range given {
		d = d.Evolve(e, at)
	}
	return d
}

func check(t *testing.T, decisions []decision) {
	t.Helper()
	for _, tt := range decisions {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.when(fold(tt.given, morning))
			refusal, refused := domain.Refused(err)
			switch {
			case err != nil && !refused:
				t.Fatalf("it failed: %v", err)
			case refused != (tt.no != 0) || refused && refusal.Reason != tt.no:
				t.Fatalf("the answer is %v, %v, want the refusal %v", got, err, tt.no)
			case len(got)+len(tt.then) > 0 && !reflect.DeepEqual(got, tt.then):
				t.Errorf("what follows is\n%s\nwant\n%s", show(got), show(tt.then))
			}
		})
	}
}

func show(list events) string {
	s := ""
	for _, e := range list {
		text, _ := json.Marshal(e)
		s += "  " + e.EventType() + " " + string(text) + "\n"
	}
	return s
}
