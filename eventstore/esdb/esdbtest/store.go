package esdbtest

import (
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"sync"
	"time"
)

// An Event is one event as the server keeps it.
type Event struct {
	Stream   string
	Revision uint64
	Position uint64 // in $all: both the commit position and the prepare position, for it committed itself
	ID       [16]byte
	Type     string
	JSON     bool
	Created  time.Time
	Metadata []byte
	Data     []byte
}

// size is what the server counts of an event against the limit of an append.
func (e *Event) size() int { return len(e.Data) + len(e.Metadata) + 2*len(e.Type) }

// A history is one stream: its events, and how many of them were deleted softly.
type history struct {
	events  []*Event
	deleted int
	tomb    bool
}

// store is the transaction log of a node, or of a cluster that never disagrees.
type store struct {
	now   func() time.Time
	noise int

	mu      sync.Mutex
	all     []*Event
	streams map[string]*history
	next    uint64        // the next position
	quiet   int           // events since the last noise
	news    chan struct{} // closed, and made anew, when an event is written
}

func newStore(noise int, now func() time.Time) *store {
	s := &store{now: now, noise: noise, streams: map[string]*history{}, next: 0, news: make(chan struct{})}
	s.write("$settings", []*Event{{Type: "$UserCreated", JSON: true, Data: []byte(`{}`)}})
	return s
}

// write adds events to a stream. The caller holds the lock, or is alone.
func (s *store) write(stream string, events []*Event) {
	h := s.streams[stream]
	if h == nil {
		h = new(history)
		s.streams[stream] = h
	}
	for _, e := range events {
		e.Stream, e.Revision, e.Position, e.Created = stream, uint64(len(h.events)), s.next, s.now()
		s.next += uint64(120 + len(stream) + e.size()) // a record's frame and its bytes
		s.all, h.events = append(s.all, e), append(h.events, e)
	}
	close(s.news)
	s.news = make(chan struct{})
	s.makeNoise(len(events))
}

// makeNoise writes what a busy server writes of its own accord.
func (s *store) makeNoise(written int) {
	if s.quiet += written; s.noise == 0 || s.quiet < s.noise {
		return
	}
	s.quiet = -1 // less the noise itself
	e := &Event{Type: "$statsCollected", JSON: true, Data: []byte(`{"proc-cpu":1}`)}
	s.write("$stats-"+s.now().UTC().Format(time.DateOnly), []*Event{e})
}

// Seed writes an event as a neighbour in the same database would, or the server itself: whatever the stream,
// and without a check. Data and metadata that are JSON are called so.
func (s *Server) Seed(stream, eventType string, metadata, data []byte) Event {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	e := &Event{Type: eventType, JSON: json.Valid(data), Metadata: metadata, Data: data}
	copy(e.ID[:], fmt.Sprintf("%016d", len(s.store.all)))
	s.store.write(stream, []*Event{e})
	return *e
}

// Alter changes the newest event of a type where it stands, as nobody can but who writes to the database's files.
func (s *Server) Alter(eventType string, change func(*Event)) error {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	for i := len(s.store.all) - 1; i >= 0; i-- {
		old := s.store.all[i]
		if old.Type != eventType {
			continue
		}
		altered := *old
		change(&altered)
		h := s.store.streams[old.Stream]
		s.store.all, h.events = slices.Clone(s.store.all), slices.Clone(h.events) // readers may hold the old ones
		s.store.all[i], h.events[slices.Index(h.events, old)] = &altered, &altered
		return nil
	}
	return fmt.Errorf("there is no event of type %s", eventType)
}

// Events returns all that the server keeps, in order, its own events included.
func (s *Server) Events() []Event {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	events := make([]Event, len(s.store.all))
	for i, e := range s.store.all {
		events[i] = *e
	}
	return events
}

// stream returns a stream as a reader sees it: its visible events, and whether it is there at all.
func (s *store) stream(name string) (events []*Event, found, tomb bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.streams[name]
	if h == nil {
		return nil, false, false
	}
	visible := slices.Clip(h.events)[h.deleted:]
	return visible, len(visible) > 0, h.tomb
}

// since returns $all, from its n-th event on, and what is closed when there is more.
func (s *store) since(n int) ([]*Event, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clip(s.all)[n:], s.news
}

// index returns where in $all a position stands; a position between two events is none.
func (s *store) index(position uint64) (int, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := sort.Search(len(s.all), func(i int) bool { return s.all[i].Position >= position })
	return i, i < len(s.all) && s.all[i].Position == position
}
