package esdb_test

import (
	"testing"

	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/esdb"
	"github.com/rollcall-mdm/rollcall/eventstore/esdb/esdbtest"
)

// What is not ours is passed over, wherever it stands.
func TestForeignEvents(t *testing.T) {
	server := serve(t, esdbtest.Options{})
	l := open(t, server.URL(), esdb.Options{})
	if head, err := l.Head(t.Context()); head != 0 || err != nil {
		t.Errorf("the head of a log without events of ours is %d, %v", head, err)
	}
	neighbours := func() {
		server.Seed("$ce-device", "$>", []byte(`{"rollcall":1}`), []byte("0@device-x"))
		server.Seed("device-x", "$metadata", []byte(`{"rollcall":1}`), nil)
		server.Seed("nameless", "shop.sold", []byte(`{"rollcall":1}`), []byte(`{}`))
		server.Seed("shop-1", "shop.sold", nil, []byte(`{}`))
		server.Seed("shop-1", "shop.sold", []byte("not JSON"), []byte(`{}`))
		server.Seed("shop-1", "shop.sold", []byte(`{"rollcall":2,"time":7}`), []byte(`{}`))
		server.Seed("shop-1", "shop.sold", []byte(`[1]`), []byte{0})
	}
	neighbours()
	want := appendTo(t, l, -1, 3)
	neighbours()
	want = append(want, appendTo(t, l, 2, 2)...)
	for range 50 { // more than one page
		neighbours()
	}
	other := open(t, server.URL(), esdb.Options{}) // it knows nothing yet
	for _, l := range []*esdb.Log{l, other} {
		if head, err := l.Head(t.Context()); err != nil || head != want[4].Position {
			t.Errorf("the head is %d, %v; want %d", head, err, want[4].Position)
		}
		same(t, "the log", readAll(t, l), want)
		same(t, "the follower", follow(t, l, 0, 5), want)
		same(t, "the follower of the rest", follow(t, l, want[2].Position, 2), want[3:])
	}
	shop := eventstore.Stream{Kind: "shop", ID: "1"}
	for e, err := range l.ReadStream(t.Context(), shop, -1, eventstore.Backward) {
		t.Errorf("the shop's stream has %v, %v", e, err)
	}
}

// What is ours, but cannot be read, is an error, and never passed over.
func TestBrokenEvents(t *testing.T) {
	for name, broken := range map[string]string{
		"no time":      `{"rollcall":1,"time":"yesterday"}`,
		"no base64":    `{"rollcall":1,"time":"2026-11-22T00:00:00Z","secret":"?"}`,
		"no such part": `{"rollcall":1,"time":"2026-11-22T00:00:00Z","packed":{"data":1,"secret":7}}`,
		"less than no": `{"rollcall":1,"time":"2026-11-22T00:00:00Z","packed":{"data":-2,"secret":4}}`,
	} {
		server := serve(t, esdbtest.Options{})
		server.Seed("device-x", "device.seen", []byte(broken), []byte("{}"))
		failed := 0
		l := open(t, server.URL(), esdb.Options{})
		for _, err := range l.ReadAll(t.Context(), 0) {
			if err != nil {
				failed++
			}
		}
		for _, err := range l.ReadStream(t.Context(), eventstore.Stream{Kind: "device", ID: "x"}, 0, eventstore.Forward) {
			if err != nil {
				failed++
			}
		}
		for _, err := range l.Follow(t.Context(), 0) {
			if err == nil {
				t.Fatalf("%s: the follower saw it", name)
			}
			failed++
		}
		if failed != 3 {
			t.Errorf("%s: %d of 3 ways to read it failed", name, failed)
		}
	}
}
