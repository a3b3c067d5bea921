package projections

import (
	"context"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
)

// Whatever happens: every command that waits has words for it, no push is due for what is held alone, and what the
// aggregate lets pass is what the view of pushes takes to be offered.
func TestHoldsAndPushesAgreeWithTheDevice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := lived(t, 40)
		v, end := fresh(t)
		defer end()
		foldHistory(t, v, w.history, 7)
		for id, d := range w.devices {
			for _, c := range d.Channels {
				w.agree(t, v, id, d, c)
			}
		}
	})
}

func (w *world) agree(t *rapid.T, v *Views, id string, d device.Device, c device.Channel) {
	ctx, waiting, offered := context.Background(), map[string]bool{}, false
	for _, item := range c.Queue {
		waiting[item.UUID] = true
		offered = offered || !w.held(d, c.ID, item)
	}
	queue, err := v.Queue(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range queue {
		words, err := v.WaitingBecause(ctx, one, w.clock)
		if err != nil || words == "" {
			t.Fatalf("%s of %s waits, and nobody says why (%v)", one.UUID, id, err)
		}
		if one.Channel == c.ID && !waiting[one.UUID] {
			t.Fatalf("%s of %s waits in the views alone", one.UUID, id)
		}
	}
	due, err := v.Due(ctx, w.clock.Add(1000*time.Hour), 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range due {
		if one.Device == id && one.Channel == c.ID && len(c.Queue) > 0 && !offered && one.Reason != "asked" {
			t.Fatalf("%s %q is to be pushed (%s), and all that waits is held", id, c.ID, one.Reason)
		}
	}
}

// held asks the device itself: a command that is held is not handed out, even if it is all alone.
func (w *world) held(d device.Device, channel device.ChannelID, item *device.Item) bool {
	alone := *item
	alone.NotBefore, alone.ExpiresAt, alone.Judged = time.Time{}, time.Time{}, d.Revision
	d.Status = device.StatusEnrolled
	d.Channels = []device.Channel{{ID: channel, Enrolled: true, Queue: []*device.Item{&alone}}}
	events, err := d.Connect(device.Report{Channel: channel, Status: device.Idle}, w.clock)
	for _, e := range events {
		if _, delivered := e.(device.CommandDelivered); delivered {
			return false
		}
	}
	return err == nil
}

// Who held what, and why, is known as of any moment.
func TestHoldsAsOfAMoment(t *testing.T) {
	h, v := newHistory(), open(t)
	h.add("d1", noon, authenticated(1), token(true))
	h.order("d1", noon, queued("1", "A"), device.QueueHeld{Reason: "ticket 1"}, device.CommandHeld{UUID: "1", Reason: "ticket 2"})
	h.order("d1", noon.Add(time.Hour), device.QueueReleased{}, device.CommandReleased{UUID: "1"}, device.QueueHeld{Reason: "ticket 3"})
	follow(t, v, h)
	one := must[[]Command](t)(v.Command(t.Context(), "1"))[0]
	var reasons []string
	for at := one.Position; at <= v.Position(); at++ {
		queue, _, err := v.QueueHold(t.Context(), "d1", "", at)
		if err != nil {
			t.Fatal(err)
		}
		own, _, err := v.CommandHold(t.Context(), one, at)
		if err != nil {
			t.Fatal(err)
		}
		reasons = append(reasons, queue.Reason+"/"+own.Reason)
	}
	want := []string{"/", "ticket 1/", "ticket 1/ticket 2", "/ticket 2", "/", "ticket 3/"}
	if !reflect.DeepEqual(reasons, want) {
		t.Errorf("held: %q, want %q", reasons, want)
	}
	h.order("d1", noon.Add(2*time.Hour), []domain.Event{device.SubjectErased{Reason: "sold"}}...)
	follow(t, v, h)
	if hold, held, err := v.QueueHold(t.Context(), "d1", "", Now); held || err != nil {
		t.Errorf("an erased device is held: %+v, %v", hold, err)
	}
	if hold, _, _ := v.QueueHold(t.Context(), "d1", "", v.Position()-1); hold.Reason != "" {
		t.Errorf("the reason outlived the erasure: %q", hold.Reason)
	}
}
