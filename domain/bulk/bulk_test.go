package bulk_test

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/bulk"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func ordered() bulk.Ordered {
	return bulk.Ordered{Group: "labs", RequestType: "ProfileList", Mark: "MARK", Body: "<plist>MARK</plist>"}
}

func devices(n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprintf("d%05d", i))
	}
	return all
}

func fold(events []domain.Event) (o bulk.Order) {
	for _, e := range events {
		o = o.Evolve(e, noon)
	}
	return o
}

func TestWhatCannotBeOrdered(t *testing.T) {
	with := func(change func(*bulk.Ordered)) bulk.Ordered { o := ordered(); change(&o); return o }
	for name, c := range map[string]struct {
		what    bulk.Ordered
		devices []string
		no      domain.Reason
	}{
		"nothing":                   {bulk.Ordered{}, devices(1), domain.Invalid},
		"for nobody":                {ordered(), nil, domain.Conflict},
		"for too many":              {ordered(), devices(bulk.MaxDevices + 1), domain.Invalid},
		"expired":                   {with(func(o *bulk.Ordered) { o.ExpiresAt = noon }), devices(1), domain.Invalid},
		"to expire before its time": {with(func(o *bulk.Ordered) { o.NotBefore, o.ExpiresAt = noon.Add(2), noon.Add(2) }), devices(1), domain.Invalid},
		"with no place for an id":   {with(func(o *bulk.Ordered) { o.Body = "" }), devices(1), domain.Invalid},
		"with two places for an id": {with(func(o *bulk.Ordered) { o.Body = "MARK MARK" }), devices(1), domain.Invalid},
	} {
		_, err := bulk.Order{}.Order(c.what, c.devices, noon)
		if r, refused := domain.Refused(err); !refused || r.Reason != c.no {
			t.Errorf("%s: %v, want %v", name, err, c.no)
		}
	}
	if _, err := (bulk.Order{}).Cancel("why"); err == nil {
		t.Error("an order that nobody gave was cancelled")
	}
}

// Whoever passes an order on, in whatever portions, however often: every device is reached once, in the order of the list.
func TestAnOrderReachesEveryDeviceOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := devices(rapid.IntRange(1, 3000).Draw(t, "devices"))
		events, err := bulk.Order{}.Order(ordered(), append(slices.Clone(all), all[0]), noon)
		if err != nil {
			t.Fatal(err)
		}
		o, stale := fold(events), fold(events)
		var reached []string
		for len(o.Next(1)) > 0 {
			some := o.Next(rapid.IntRange(1, 1000).Draw(t, "some"))
			from := o
			if rapid.Bool().Draw(t, "told twice") {
				from = stale
			}
			told, err := o.PassOn(from.Reached, len(some), nil)
			if err != nil {
				t.Fatal(err)
			}
			if len(told) > 0 {
				reached = append(reached, some...)
			}
			stale = o
			o = o.Evolve(append(told, bulk.MembersNamed{})[0], noon)
		}
		if !reflect.DeepEqual(reached, all) {
			t.Fatalf("reached %d of %d devices", len(reached), len(all))
		}
		again, err := o.Order(ordered(), all[:1], noon)
		if len(again) > 0 || err != nil {
			t.Fatalf("ordered again: %v, %v", again, err)
		}
	})
}

func TestACancelledOrderReachesNobodyMore(t *testing.T) {
	events, _ := bulk.Order{}.Order(ordered(), devices(5), noon)
	o := fold(events)
	cancelled, err := o.Cancel("no")
	if err != nil {
		t.Fatal(err)
	}
	o = o.Evolve(cancelled[0], noon)
	more, _ := o.PassOn(0, 2, nil)
	twice, err := o.Cancel("no")
	if len(o.Next(10)) > 0 || len(more) > 0 || len(twice) > 0 || err != nil {
		t.Errorf("next %v, told %v, cancelled again %v, %v", o.Next(10), more, twice, err)
	}
}

func TestEachDeviceHasItsOwnCommandUUID(t *testing.T) {
	seen := map[string]bool{}
	for _, order := range []string{"A", "B"} {
		for _, d := range devices(1000) {
			seen[bulk.CommandUUID(order, d)] = true
		}
	}
	if len(seen) != 2000 {
		t.Errorf("%d ids for 2000 commands", len(seen))
	}
	o := bulk.Order{Ordered: ordered()}
	if body := string(o.Body("X")); body != "<plist>X</plist>" {
		t.Errorf("the body is %q", body)
	}
}
