package projections

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/eventstoretest"
)

// Views do not know whether a list that did not change was stored again, or referred to.
func TestAReferenceIsTheSameToViewsAsTheAnswer(t *testing.T) {
	references := 0
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld()
		for range rapid.IntRange(1, 40).Draw(t, "acts") {
			if rapid.IntRange(0, 3).Draw(t, "anything") == 0 {
				w.live(t)
			} else {
				w.inventory(t)
			}
		}
		full, n := w.spelledOut(t)
		references += n
		short, closeShort := fresh(t)
		defer closeShort()
		long, closeLong := fresh(t)
		defer closeLong()
		foldHistory(t, short, w.history, 100)
		foldHistory(t, long, full, 100)
		for _, at := range []eventstore.Position{Now, eventstore.Position(rapid.IntRange(0, len(w.events)).Draw(t, "moment"))} {
			if a, b := everythingAt(t, short, at), everythingAt(t, long, at); !reflect.DeepEqual(a, b) {
				t.Fatalf("as of %d, with references:\n%+v\nspelled out:\n%+v", at, a, b)
			}
		}
	})
	if references < 10 && !eventstoretest.Raced { // which draws too few histories to count on any
		t.Errorf("%d references were made: there was nothing to compare", references)
	}
}

// inventory lets a device answer a question about a list, whatever else it is at.
func (w *world) inventory(t *rapid.T) {
	const id = "d1"
	d := w.devices[id]
	act := func(list []domain.Event, err error) {
		if err != nil {
			return
		}
		w.add(id, w.clock, list...)
		for _, e := range list {
			d = d.Evolve(e, w.clock)
		}
	}
	if d.Status != device.StatusEnrolled {
		act(d.Authenticate(w.authenticate(t, id), w.clock))
		act(d.UpdateToken(w.token(t, ""), w.clock))
	}
	w.orders++
	o := device.Order{UUID: fmt.Sprintf("u%d", w.orders), RequestType: rapid.SampledFrom([]string{"InstalledApplicationList", "UserList"}).Draw(t, "list"),
		Body: []byte("body"), Priority: 9}
	o.Parameters = json.RawMessage(rapid.SampledFrom([]string{"", "", `{"ManagedAppsOnly":true}`, `{"Items":["Name"]}`}).Draw(t, "parameters"))
	act(d.Order("", o, true, w.clock))
	act(d.Connect(device.Report{Status: device.Idle}, w.clock))
	act(d.Connect(device.Report{Status: device.Acknowledged, UUID: o.UUID, Result: worldResult(t, o.RequestType)}, w.clock))
	w.devices[id] = d
}

// spelledOut is the history in which every answer stands where it was given, and how many there are that did not.
func (h *history) spelledOut(t *rapid.T) (*history, int) {
	full, references := newHistory(), 0
	full.events = append(full.events, h.events...)
	for i, env := range h.events {
		decoded, err := inClear{}.Decode(env)
		e, ok := decoded.(device.CommandAcknowledged)
		if err != nil || !ok || e.SameAs == 0 {
			continue
		}
		references++
		for _, earlier := range h.events[:i] {
			if earlier.Stream == env.Stream && earlier.Version == e.SameAs {
				kept, _ := inClear{}.Decode(earlier)
				if e, ok = e.Whole(kept); !ok || len(e.Result) == 0 {
					t.Fatalf("position %d refers to %+v", env.Position, kept)
				}
			}
		}
		e.SameAs, e.Digest = 0, nil
		if full.events[i], err = (inClear{}).Encode(env, e); err != nil || len(e.Result) == 0 {
			t.Fatalf("position %d refers to nothing: %v", env.Position, err)
		}
	}
	return full, references
}
