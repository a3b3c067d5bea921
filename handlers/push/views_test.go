package push_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/handlers/push"
	"github.com/rollcall-mdm/rollcall/handlers/push/apnstest"
	"github.com/rollcall-mdm/rollcall/projections"
)

// views opens the real views of the house's log and runs them.
func (h *house) views() *projections.Views {
	h.t.Helper()
	v, err := projections.Open(h.t.Context(), filepath.Join(h.t.TempDir(), "views.db"), projections.Options{})
	if err != nil {
		h.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- v.Run(ctx, h.log, h.codec) }()
	h.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			h.t.Error(err)
		}
		if err := v.Close(); err != nil {
			h.t.Error(err)
		}
	})
	return v
}

func TestWithTheRealViewsDevicesAreToldAndCome(t *testing.T) {
	woken := make(chan string, 100)
	h := build(t, apnstest.Options{Delivered: func(_, _, magic string) { woken <- magic }})
	h.store(topic, year)
	ids := names("d", 20)
	h.enrol(topic, ids...)
	views := h.views()
	n := h.notifier()
	n.Views, n.Coalesce = views, 0
	h.run(n)
	h.order(ids...)
	for range ids {
		id := (<-woken)[len("magic of "):]
		var uuid string
		h.change(id, func(d device.Device, at time.Time) ([]domain.Event, error) {
			events, err := d.Connect(device.Report{Status: device.Idle}, at)
			if err == nil {
				uuid = events[len(events)-1].(device.CommandDelivered).UUID
			}
			return events, err
		})
		h.change(id, func(d device.Device, at time.Time) ([]domain.Event, error) {
			return d.Connect(device.Report{Status: device.Acknowledged, UUID: uuid}, at)
		})
	}
	eventually(t, "nothing is due", func() bool {
		head, err := h.log.Head(t.Context())
		if err != nil || views.Position() != head {
			return false
		}
		due, err := views.Due(t.Context(), time.Now().Add(time.Hour), 100)
		return err == nil && len(due) == 0
	})
	if a := h.apns.Stats().Accepted; a != len(ids) {
		t.Errorf("%d pushes for %d devices", a, len(ids))
	}
}

func TestViewsThatAreBuiltAnewWakeNobodyWhoHasCome(t *testing.T) {
	h := build(t, apnstest.Options{})
	h.store(topic, year)
	ids := names("d", 300)
	h.enrol(topic, ids...)
	h.order(ids...)
	each(ids, func(id string) {
		h.change(id, func(d device.Device, at time.Time) ([]domain.Event, error) {
			events, err := d.Connect(device.Report{Status: device.Idle}, at)
			if err != nil {
				return nil, err
			}
			after := d
			for _, e := range events {
				after = after.Evolve(e, at)
			}
			more, err := after.Connect(device.Report{Status: device.Acknowledged, UUID: events[0].(device.CommandDelivered).UUID}, at)
			return append(events, more...), err
		})
	})
	n := h.notifier()
	n.Views = h.views() // they begin at the beginning
	h.run(n)
	h.enrol(topic, "late")
	h.order("late")
	eventually(t, "the last is told", func() bool { return h.apns.Stats().Accepted > 0 })
	if p := h.apns.Pushes(); len(p) != 1 || p[0].Magic != "magic of late" {
		t.Errorf("%d pushes, the first for %s", len(p), p[0].Magic)
	}
}

var _ push.Views = (*projections.Views)(nil)
