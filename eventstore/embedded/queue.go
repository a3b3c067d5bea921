package embedded

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// A pending append waits for the committer.
type pending struct {
	stream   eventstore.Stream
	expected int64
	events   []eventstore.Envelope // the log's own copy, which the committer completes
	repeated bool                  // the events stand in the log already
	outcome  error
	state    atomic.Int32 // waiting, taken or withdrawn
	done     chan error   // takes one answer
}

// The states of a pending append.
const (
	waiting int32 = iota
	taken
	withdrawn
)

// take reports whether the caller still waits; if so, the append can no longer be withdrawn.
func (p *pending) take() bool { return p.state.CompareAndSwap(waiting, taken) }

func (p *pending) withdraw() { p.state.CompareAndSwap(waiting, withdrawn) }

// answer completes the caller's envelopes.
func (p *pending) answer(events []eventstore.Envelope, err error) error {
	if err != nil {
		return err
	}
	for i, e := range p.events {
		events[i].Stream, events[i].Version, events[i].Position = e.Stream, e.Version, e.Position
	}
	return nil
}

// stamp completes the log's copy: places in the stream, and the form in which events are read back.
func (p *pending) stamp() {
	for i := range p.events {
		e := &p.events[i]
		e.Stream, e.Version = p.stream, p.expected+1+int64(i)
		e.Time = e.Time.UTC().Truncate(time.Microsecond)
		e.Actor.Address = "" // it belongs into the sealed part
	}
}

// A queue holds the appends that wait for the committer.
type queue struct {
	mu      sync.Mutex
	some    sync.Cond
	waiting []*pending
	closed  bool
}

func (q *queue) init() { q.some.L = &q.mu }

func (q *queue) put(p *pending) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return eventstore.ErrClosed
	}
	q.waiting = append(q.waiting, p)
	if len(q.waiting) == 1 {
		q.some.Signal()
	}
	return nil
}

// take waits for appends and moves them into group, as many as one commit may have. It returns none when the
// queue is closed and empty.
func (q *queue) take(group []*pending) []*pending {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.waiting) == 0 && !q.closed {
		q.some.Wait()
	}
	n, events := 0, 0
	for n < len(q.waiting) && (n == 0 || events+len(q.waiting[n].events) <= largestGroup) {
		events += len(q.waiting[n].events)
		n++
	}
	group = append(group, q.waiting[:n]...)
	rest := copy(q.waiting, q.waiting[n:])
	clear(q.waiting[rest:])
	q.waiting = q.waiting[:rest]
	return group
}

func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.some.Signal()
}
