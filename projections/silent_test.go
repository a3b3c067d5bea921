package projections

import (
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain/device"
)

func TestSilentDevices(t *testing.T) {
	h := newHistory()
	for _, d := range []string{"quiet", "pushed", "asked", "dead", "left", "given up"} {
		h.add(d, noon, authenticated(1), token(true))
	}
	h.add("awake", noon.Add(48*time.Hour), authenticated(1), token(true))
	h.add("pushed", noon.Add(time.Hour), device.PushAccepted{})
	h.add("asked", noon.Add(time.Hour), device.PushRequested{Because: "silent"})
	h.add("dead", noon.Add(time.Hour), device.PushRefused{Reason: "BadDeviceToken", Status: 400, Final: true})
	h.add("left", noon.Add(time.Hour), device.CheckedOut{})
	h.order("given up", noon.Add(time.Hour), device.PresumedUnmanaged{Reason: "silence"})
	v := folded(t, h)
	list := must[[]Silent](t)(v.SilentDevices(t.Context(), noon.Add(24*time.Hour), 10))
	pushed := map[string]time.Time{}
	for _, one := range list {
		pushed[one.Device] = one.Pushed
		if !one.LastSeen.Equal(noon) {
			t.Errorf("%s was seen at %s", one.Device, one.LastSeen)
		}
	}
	if len(list) != 2 || !pushed["quiet"].IsZero() || !pushed["pushed"].Equal(noon.Add(time.Hour)) {
		t.Errorf("silent: %+v", list)
	}
	if list = must[[]Silent](t)(v.SilentDevices(t.Context(), noon.Add(24*time.Hour), 1)); len(list) != 1 {
		t.Errorf("at most one: %+v", list)
	}
}
