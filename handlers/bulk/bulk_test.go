package bulk_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	bulkorder "github.com/rollcall-mdm/rollcall/domain/bulk"
	"github.com/rollcall-mdm/rollcall/domain/catalog"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/domain/group"
	"github.com/rollcall-mdm/rollcall/domain/operator"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/embedded"
	"github.com/rollcall-mdm/rollcall/eventstore/eventstoretest"
	"github.com/rollcall-mdm/rollcall/eventstore/seal"
	"github.com/rollcall-mdm/rollcall/handlers"
	"github.com/rollcall-mdm/rollcall/handlers/bulk"
	"github.com/rollcall-mdm/rollcall/projections"
)

var ada = handlers.Caller{ID: "t1", Name: "Ada", Role: operator.Operator}

// A house is what an order needs: a log, views that follow it, and devices that belong to a group.
type house struct {
	t       testing.TB
	log     eventstore.Log
	codec   *seal.Codec[domain.Event]
	views   *projections.Views
	devices *eventstore.Repository[device.Device, domain.Event]
	orders  *eventstore.Repository[bulkorder.Order, domain.Event]
	sends   *handlers.BulkOrders
	ids     []string
}

// newHouse opens a house whose group has so many devices, of which every tenth has only authenticated.
func newHouse(t testing.TB, n int, wrap func(eventstore.Log) eventstore.Log) *house {
	t.Helper()
	dir := t.TempDir()
	log, err := embedded.Open(t.Context(), filepath.Join(dir, "log.db"), embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	views, err := projections.Open(t.Context(), filepath.Join(dir, "views.db"), projections.Options{Pause: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	codec := &seal.Codec[domain.Event]{Types: catalog.Events(), Keys: &seal.MemoryKeyring{}}
	h := &house{t: t, log: wrap(log), codec: codec, views: views}
	h.open()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- views.Run(ctx, log, codec.Views()) }()
	t.Cleanup(func() {
		stop()
		<-ended
		_, _ = views.Close(), log.Close()
	})
	h.enrol(codec, n)
	return h
}

func (h *house) enrol(codec *seal.Codec[domain.Event], n int) {
	h.t.Helper()
	for i := range n {
		id := fmt.Sprintf("d%05d", i)
		events := []domain.Event{device.Authenticated{Generation: 1, Topic: "t", ProductName: "Mac14,2", OSVersion: "15.1", Identity: device.Identity{SerialNumber: "S" + id}}}
		if i%10 != 9 {
			events = append(events, device.TokenUpdated{Topic: "t", Enrolled: true, Token: []byte("t"), PushMagic: "m"})
		}
		h.update(h.devices.Update(h.t.Context(), id, eventstore.Meta{Actor: eventstore.Actor{Kind: eventstore.ByDevice, ID: id}},
			func(device.Device, time.Time) ([]domain.Event, error) { return events, nil }))
		h.ids = append(h.ids, id)
	}
	groups := &eventstore.Repository[group.Group, domain.Event]{Log: h.log, Codec: codec, Kind: group.Kind, Fold: group.Group.Evolve}
	made, err := groups.Update(h.t.Context(), "labs", eventstore.Meta{}, func(g group.Group, _ time.Time) ([]domain.Event, error) {
		events := []domain.Event{group.Created{Name: "Labs"}}
		more, err := g.Evolve(events[0], time.Time{}).Add(h.ids)
		return append(events, more...), err
	})
	if err == nil {
		err = h.views.Wait(h.t.Context(), made.Position)
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) update(_ eventstore.Change[device.Device, domain.Event], err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// worker returns one that remembers nothing of those before.
func (h *house) worker() *bulk.Worker {
	h.open()
	return &bulk.Worker{Log: h.log, Views: h.views, Orders: h.orders, Devices: h.devices, Again: time.Millisecond, Logger: slog.New(slog.DiscardHandler)}
}

// open makes the repositories anew.
func (h *house) open() {
	h.devices = &eventstore.Repository[device.Device, domain.Event]{Log: h.log, Codec: h.codec, Kind: device.Kind, Fold: device.Device.Evolve, Size: device.Size}
	h.orders = &eventstore.Repository[bulkorder.Order, domain.Event]{Log: h.log, Codec: h.codec, Kind: bulkorder.Kind, Fold: bulkorder.Order.Evolve}
	h.sends = &handlers.BulkOrders{Orders: h.orders, Views: h.views}
}

func (h *house) send(key string) string {
	h.t.Helper()
	o, err := handlers.TypedOrder("ProfileList", map[string]any{"ManagedOnly": true}, "")
	if err != nil {
		h.t.Fatal(err)
	}
	o.Key, o.Reason = key, "ticket 1"
	id, _, err := h.sends.Send(h.t.Context(), ada, "labs", o, false)
	if err != nil {
		h.t.Fatal(err)
	}
	return id
}

// seen waits until the views show all that the log has.
func (h *house) seen() {
	h.t.Helper()
	head, err := h.log.Head(h.t.Context())
	if err == nil {
		err = h.views.Wait(h.t.Context(), head)
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

// order returns an order as the log has it.
func (h *house) order(id string) bulkorder.Order {
	h.t.Helper()
	o, _, err := h.orders.Load(h.t.Context(), id)
	if err != nil {
		h.t.Fatal(err)
	}
	return o
}

// passing returns a context that ends when the views have seen so many more events, in the middle of whatever that is, or
// the order has reached all.
func (h *house) passing(id string, more eventstore.Position) context.Context {
	ctx, cancel := context.WithCancel(h.t.Context())
	last := h.views.Position() + more
	go func() {
		defer cancel()
		for {
			position := h.views.Position()
			todo, err := h.views.BulkToDo(ctx)
			if err != nil || position >= last || !slices.Contains(todo, id) {
				return
			}
			select {
			case <-ctx.Done():
				return
			case <-h.views.Advanced(position):
			}
		}
	}()
	return ctx
}

// until runs workers, each for as long as its turn says, until the order has reached all.
func (h *house) until(id string, turn func(int) context.Context) {
	h.t.Helper()
	for n := 0; len(h.order(id).Next(1)) > 0; n++ {
		w := h.worker()
		w.Step = 20
		if err := w.Run(turn(n)); err != nil {
			h.t.Fatal(err)
		}
	}
}

// Workers that are ended again and again, over a log that conflicts for no reason: every device gets the order once, and
// who refused it is kept once.
func TestAnOrderThatIsBrokenOffReachesEveryDeviceOnce(t *testing.T) {
	flaky := &eventstoretest.Flaky{Seed: 1}
	h := newHouse(t, 200, func(log eventstore.Log) eventstore.Log { flaky.Log = log; return flaky })
	id := h.send("once")
	if again := h.send("once"); again != id {
		t.Errorf("the same key gave %s, and then %s", id, again)
	}
	h.seen()
	flaky.Conflicts, flaky.Losses, flaky.Failures = 5, 40, 40
	h.until(id, func(n int) context.Context { return h.passing(id, eventstore.Position(7+n%13)) })
	h.seen()
	queued, refused := map[string]int{}, map[string]int{}
	for env, err := range h.log.ReadAll(t.Context(), 0) {
		switch {
		case err != nil:
			t.Fatal(err)
		case env.Type == (device.CommandQueued{}).EventType():
			queued[env.Stream.ID]++
			if env.Actor.Name != "Ada" || env.Causation.IsZero() || len(env.Secret) > 0 {
				t.Errorf("%s was ordered by %+v because of %q, with a body of %d bytes", env.Stream, env.Actor, env.Causation, len(env.Secret))
			}
		}
	}
	order, found, err := h.views.BulkOrder(t.Context(), id, projections.Now)
	if err != nil || !found {
		t.Fatal("the view does not know the order", err)
	}
	list, err := h.views.BulkRefused(t.Context(), order, projections.Now, projections.Page{First: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range list.Nodes() {
		refused[one.Device]++
	}
	for i, one := range h.ids {
		if want := i%10 != 9; queued[one] != map[bool]int{true: 1}[want] || refused[one] != map[bool]int{false: 1}[want] {
			t.Errorf("%s was ordered it %d times, and refused it %d times", one, queued[one], refused[one])
		}
	}
	p, err := h.views.BulkProgress(t.Context(), order, projections.Now)
	if err != nil || p.Pending != 0 || p.Refused != 20 || p.Queued != 180 {
		t.Errorf("progress: %+v, %v", p, err)
	}
	before, err := h.views.BulkProgress(t.Context(), order, order.Position)
	if err != nil || before.Pending != 200 || before.Queued != 0 {
		t.Errorf("progress at the moment of the order: %+v, %v", before, err)
	}
}

// What a device gets is what a command of its own would be, byte for byte.
func TestTheBodyIsExact(t *testing.T) {
	h := newHouse(t, 1, func(log eventstore.Log) eventstore.Log { return log })
	id := h.send("")
	uuid := bulkorder.CommandUUID(id, "d00000")
	own, err := handlers.TypedOrder("ProfileList", map[string]any{"ManagedOnly": true}, uuid)
	if err != nil {
		t.Fatal(err)
	}
	body, err := h.sends.Body(t.Context(), id, uuid)
	if err != nil || !bytes.Equal(body, own.Body) || !strings.Contains(string(body), uuid) {
		t.Errorf("%v\n%s\nwant\n%s", err, body, own.Body)
	}
	if _, err := h.sends.Body(t.Context(), "none", uuid); err == nil {
		t.Error("an order that nobody gave has a body")
	}
}

// A cancelled order takes back what waits, wherever it was.
func TestACancelledOrderIsTakenBack(t *testing.T) {
	h := newHouse(t, 50, func(log eventstore.Log) eventstore.Log { return log })
	id := h.send("")
	h.seen()
	h.until(id, func(int) context.Context { return h.passing(id, 1<<30) })
	if _, err := h.sends.Cancel(t.Context(), handlers.Caller{Role: operator.Viewer}, id, "no"); err == nil {
		t.Error("a viewer cancelled an order")
	}
	if _, err := h.sends.Cancel(t.Context(), ada, id, "no"); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- h.worker().Run(ctx) }()
	order, _, err := h.views.BulkOrder(ctx, id, projections.Now)
	if err != nil {
		t.Fatal(err)
	}
	for {
		position := h.views.Position()
		p, err := h.views.BulkProgress(ctx, order, projections.Now)
		if err != nil {
			t.Fatal(err)
		}
		if p.Ended[projections.Cancelled] == 45 && p.Refused == 5 {
			break
		}
		<-h.views.Advanced(position)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// BenchmarkTenThousand measures an order to 10,000 devices, from the order until the last device has it in its stream.
func BenchmarkTenThousand(b *testing.B) {
	h := newHouse(b, 10_000, func(log eventstore.Log) eventstore.Log { return log })
	for n := 0; b.Loop(); n++ {
		id := h.send("")
		h.seen()
		ctx, cancel := context.WithCancel(b.Context())
		ended := make(chan error, 1)
		go func() { ended <- h.worker().Run(ctx) }()
		<-h.passing(id, 1<<30).Done()
		cancel()
		if err := <-ended; err != nil {
			b.Fatal(err)
		}
	}
}
