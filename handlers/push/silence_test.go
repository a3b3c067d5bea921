package push_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/handlers/push"
	"github.com/rollcall-mdm/rollcall/handlers/push/apnstest"
	"github.com/rollcall-mdm/rollcall/projections"
)

// TestASilentDeviceIsPushedThenGivenUpAndComesBack lets weeks pass on a clock of its own.
func TestASilentDeviceIsPushedThenGivenUpAndComesBack(t *testing.T) {
	h := build(t, apnstest.Options{})
	clock := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	h.devices.Now = func() time.Time { return clock }
	h.enrol(topic, "silent", "awake")
	views := h.views()
	lookout := &push.Lookout{Views: views, Devices: h.devices, Log: slog.New(slog.DiscardHandler), Now: h.devices.Now}
	look := func(after time.Duration) (status device.Status, due int) {
		t.Helper()
		clock = clock.Add(after)
		caughtUp := func() bool {
			head, err := h.log.Head(t.Context())
			return err == nil && views.Position() == head
		}
		eventually(t, "the views know all", caughtUp)
		if err := lookout.Look(t.Context()); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the views know what came of it", caughtUp)
		list, err := views.Due(t.Context(), clock, 10)
		if err != nil {
			t.Fatal(err)
		}
		d, _, err := h.devices.Load(t.Context(), "silent")
		if err != nil {
			t.Fatal(err)
		}
		return d.Status, len(list)
	}
	speak := func(id string) {
		h.change(id, func(d device.Device, at time.Time) ([]domain.Event, error) {
			return d.Connect(device.Report{Status: device.Idle}, at)
		})
	}

	if status, due := look(29 * 24 * time.Hour); status != device.StatusEnrolled || due != 0 {
		t.Errorf("after 29 days: %s, %d pushes are due", status, due)
	}
	speak("awake")
	if status, due := look(25 * time.Hour); status != device.StatusEnrolled || due != 1 {
		t.Errorf("after 30 days: %s, %d pushes are due; one was to be asked for", status, due)
	}
	if _, due := look(time.Hour); due != 1 {
		t.Errorf("an hour later %d pushes are due: it was asked for again", due)
	}
	h.change("silent", func(d device.Device, _ time.Time) ([]domain.Event, error) {
		c, _ := d.Channel("")
		return d.RecordPush(device.Push{Token: c.Token, APNsID: "id", Status: 200})
	})
	if status, _ := look(time.Minute); status != device.StatusEnrolled {
		t.Errorf("a minute after the push: %s", status)
	}
	if status, _ := look(2 * time.Hour); status != device.StatusPresumedUnmanaged {
		t.Errorf("hours after the push: %s", status)
	}
	devices, err := views.Devices(t.Context(), projections.DeviceQuery{Filter: projections.DeviceFilter{Status: []device.Status{device.StatusPresumedUnmanaged}}, AsOf: projections.Now})
	if err != nil || len(devices.Nodes()) != 1 || devices.Nodes()[0].StatusReason != "it has not spoken since 2026-03-01, though Apple took a push for it" {
		t.Errorf("the list of those given up: %+v, %v", devices.Nodes(), err)
	}
	speak("silent")
	if status, due := look(time.Hour); status != device.StatusEnrolled || due != 0 {
		t.Errorf("after it spoke: %s, %d pushes are due", status, due)
	}
}
