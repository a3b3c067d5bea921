package projections

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

// broken opens events as inClear does, but for results that it spoils, and for one type that it cannot open.
type broken struct{ inClear }

func (broken) Decode(env eventstore.Envelope) (domain.Event, error) {
	e, err := inClear{}.Decode(env)
	switch told := e.(type) {
	case device.CommandAcknowledged:
		if told.RequestType == "DeviceInformation" {
			told.Result = []byte(`{"QueryResponses":{"OSVersion":`)
			return told, nil
		}
	case device.CheckedOut:
		return nil, errors.New("the keys are gone")
	}
	return e, err
}

func TestAStreamThatCannotBeDigestedIsParkedAndOthersGoOn(t *testing.T) {
	h := newHistory()
	h.add("d1", noon, authenticated(1), token(true))
	bad := h.told("d1", "1", "DeviceInformation", "{}", noon)
	h.add("d2", noon, authenticated(1), token(true))
	h.told("d2", "2", "SecurityInfo", `{"SecurityInfo":{"FDE_Enabled":true}}`, noon)
	closed := h.add("d3", noon, authenticated(1), token(true), device.CheckedOut{})
	h.told("d1", "3", "SecurityInfo", `{"SecurityInfo":{"FDE_Enabled":true}}`, noon)
	v := open(t)
	if err := v.foldChunk(h.events, broken{}); err != nil {
		t.Fatal(err)
	}
	parked := map[string]eventstore.Position{}
	for _, view := range must[[]View](t)(v.List(t.Context())) {
		if view.Position != eventstore.Position(len(h.events)) {
			t.Errorf("%s stopped at %d", view.Name, view.Position)
		}
		for _, p := range view.Parked {
			parked[view.Name+" "+p.Stream.ID] = p.Position
			if p.Error == "" {
				t.Errorf("%s says not why it parked %s", view.Name, p.Stream)
			}
		}
	}
	for _, want := range []string{"facts d1", "fleet d1"} {
		if parked[want] != bad {
			t.Errorf("%s is parked at %d, want %d", want, parked[want], bad)
		}
	}
	if parked["timeline d3"] != 0 || parked["fleet d3"] != closed || parked["commands d1"] != 0 {
		t.Errorf("parked: %v", parked)
	}
	if c := must[[]Command](t)(v.Command(t.Context(), "3")); len(c) != 1 || c[0].State != Acknowledged {
		t.Errorf("the views that could digest it went on without it: %+v", c)
	}
	facts := must[[]Fact](t)(v.Facts(t.Context(), "d2", "security.", Now))
	if len(facts) != 1 {
		t.Errorf("another device's facts: %+v", facts)
	}
	if facts := must[[]Fact](t)(v.Facts(t.Context(), "d1", "security.", Now)); len(facts) != 0 {
		t.Errorf("a parked stream was folded on: %+v", facts)
	}
	if e, found, err := v.Event(t.Context(), closed); err != nil || !found || e.Type != "device.checked-out" {
		t.Errorf("the timeline does not show what cannot be opened: %+v, %v, %v", e, found, err)
	}
}

// T49: an event of a type that this program does not know is shown, and never passed over in silence.
func TestAnEventOfAnUnknownTypeIsShown(t *testing.T) {
	h := newHistory()
	h.add("d1", noon, authenticated(1), token(true))
	at := h.add("d1", noon, device.Seen{Polls: 1})
	h.events[at-1].Type = "device.teleported"
	h.told("d1", "1", "SecurityInfo", `{"SecurityInfo":{"FDE_Enabled":true}}`, noon)
	h.told("d2", "2", "SecurityInfo", `{"SecurityInfo":{"FDE_Enabled":true}}`, noon)
	for name, fold := range map[string]func(v *Views) error{
		"live": func(v *Views) error { return v.foldChunk(h.events, peeking{}) },
		"anew": func(v *Views) error { return v.Rebuild(t.Context(), h, peeking{}, nil) },
	} {
		v := open(t)
		if err := fold(v); err != nil {
			t.Fatal(err)
		}
		for _, view := range must[[]View](t)(v.List(t.Context())) {
			parked := len(view.Parked) == 1 && view.Parked[0].Position == at && strings.Contains(view.Parked[0].Error, "device.teleported")
			if parked == (view.Name == "timeline") || int(view.Position) != len(h.events) {
				t.Errorf("%s: %+v", name, view)
			}
		}
		e, found, err := v.Event(t.Context(), at)
		if err != nil || !found || e.Type != "device.teleported" {
			t.Errorf("%s: the timeline shows %+v, %v, %v", name, e, found, err)
		}
		if c := must[[]Command](t)(v.Command(t.Context(), "2")); len(c) != 1 || c[0].State != Acknowledged {
			t.Errorf("%s: another device's command: %+v", name, c)
		}
	}
}

func TestOnlyTheOwnerCanReadTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "views.db")
	v := openAt(t, path)
	h := newHistory()
	h.add("d1", noon, authenticated(1))
	follow(t, v, h)
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		info, err := os.Stat(name)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", filepath.Base(name), info, err)
		}
	}
}

func TestWaitingForAPosition(t *testing.T) {
	h := newHistory()
	v := open(t)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- v.Run(ctx, h, inClear{}) }()
	advanced := v.Advanced(0)
	pos := h.add("d1", noon, authenticated(1), token(true))
	if err := v.Wait(ctx, pos); err != nil || v.Position() != pos {
		t.Fatalf("waited for %d: %v, at %d", pos, err, v.Position())
	}
	<-advanced
	<-v.Advanced(pos - 1)
	short, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	if err := v.Wait(short, pos+1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waited for the future: %v", err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := v.Close(); err != nil {
		t.Error(err)
	}
	if err := v.Wait(t.Context(), pos+1); !errors.Is(err, ErrClosed) {
		t.Errorf("waited for closed views: %v", err)
	}
}

func TestOnlyOneRunAtATime(t *testing.T) {
	v := open(t)
	h := newHistory()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- v.Run(ctx, h, inClear{}) }()
	if err := v.Wait(ctx, h.add("d1", noon, authenticated(1))); err != nil {
		t.Fatal(err)
	}
	if err := v.Run(ctx, h, inClear{}); err == nil {
		t.Error("a second Run was let in")
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestTheViewsRestAsLongAsTheyWorkedUnlessTheyLag(t *testing.T) {
	const pause = 20 * time.Millisecond
	for _, c := range []struct {
		name         string
		pause        time.Duration
		behind, took time.Duration
		want         time.Duration
	}{
		{"little to do", pause, 0, time.Millisecond, pause},
		{"much to do", pause, time.Second / 2, 300 * time.Millisecond, 300 * time.Millisecond},
		{"they lag", pause, mayLag + time.Second, 300 * time.Millisecond, 0},
		{"the log is read from its beginning", pause, 24 * time.Hour, time.Millisecond, 0},
		{"they are never to rest", -1, 0, time.Millisecond, 0},
	} {
		v := &Views{options: Options{Pause: c.pause}}
		if got := v.rest(time.Now().Add(-c.behind), c.took); got != c.want {
			t.Errorf("%s: rest for %s, want %s", c.name, got, c.want)
		}
	}
}
