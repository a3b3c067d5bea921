package projections

import (
	"errors"
	"slices"
	"testing"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

// older opens events as inClear does, but for one type that it cannot open yet.
type older struct{ inClear }

func (older) Decode(env eventstore.Envelope) (domain.Event, error) {
	e, err := inClear{}.Decode(env)
	if _, is := e.(device.Authenticated); is && env.Stream.ID == "d1" {
		return nil, errors.New("this program is too old")
	}
	return e, err
}

// When a program comes that can open what an earlier one could not, the views that parked streams for it are named, and
// no others; built anew, they have parked nothing, and are what views are that never met trouble.
func TestParkedStreamsAreTriedAgainWhenTheirEventsOpen(t *testing.T) {
	h := newHistory()
	h.add("d1", noon, authenticated(1), token(true))
	h.add("d2", noon, authenticated(1), token(true))
	v := open(t)
	if err := v.foldChunk(h.events, older{}); err != nil {
		t.Fatal(err)
	}
	parking := parkedBy(t, v)
	if !slices.Contains(parking, "fleet") || slices.Contains(parking, "timeline") {
		t.Fatalf("streams are parked by %q", parking)
	}
	if names := must[[]string](t)(v.Digestible(t.Context(), h, older{})); len(names) != 0 {
		t.Errorf("what does not open is to be tried again by %q", names)
	}
	names := must[[]string](t)(v.Digestible(t.Context(), h, inClear{}))
	if !slices.Equal(names, parking) {
		t.Errorf("%q are to be built anew, want %q", names, parking)
	}
	if err := v.Rebuild(t.Context(), h, inClear{}, nil, names...); err != nil {
		t.Fatal(err)
	}
	if left := parkedBy(t, v); len(left) != 0 {
		t.Errorf("%q still have parked streams", left)
	}
	fresh := open(t)
	if err := fresh.foldChunk(h.events, inClear{}); err != nil {
		t.Fatal(err)
	}
	if d := must[[]string](t)(Differences(t.Context(), v, fresh, 10)); len(d) != 0 {
		t.Errorf("views that were built anew differ from those that never met trouble: %q", d)
	}
}

// What opens and is not digested is not tried again and again: nothing would come of it but work.
func TestWhatOpensAndIsNotDigestedIsNotTriedAgain(t *testing.T) {
	h := newHistory()
	h.add("d1", noon, authenticated(1), token(true))
	h.told("d1", "1", "DeviceInformation", "{}", noon)
	v := open(t)
	if err := v.foldChunk(h.events, broken{}); err != nil {
		t.Fatal(err)
	}
	if parking := parkedBy(t, v); len(parking) == 0 {
		t.Fatal("nothing is parked")
	}
	if names := must[[]string](t)(v.Digestible(t.Context(), h, broken{})); len(names) != 0 {
		t.Errorf("%q are to be built anew", names)
	}
}

// A file of a program that did not note whether an event had opened is opened, and its parked streams are tried.
func TestParkedStreamsOfAnEarlierFileAreTried(t *testing.T) {
	h := newHistory()
	h.add("d1", noon, authenticated(1), device.CheckedOut{})
	v := open(t)
	if err := v.foldChunk(h.events, broken{}); err != nil {
		t.Fatal(err)
	}
	if err := v.writer.Exec(`ALTER TABLE parked DROP COLUMN opened`); err != nil {
		t.Fatal(err)
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Open(t.Context(), v.path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if names := must[[]string](t)(again.Digestible(t.Context(), h, inClear{})); !slices.Contains(names, "fleet") {
		t.Errorf("%q are to be built anew", names)
	}
}

// parkedBy names the views that have parked the stream of d1.
func parkedBy(t *testing.T, v *Views) (names []string) {
	t.Helper()
	for _, view := range must[[]View](t)(v.List(t.Context())) {
		if slices.ContainsFunc(view.Parked, func(p ParkedStream) bool { return p.Stream == (eventstore.Stream{Kind: "device", ID: "d1"}) }) {
			names = append(names, view.Name)
		}
	}
	return names
}
