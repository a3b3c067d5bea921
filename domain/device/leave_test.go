package device_test

import (
	"testing"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
)

func TestLeaving(t *testing.T) {
	unenrol := func(reason string) func(device.Device) (events, error) {
		return func(d device.Device) (events, error) { return d.Unenrol(reason) }
	}
	stay := func(d device.Device) (events, error) { return d.Stay("no") }
	depart := func(status, uuid string) func(device.Device) (events, error) {
		return func(d device.Device) (events, error) {
			return d.Depart(device.Report{Status: status, UUID: uuid}, morning)
		}
	}
	ordered, told := device.UnenrolmentOrdered{Reason: "sold"}, device.TurnedAway{}
	push := device.PushRequested{Because: "to be told that it is to leave"}
	leaving := then(enrolled, one(ordered))
	cancelled := device.CommandCancelled{UUID: "1", RequestType: waiting("1").RequestType, Reason: "the device checked out"}
	check(t, []decision{
		{"a device", enrolled, unenrol("sold"), events{ordered, push}, 0},
		{"twice", leaving, unenrol("sold"), nil, 0},
		{"for no reason", enrolled, unenrol(" "), nil, domain.Invalid},
		{"one that nobody knows", nil, unenrol("sold"), nil, domain.NotFound},
		{"one that has left", then(enrolled, one(left)), unenrol("sold"), nil, domain.Conflict},
		{"it may stay", leaving, stay, one(device.UnenrolmentWithdrawn{Reason: "no"}), 0},
		{"one that was not to leave may stay", enrolled, stay, nil, 0},
		{"one that was told may not", then(leaving, events{told, left}), stay, nil, domain.Conflict},
		{"it is told when it polls, and handed nothing", then(leaving, one(waiting("1"))), depart("Idle", ""), events{told, cancelled, left}, 0},
		{"it is told again, and that is no news", then(leaving, events{told, left}), depart("Idle", ""), nil, 0},
		{"it comes in again, and nobody wants it to leave", then(leaving, events{told, left, again(2, "A"), token}), stay, nil, 0},
	})
}

func TestQuarantine(t *testing.T) {
	isolate := func(reason string) func(device.Device) (events, error) {
		return func(d device.Device) (events, error) { return d.Quarantine(reason) }
	}
	lift := func(d device.Device) (events, error) { return d.Lift("over") }
	in, held := device.Quarantined{Holds: true, Reason: "why"}, device.QueueHeld{Reason: "why"}
	check(t, []decision{
		{"a device", enrolled, isolate("why"), events{in, held}, 0},
		{"one whose queue is held already", then(enrolled, one(held)), isolate("why"), one(device.Quarantined{Reason: "why"}), 0},
		{"twice", then(enrolled, events{in, held}), isolate("why"), nil, 0},
		{"for no reason", enrolled, isolate(""), nil, domain.Invalid},
		{"one that nobody knows", nil, isolate("why"), nil, domain.NotFound},
		{"lifted", then(enrolled, events{in, held}), lift, events{device.QuarantineLifted{Reason: "over"}, device.QueueReleased{Reason: "over"}}, 0},
		{"lifted, and somebody had held the queue before", then(enrolled, events{held, device.Quarantined{Reason: "why"}}), lift, one(device.QuarantineLifted{Reason: "over"}), 0},
		{"its queue cannot be released while it lasts", then(enrolled, events{in, held}), func(d device.Device) (events, error) { return d.ReleaseQueue("", "why not") }, nil, domain.Conflict},
		{"lifted, and never in it", enrolled, lift, nil, 0},
		{"it lasts over a new enrolment", then(enrolled, events{in, held, again(2, "A"), token}), isolate("why"), nil, 0},
	})
}
