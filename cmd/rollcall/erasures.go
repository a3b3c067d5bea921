package main

import (
	"context"
	"sync"
	"time"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// erasures are those of which the log tells while this server runs. What another server has erased is deleted from the views
// here as from its own, and is to leave their file too.
type erasures struct {
	since eventstore.Position // what was erased before is none of this server's business
	seen  chan struct{}

	mu   sync.Mutex                // guards what follows
	here map[eventstore.Stream]int // how many of them this server is erasing itself
}

func newErasures() *erasures {
	return &erasures{seen: make(chan struct{}, 1), here: map[eventstore.Stream]int{}}
}

// notice notes that an erasure was read.
func (e *erasures) notice(env eventstore.Envelope) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if env.Position > e.since && e.here[env.Stream] == 0 {
		e.again()
	}
}

// again has somebody look.
func (e *erasures) again() {
	select {
	case e.seen <- struct{}{}:
	default: // somebody will anyhow
	}
}

// notOf says that this server erases a stream itself, until done is called.
func (e *erasures) notOf(stream eventstore.Stream) (done func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.here[stream]++
	return func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.here[stream]--; e.here[stream] == 0 {
			delete(e.here, stream)
		}
	}
}

// forgetErased compacts the views' file after each erasure by another server, until ctx ends.
func (s *server) forgetErased(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.elsewhere.seen:
		}
		head, err := s.house.log.Head(ctx)
		if err == nil {
			err = s.views.Wait(ctx, head)
		}
		if err == nil {
			err = s.views.Compact(ctx)
		}
		if err != nil && ctx.Err() == nil {
			s.logger.Error("what another server has erased still stands in the views' file", "error", err, "again", aWhile)
			s.elsewhere.again()
			select {
			case <-ctx.Done():
			case <-time.After(aWhile):
			}
		}
	}
}
