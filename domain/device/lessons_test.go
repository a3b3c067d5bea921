package device_test

import (
	"testing"

	"github.com/rollcall-mdm/rollcall/domain/device"
)

// typed is an order of a type for a channel, and deliveredTyped and deferredTyped what becomes of it.
func typed(channel device.ChannelID, uuid, requestType string) device.CommandQueued {
	return queued(channel, device.Order{UUID: uuid, RequestType: requestType, Body: []byte(uuid)})
}

func given(c device.CommandQueued, attempt int, newSession bool) device.CommandDelivered {
	return device.CommandDelivered{Channel: c.Channel, UUID: c.UUID, RequestType: c.RequestType, Attempt: attempt, NewSession: newSession}
}

func putOff(c device.CommandQueued, times int) device.CommandDeferred {
	return device.CommandDeferred{Channel: c.Channel, UUID: c.UUID, RequestType: c.RequestType, Deferrals: times}
}

// Lesson 15: a device that has returned to service answers NotNow to whatever follows DeviceConfigured until it has made
// its snapshot, and then comes by itself: it has missed nothing, and nothing was given up.
func TestADeviceThatReturnedToServiceDefersUntilItIsDone(t *testing.T) {
	configured, list := typed("", "c", "DeviceConfigured"), typed("", "l", "InstalledApplicationList")
	back := then(enrolled, events{device.ReturnedToService{Enabled: true, AppsPreserved: true}, configured, list, given(configured, 1, true)})
	busy := then(back, events{device.CommandAcknowledged{UUID: "c", RequestType: "DeviceConfigured"}, given(list, 1, false)})
	for n := 1; n <= 20; n++ {
		check(t, []decision{
			{"it is at its snapshot", busy, says("NotNow", "l"), one(putOff(list, n)), 0},
			{"it comes by itself", then(busy, one(putOff(list, n))), says("Idle", ""), one(given(list, n+1, true)), 0},
		})
		busy = then(busy, events{putOff(list, n), given(list, n+1, true)})
	}
	check(t, []decision{{"it is done", busy, says("Acknowledged", "l"), one(device.CommandAcknowledged{UUID: "l", RequestType: "InstalledApplicationList"}), 0}})
}

// Lesson 45: some commands are never answered NotNow. A lock goes to a device that defers all else, before all else, and a
// device that defers it against Apple's word is given it again like any other.
func TestALockGoesToADeviceThatDefersAllElse(t *testing.T) {
	list, apps, lock := typed("", "1", "ProfileList"), typed("", "2", "InstalledApplicationList"), typed("", "lock", "DeviceLock")
	asleep := then(enrolled, events{list, apps, given(list, 1, true), putOff(list, 1), given(apps, 1, false), putOff(apps, 1), lock})
	check(t, []decision{
		{"in the next session it goes first", asleep, says("Idle", ""), one(given(lock, 1, true)), 0},
		{"in the session in which it was ordered it goes too", then(enrolled, events{list, lock, given(list, 1, true)}), says("NotNow", "1"),
			events{putOff(list, 1), given(lock, 1, false)}, 0},
		{"deferred all the same, it is not lost", then(asleep, one(given(lock, 1, true))), says("NotNow", "lock"), events{putOff(lock, 1), given(list, 2, false)}, 0},
		{"and comes again", then(asleep, events{given(lock, 1, true), putOff(lock, 1), device.CommandAcknowledged{UUID: "1"}, device.CommandAcknowledged{UUID: "2"}}),
			says("Idle", ""), one(given(lock, 2, true)), 0},
	})
}

// Lesson 46: a profile for a user is answered NotNow while his keychain is locked. That holds up neither the device nor
// another user, and he is given it when he comes again.
func TestAProfileForAUserWaitsForHisKeychain(t *testing.T) {
	his, hers, its := typed("u", "1", "InstallProfile"), typed("v", "2", "InstallProfile"), typed("", "3", "ProfileList")
	another := users
	another.Channel = "v"
	locked := then(both, events{another, his, hers, its, given(his, 1, true), putOff(his, 1)})
	check(t, []decision{
		{"the device goes on", locked, saysOn("", "Idle", "", noon), one(given(its, 1, true)), 0},
		{"so does another user", locked, saysOn("v", "Idle", "", noon), one(given(hers, 1, true)), 0},
		{"his own is given again when he comes", locked, saysOn("u", "Idle", "", noon), one(given(his, 2, true)), 0},
	})
}
