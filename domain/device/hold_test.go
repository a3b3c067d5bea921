package device_test

import (
	"testing"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
)

func TestHold(t *testing.T) {
	holdQueue := func(channel device.ChannelID, reason string) func(device.Device) (events, error) {
		return func(d device.Device) (events, error) { return d.HoldQueue(channel, reason) }
	}
	release := func(channel device.ChannelID) func(device.Device) (events, error) {
		return func(d device.Device) (events, error) { return d.ReleaseQueue(channel, "over") }
	}
	holdOne := func(uuid, reason string) func(device.Device) (events, error) {
		return func(d device.Device) (events, error) { return d.HoldCommand(uuid, reason) }
	}
	releaseOne := func(d device.Device) (events, error) { return d.ReleaseCommand("1", "over") }
	held := device.QueueHeld{Reason: "why"}
	heldOne := device.CommandHeld{UUID: "1", RequestType: waiting("1").RequestType, Reason: "why"}
	passing := waiting("2")
	passing.PassesHold = true
	check(t, []decision{
		{"a device", enrolled, holdQueue("", "why"), one(held), 0},
		{"a device that has left", then(enrolled, one(left)), holdQueue("", "why"), one(held), 0},
		{"a device that nobody knows", nil, holdQueue("", "why"), nil, domain.NotFound},
		{"a user", both, holdQueue("u", "why"), one(device.QueueHeld{Channel: "u", Reason: "why"}), 0},
		{"a user whom nobody knows", enrolled, holdQueue("u", "why"), nil, domain.NotFound},
		{"for no reason", enrolled, holdQueue("", " "), nil, domain.Invalid},
		{"twice", then(enrolled, one(held)), holdQueue("", "why not"), nil, 0},
		{"released", then(enrolled, one(held)), release(""), one(device.QueueReleased{Reason: "over"}), 0},
		{"released, and never held", enrolled, release(""), nil, 0},
		{"the user's hold is not the device's", then(both, one(held)), release("u"), nil, 0},
		{"a command", then(enrolled, one(waiting("1"))), holdOne("1", "why"), one(heldOne), 0},
		{"a command for no reason", then(enrolled, one(waiting("1"))), holdOne("1", ""), nil, domain.Invalid},
		{"a command twice", then(enrolled, events{waiting("1"), heldOne}), holdOne("1", "why"), nil, 0},
		{"a command that has ended", then(enrolled, events{waiting("1"), cancelled("", "1", "x")}), holdOne("1", "why"), nil, domain.Conflict},
		{"a command that was never ordered", enrolled, holdOne("1", "why"), nil, domain.NotFound},
		{"a command released", then(enrolled, events{waiting("1"), heldOne}), releaseOne,
			one(device.CommandReleased{UUID: "1", RequestType: heldOne.RequestType, Reason: "over"}), 0},
		{"a command released that was not held", then(enrolled, one(waiting("1"))), releaseOne, nil, 0},
		{"nothing is delivered while it lasts", then(enrolled, events{waiting("1"), held}), saysOn("", "Idle", "", morning), nil, 0},
		{"nor again what was handed out", then(enrolled, events{waiting("1"), device.CommandDelivered{UUID: "1", Attempt: 1}, held}), saysOn("", "Idle", "", morning), nil, 0},
		{"nor to its users", then(both, events{queued("u", order("1")), held}), saysOn("u", "Idle", "", morning), nil, 0},
		{"but what passes", then(enrolled, events{waiting("1"), passing, held}), saysOn("", "Idle", "", morning),
			one(device.CommandDelivered{UUID: "2", RequestType: passing.RequestType, Attempt: 1, NewSession: true}), 0},
		{"unless it is held itself", then(enrolled, events{passing, held, device.CommandHeld{UUID: "2"}}), saysOn("", "Idle", "", morning), nil, 0},
		{"after a new enrolment too", then(enrolled, events{held, again(2, "A"), token, waiting("1")}), saysOn("", "Idle", "", morning), nil, 0},
	})
}
