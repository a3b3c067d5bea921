package tests

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/handlers/mdm/mdmtest"
)

// The devices that are given orders to many, how many of these are broken off in the middle, and after how many it is given up
// to hit the middle.
const (
	bulkDevices  = 80
	bulkKills    = 2
	mostBulkKill = 15
)

// TestSIGKILLInTheMiddleOfAnOrderToMany kills the program while it passes an order to a group on, again and again. Each time it
// goes on after the restart; in the end every device has been given every order once, one after the other.
func TestSIGKILLInTheMiddleOfAnOrderToMany(t *testing.T) {
	h := newHost(t)
	h.start()
	fleet := h.fleet(mdmtest.Fleet{Size: bulkDevices, Seed: 12})
	serials := make([]string, len(fleet))
	for i, d := range fleet {
		if err := d.Enrol(t.Context()); err != nil {
			t.Fatal(err)
		}
		serials[i] = d.ID()
	}
	h.ask(`mutation { createGroup(id: "labs", name: "Laboratories") { id } }`)
	list, err := json.Marshal(serials)
	if err != nil {
		t.Fatal(err)
	}
	h.ask(`mutation { addToGroup(group: "labs", devices: ` + string(list) + `) { refused { device } } }`)
	hit, orders := 0, 0
	for ; hit < bulkKills && orders < mostBulkKill; orders++ {
		order := fmt.Sprintf(`mutation { sendCommand(input: {group: "labs", requestType: "ProfileList", idempotencyKey: "order %d"}) { order { id } } }`, orders)
		if h.killWhilePassing(order, orders*bulkDevices) {
			hit++
		}
		h.start()
		h.ask(order) // if it was not there yet it is now, otherwise this is no news
		until(t, "the order has reached all", func() bool {
			return h.ordered() == (orders+1)*bulkDevices
		})
	}
	t.Logf("%d of %d kills fell in the middle of an order", hit, orders)
	if hit == 0 {
		t.Errorf("none of %d kills fell in the middle of an order", orders)
	}
	for _, d := range fleet {
		done, err := d.Session(t.Context())
		if err != nil || len(done) != orders {
			t.Fatalf("%s was given %d commands, want %d: %v", d.ID(), len(done), orders, err)
		}
	}
	h.stop()
	v := h.open()
	for stream, one := range tallies(v) {
		if len(one.queued) != orders || fmt.Sprint(one.queued) != fmt.Sprint(one.delivered) || len(one.ended) != orders {
			t.Errorf("%s was ordered %d, given %d and ended %d of %d commands", stream, len(one.queued), len(one.delivered), len(one.ended), orders)
		}
	}
	v.wantViewsAsFromAFreshFold()
}

// killWhilePassing gives an order, kills the program when the log tells that it has begun to pass it on, and reports whether
// it had not come to its end. So many commands of orders before stand in the log.
func (h *host) killWhilePassing(order string, before int) bool {
	h.t.Helper()
	ctx, stop := context.WithCancel(h.t.Context())
	defer stop()
	sent := make(chan struct{})
	body, _ := json.Marshal(map[string]string{"query": order}) // a text never fails
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url()+"/graphql", bytes.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+h.token())
	go func() {
		defer close(sent)
		if resp, err := http.DefaultClient.Do(req); err == nil { // it may be killed before it answers
			_ = resp.Body.Close()
		}
	}()
	until(h.t, "the order is passed on", func() bool { return h.ordered() > before })
	h.kill()
	<-sent
	return h.ordered() < before+bulkDevices
}

// ordered counts the commands in the log that came with an order to many.
func (h *host) ordered() (n int) {
	h.t.Helper()
	for _, env := range events(h.t, h.data) {
		if env.Type == (device.CommandQueued{}).EventType() && bytes.Contains(env.Data, []byte(`"Bulk":`)) {
			n++
		}
	}
	return n
}
