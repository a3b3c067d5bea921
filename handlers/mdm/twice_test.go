package mdm

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/esdb"
	"github.com/rollcall-mdm/rollcall/eventstore/esdb/esdbtest"
	"github.com/rollcall-mdm/rollcall/eventstore/eventstoretest"
	"github.com/rollcall-mdm/rollcall/handlers"
)

// overESDB opens so many houses, each with a connection of its own, over one make-believe EventStoreDB and with the same keys.
func overESDB(t *testing.T, n int) (houses []*house) {
	t.Helper()
	store, err := esdbtest.Start(esdbtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	for range n {
		log, err := esdb.Open(t.Context(), store.URL(), esdb.Options{Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := log.Close(); err != nil {
				t.Error(err)
			}
		})
		houses = append(houses, furnish(t, log, func(h *house) {
			h.shared = true
			if len(houses) > 0 {
				h.ca, h.codec = houses[0].ca, houses[0].codec
				h.door.Identity.Authorities = h.ca.pool()
			}
		}))
	}
	return houses
}

// TestTwoServersGetTheSameMessageAtOnce plays a load balancer that sends each message to two servers at the same time, as when
// it believes that the first is gone. The message is in the log once.
func TestTwoServersGetTheSameMessageAtOnce(t *testing.T) {
	smooth := lead(t, 0, func(*eventstoretest.Faulty, moment) {}, nil)
	houses := overESDB(t, 2)
	for i := range 5 {
		id := houses[0].ca.issue(t, fmt.Sprint("U", i))
		g := &guest{houses[0], id, map[string]any{"UDID": fmt.Sprint("U", i)}}
		for _, m := range wholeLife {
			if m.before != nil {
				m.before(g)
			}
			var both sync.WaitGroup
			for _, h := range houses {
				both.Go(func() { (&guest{h, id, maps.Clone(g.keys)}).insist(m.path, m.keys) })
			}
			both.Wait()
		}
		wantSameLife(t, fmt.Sprint("device ", i), g.counts(), smooth)
	}
}

// TestAHundredCommandsAtOnceForOneDevice orders through two servers while the device polls at both. Each order is in the
// queue, or its orderer was told of a conflict; none is lost, and each is brought to an end once.
func TestAHundredCommandsAtOnceForOneDevice(t *testing.T) {
	const orders = 100
	houses := overESDB(t, 2)
	g := houses[0].enrolled("U1")
	var mu sync.Mutex
	taken := map[string]bool{}
	var all sync.WaitGroup
	for i := range orders {
		all.Go(func() {
			uuid := fmt.Sprint("C", i)
			err := (&guest{houses[i%2], g.id, g.keys}).tryOrder(uuid)
			if err != nil && (!errors.Is(err, eventstore.ErrConflict) || handlers.Status(err) != 503) {
				t.Errorf("%s: %v", uuid, err)
			}
			mu.Lock()
			defer mu.Unlock()
			taken[uuid] = err == nil
		})
	}
	for i := range 20 {
		all.Go(func() { (&guest{houses[i%2], g.id, g.keys}).insist("/mdm/connect", map[string]any{"Status": "Idle"}) })
	}
	all.Wait()
	for next := g.report("Idle", "", nil); next != ""; {
		next = g.report("Acknowledged", next, nil)
	}
	queued, ended := map[string]int{}, map[string]int{}
	for _, r := range g.history() {
		switch e := r.event.(type) {
		case device.CommandQueued:
			queued[e.UUID]++
		case device.CommandAcknowledged:
			ended[e.UUID]++
		}
	}
	kept := 0
	for uuid, ok := range taken {
		if ok {
			kept++
		}
		if want := map[bool]int{true: 1}[ok]; queued[uuid] != want || ended[uuid] != want {
			t.Errorf("%s was taken: %v; it was queued %d times and ended %d times", uuid, ok, queued[uuid], ended[uuid])
		}
	}
	t.Logf("%d of %d orders were taken, the others were told of a conflict", kept, orders)
}

func (g *guest) tryOrder(uuid string) error {
	body := xml(g.t, map[string]any{"CommandUUID": uuid, "Command": map[string]any{"RequestType": "ProfileList"}})
	_, err := g.door.Devices.Update(g.t.Context(), g.stream(), eventstore.Meta{}, func(d device.Device, at time.Time) ([]domain.Event, error) {
		return d.Order("", device.Order{UUID: uuid, RequestType: "ProfileList", Body: body}, false, at)
	})
	return err
}

// TestACommandQueuedAtAnotherServerIsHandedOut polls at a server that remembers the device as it was before.
func TestACommandQueuedAtAnotherServerIsHandedOut(t *testing.T) {
	houses := overESDB(t, 2)
	g := houses[0].enrolled("U1")
	g.report("Idle", "", nil)
	(&guest{houses[1], g.id, g.keys}).order("", "ProfileList", "C1")
	if next := g.report("Idle", "", nil); next != "C1" {
		t.Errorf("the device was handed %q", next)
	}
}
