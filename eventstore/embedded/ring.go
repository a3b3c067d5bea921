package embedded

import (
	"slices"
	"sort"
	"sync"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// envelopeBytes is about what an envelope costs in memory beside its data.
const envelopeBytes = 384

// A ring keeps the newest durable events in memory, for those who follow the log, and knows its head.
type ring struct {
	mu      sync.Mutex
	bound   int // bytes
	used    int
	appends [][]eventstore.Envelope // one element for each append, in order of position; none is empty
	head    eventstore.Position
	changed chan struct{} // closed at the next change; nil if nobody waits for one
	closed  bool
}

func newRing(bound int, head eventstore.Position) *ring {
	return &ring{bound: bound, head: head}
}

// publish adds appends that are durable now and wakes those who wait. The ring keeps the envelopes.
func (r *ring) publish(group []*pending, head eventstore.Position) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range group {
		if p.state.Load() == taken && p.outcome == nil && !p.repeated {
			r.appends = append(r.appends, p.events)
			r.used += weight(p.events)
		}
	}
	drop := 0
	for ; r.used > r.bound && drop < len(r.appends); drop++ {
		r.used -= weight(r.appends[drop])
		r.appends[drop] = nil
	}
	r.appends = r.appends[drop:]
	r.head = head
	r.wake()
}

func weight(events []eventstore.Envelope) (n int) {
	for i := range events {
		n += size(&events[i]) + envelopeBytes
	}
	return n
}

func (r *ring) wake() {
	if r.changed != nil {
		close(r.changed)
		r.changed = nil
	}
}

func (r *ring) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	r.appends, r.used = nil, 0
	r.wake()
}

func (r *ring) position() (eventstore.Position, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return 0, eventstore.ErrClosed
	}
	return r.head, nil
}

// after returns at most limit events after a position. If there are none, it returns a channel that is closed
// at the next change. If there are some, but no longer in memory, it returns neither.
func (r *ring) after(pos eventstore.Position, limit int) (batch []eventstore.Envelope, wait <-chan struct{}, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.closed:
		return nil, nil, eventstore.ErrClosed
	case pos >= r.head:
		if r.changed == nil {
			r.changed = make(chan struct{})
		}
		return nil, r.changed, nil
	case len(r.appends) == 0 || r.appends[0][0].Position > pos+1:
		return nil, nil, nil
	}
	return r.collect(pos, limit), nil, nil
}

// collect copies the envelopes, so that followers cannot disturb each other.
func (r *ring) collect(pos eventstore.Position, limit int) []eventstore.Envelope {
	limit = min(limit, int(r.head-pos))
	batch := make([]eventstore.Envelope, 0, limit)
	first := sort.Search(len(r.appends), func(i int) bool { return r.appends[i][len(r.appends[i])-1].Position > pos })
	for _, events := range r.appends[first:] {
		skip := max(0, int(pos+1-events[0].Position))
		n := min(len(events)-skip, limit-len(batch))
		batch = append(batch, events[skip:skip+n]...)
		if len(batch) == limit {
			break
		}
	}
	return slices.Clip(batch)
}
