package device_test

import (
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain/device"
)

// What has happened was in the morning; it is noon, four hours later.
func TestGiveUp(t *testing.T) {
	after := func(silence, pushed time.Duration) func(device.Device) (events, error) {
		at := time.Time{}
		if pushed != 0 {
			at = morning.Add(pushed)
		}
		return func(d device.Device) (events, error) { return d.GiveUp(silence, at, noon) }
	}
	gone := one(device.PresumedUnmanaged{Reason: "it has not spoken since 2026-01-31, though Apple took a push for it"})
	ask := one(device.PushRequested{Because: "silent"})
	check(t, []decision{
		{"a push stayed without effect", enrolled, after(3*time.Hour, time.Hour), gone, 0},
		{"it has not been silent for so long", enrolled, after(5*time.Hour, time.Hour), nil, 0},
		{"no push was sent: one is asked for first", enrolled, after(3*time.Hour, 0), ask, 0},
		{"a push came just after its last word: its call may have left no trace", enrolled, after(3*time.Hour, time.Minute), ask, 0},
		{"a push was sent a moment ago", enrolled, after(3*time.Hour, 3*time.Hour+30*time.Minute), nil, 0},
		{"its token is dead: no push can tell", then(enrolled, one(device.PushRefused{Unregistered: true})), after(3*time.Hour, 0), nil, 0},
		{"it was given up before", then(enrolled, gone), after(3*time.Hour, time.Hour), nil, 0},
		{"it has left", then(enrolled, one(left)), after(3*time.Hour, time.Hour), nil, 0},
		{"it only authenticated", events{seen, pinned}, after(3*time.Hour, time.Hour), nil, 0},
		{"nobody knows it", nil, after(3*time.Hour, time.Hour), nil, 0},
	})
	back := fold(then(enrolled, gone), morning).Evolve(device.Seen{Polls: 1}, noon)
	if back.Status != device.StatusEnrolled {
		t.Errorf("a device that spoke again is %s", back.Status)
	}
}
