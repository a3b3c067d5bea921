package device_test

import (
	"reflect"
	"testing"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
)

func TestErase(t *testing.T) {
	erase := func(reason string) func(device.Device) (events, error) {
		return func(d device.Device) (events, error) { return d.Erase("", reason) }
	}
	erased := device.SubjectErased{Reason: "asked for"}
	o, hers := order("1"), order("2")
	check(t, []decision{
		{"a device", enrolled, erase("asked for"), one(erased), 0},
		{"what waits is cancelled", then(both, events{queued("", o), queued("u", hers)}), erase("asked for"), events{
			device.CommandCancelled{UUID: "1", RequestType: "ProfileList", Reason: "its personal data was erased"},
			device.CommandCancelled{Channel: "u", UUID: "2", RequestType: "ProfileList", Reason: "its personal data was erased"}, erased,
		}, 0},
		{"one that has left", then(enrolled, one(left)), erase("asked for"), one(erased), 0},
		{"twice", then(enrolled, one(erased)), erase("asked for"), nil, 0},
		{"again, after it enrolled anew", then(enrolled, one(erased), enrolled), erase("asked for"), one(erased), 0},
		{"without a reason", enrolled, erase(""), nil, domain.Invalid},
		{"a device that nobody knows", nil, erase("asked for"), nil, domain.NotFound},
	})
}

func TestAnErasedDeviceIsNotManagedAndLeavesNoTrace(t *testing.T) {
	gone := then(both, one(device.SubjectErased{Reason: "asked for"}))
	certificate := device.Certificate{Fingerprint: "A"}
	check(t, []decision{
		{"it polls", gone, func(d device.Device) (events, error) { return d.Connect(device.Report{Status: device.Idle}, noon) }, nil, domain.Unmanaged},
		{"it answers", gone, func(d device.Device) (events, error) {
			return d.Connect(device.Report{Status: device.Acknowledged, UUID: "1", Result: []byte(`{"a":1}`)}, noon)
		}, nil, domain.Unmanaged},
		{"a user answers", gone, func(d device.Device) (events, error) {
			return d.Connect(device.Report{Channel: "u", Status: device.Acknowledged, UUID: "1"}, noon)
		}, nil, domain.Unmanaged},
		{"it renews its token", gone, func(d device.Device) (events, error) {
			return d.UpdateToken(device.TokenUpdate{Topic: "topic", Token: []byte("t"), PushMagic: "m", Certificate: certificate}, noon)
		}, nil, domain.Conflict},
		{"it checks out", gone, device.Device.CheckOut, nil, 0},
		{"it sends nonsense", gone, func(d device.Device) (events, error) { return d.KeepUnrecognised("", "x", "y", 1) }, nil, 0},
		{"somebody else speaks for it", gone, func(d device.Device) (events, error) { return d.RefuseIdentity("", "B", "x", "y") }, nil, 0},
		{"a push for it was under way", gone, func(d device.Device) (events, error) { return d.RecordPush(device.Push{APNsID: "a"}) }, nil, 0},
		{"it enrols anew", gone, func(d device.Device) (events, error) {
			return d.Authenticate(device.Authenticate{Topic: "topic", OSVersion: "18.1", ProductName: "iPad13,18", Certificate: certificate}, noon)
		}, one(device.Authenticated{Generation: 2, Topic: "topic", Certificate: "A", OSVersion: "18.1", ProductName: "iPad13,18"}), 0},
	})
}

// What is left of an erased device must not depend on whether its keys still opened anything when it was folded.
func TestAnErasedDeviceIsTheSameWithAndWithoutItsKeys(t *testing.T) {
	whole := then(both, events{
		device.BootstrapTokenEscrowed{BootstrapToken: []byte("b")}, queued("", order("1")), device.SubjectErased{Reason: "asked for"},
	})
	empty := events{
		seen, pinned, device.TokenUpdated{Topic: "topic", Enrolled: true}, device.TokenUpdated{Channel: "u", Topic: "topic", Enrolled: true},
		device.BootstrapTokenEscrowed{}, device.CommandQueued{UUID: "1", RequestType: "ProfileList"}, device.SubjectErased{Reason: "asked for"},
	}
	fold := func(history events) (d device.Device) {
		for _, e := range history {
			d = d.Evolve(e, morning)
		}
		return d
	}
	if a, b := fold(whole), fold(empty); !reflect.DeepEqual(a, b) || !a.Erased || a.Status != device.StatusCheckedOut {
		t.Errorf("with keys %+v\nwithout   %+v", a, b)
	}
}
