package projections

import (
	"github.com/rollcall-mdm/rollcall/domain"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain/device"
)

func TestAnIPadsStory(t *testing.T) {
	h := newHistory()
	h.add("d1", noon, authenticated(1), device.IdentityPinned{Certificate: "c0ffee", NotAfter: noon.AddDate(1, 0, 0), Serial: "01"})
	h.add("d1", noon.Add(time.Second), token(true))
	at := h.told("d1", "u1", "DeviceInformation", `{"QueryResponses":{"OSVersion":"17.2","IsSupervised":true,"BatteryLevel":0.5}}`, noon.Add(time.Minute))
	h.order("d1", noon.Add(2*time.Minute), queued("u2", "DeviceLock"))
	h.add("d1", noon.Add(2*time.Minute+2*time.Second), delivered("u2", "DeviceLock", 1, true))
	h.add("d1", noon.Add(2*time.Minute+3*time.Second), device.CommandDeferred{UUID: "u2", RequestType: "DeviceLock", Deferrals: 1})
	h.add("d1", noon.Add(20*time.Minute), delivered("u2", "DeviceLock", 2, true))
	h.add("d1", noon.Add(20*time.Minute+time.Second), answered("u2", "DeviceLock", `{}`))
	v := folded(t, h)
	for _, id := range []string{"d1", "UDID-1", "SERIAL1"} {
		d, found, err := v.Device(t.Context(), id, Now)
		if err != nil || !found || d.ID != "d1" || d.OSVersion != "17.2" || d.Status != device.StatusEnrolled ||
			d.Supervised == nil || !*d.Supervised || d.Platform != IPadOS || d.QueueLength != 0 ||
			!d.LastSeenAt.Equal(noon.Add(20*time.Minute+time.Second)) {
			t.Fatalf("device by %s: %+v, %v, %v", id, d, found, err)
		}
		before, _, err := v.Device(t.Context(), id, at-1)
		if err != nil || before.OSVersion != "17.1" || before.Supervised != nil || before.QueueLength != 1 {
			t.Fatalf("device before it told: %+v, %v", before, err)
		}
	}
	facts := must[[]Fact](t)(v.Facts(t.Context(), "d1", "device.", Now))
	if len(facts) != 10 {
		t.Errorf("facts: %+v", facts)
	}
	history := must[Listing[Fact]](t)(v.History(t.Context(), "d1", "device.OSVersion", Page{}))
	if len(history.Edges) != 2 || string(history.Edges[0].Node.Value) != `"17.1"` || history.Edges[0].Node.UntilPosition != at {
		t.Errorf("history: %+v", history)
	}
	c := must[[]Command](t)(v.Command(t.Context(), "u2"))
	if len(c) != 1 || c[0].State != Acknowledged || c[0].Deferrals != 1 || c[0].Deliveries != 2 || c[0].QueuedBy.Name != "Ada" {
		t.Fatalf("command: %+v", c)
	}
	attempts := must[[]Attempt](t)(v.Attempts(t.Context(), c[0]))
	if len(attempts) != 2 || attempts[0].Status != "NotNow" || attempts[1].Status != "Acknowledged" {
		t.Errorf("attempts: %+v", attempts)
	}
	env := h.events[c[0].Position-1]
	sentence := must[string](t)(v.Summarise(t.Context(), env, must[domain.Event](t)(inClear{}.Decode(env))))
	if want := "Ada locked iPad 7 (DeviceLock), delivered 2 s later, acknowledged after 1 NotNow"; sentence != want {
		t.Errorf("summary: %q, want %q", sentence, want)
	}
}
