package mdm

import (
	"context"
	"fmt"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// A slow log keeps appends waiting until it is let go.
type slow struct {
	eventstore.Log
	gate         chan struct{}
	inside, most atomic.Int64
}

func (s *slow) Append(ctx context.Context, stream eventstore.Stream, expected int64, events []eventstore.Envelope) error {
	n := s.inside.Add(1)
	defer s.inside.Add(-1)
	for most := s.most.Load(); n > most && !s.most.CompareAndSwap(most, n); most = s.most.Load() {
	}
	<-s.gate
	return s.Log.Append(ctx, stream, expected, events)
}

// A slow log is asked for so much at once and no more; so many wait, and all others are asked to come again at once.
func TestASlowLogIsNotOverrun(t *testing.T) {
	const places, devices = 4, 50
	s := &slow{gate: make(chan struct{})}
	h := build(t, func(h *house) {
		s.Log, h.log = h.log, s
		h.door.AtOnce = places
	})
	h.door.places.patience = time.Hour
	answers := make(chan *httptest.ResponseRecorder, devices)
	var all sync.WaitGroup
	for i := range devices {
		g := h.guest(fmt.Sprint("U", i))
		body := xml(t, map[string]any{"UDID": g.keys["UDID"], "MessageType": "Authenticate", "Topic": topic})
		all.Go(func() { answers <- h.put("/mdm/checkin", body, byProxy(g.id)) })
	}
	const shed = devices - places - places*waitPerPlace
	for range shed { // while nobody else is answered
		if w := <-answers; w.Code != 503 || w.Header().Get("Retry-After") == "" {
			t.Errorf("a device too many was answered %d, to come again after %q", w.Code, w.Header().Get("Retry-After"))
		}
	}
	close(s.gate)
	all.Wait()
	close(answers)
	for w := range answers {
		if w.Code != 200 {
			t.Errorf("a device that waited was answered %d %s", w.Code, w.Body)
		}
	}
	if most := s.most.Load(); most != places {
		t.Errorf("the log was asked for %d appends at once, want %d", most, places)
	}
	if n := h.refused["overloaded"]; n != shed {
		t.Errorf("%d were counted as overloaded, want %d", n, shed)
	}
	if n := h.door.places.waiting.Load() + int64(len(h.door.places.taken)); n != 0 {
		t.Errorf("%d places are still taken", n)
	}
}

// A message waits for a place so long and no longer, and not for a sender who has gone.
func TestPlacesAreNotWaitedForInVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlaces(1)
		if err := p.take(t.Context()); err != nil {
			t.Fatal(err)
		}
		before := time.Now()
		if err := p.take(t.Context()); err != errCrowded || time.Since(before) != placePatience {
			t.Errorf("after %s: %v", time.Since(before), err)
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if err := p.take(gone); err != errBrokenOff {
			t.Errorf("the sender has gone: %v", err)
		}
		p.leave()
		if err := p.take(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
