package esdbtest

import (
	"context"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A Kind says how a call fails.
type Kind string

// The kinds of faults.
const (
	Lose      Kind = "lose"       // an append is committed, but its answer is lost
	Forget    Kind = "forget"     // an append is called wrong without a look at its event ids
	Refuse    Kind = "refuse"     // the call is refused with Code
	Stall     Kind = "stall"      // the call is taken, and nothing ever comes, until the caller leaves
	Drop      Kind = "drop"       // a read or subscription breaks after After events
	Strange   Kind = "strange"    // a read or subscription brings a message that the client does not know, after After events
	Slow      Kind = "slow"       // each event of a read or subscription comes Pace after the one before
	NotLeader Kind = "not leader" // the call is refused, with the leader's address
)

// A Fault is a mishap that a server shall have.
type Fault struct {
	Kind   Kind
	Method string        // Append, Read, Gossip, Delete or Tombstone; a subscription is a Read
	Times  int           // how many calls it hits; 1 if zero
	After  int           // events that still come, of Drop and Strange
	Code   codes.Code    // of Refuse; Unavailable if zero
	Pace   time.Duration // of Slow
}

type faults struct {
	mu   sync.Mutex
	wait []*Fault
}

// Inject makes the next calls fail. Faults of one method happen in the order in which they were injected.
func (s *Server) Inject(f Fault) {
	if f.Times == 0 {
		f.Times = 1
	}
	if f.Code == codes.OK {
		f.Code = codes.Unavailable
	}
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.wait = append(s.faults.wait, &f)
}

// Waiting returns how many calls faults still wait for.
func (s *Server) Waiting() int {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	n := 0
	for _, f := range s.faults.wait {
		n += f.Times
	}
	return n
}

// take returns the fault that waits for a call of the method, or nil.
func (f *faults) take(method string) *Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, w := range f.wait {
		if w.Method != method {
			continue
		}
		if w.Times--; w.Times == 0 {
			f.wait = slices.Delete(f.wait, i, i+1)
		}
		return w
	}
	return nil
}

// meet meets the call's fault, if one waits: it ends the call, or is returned to be met later.
func (s *Server) meet(ctx context.Context, method string) (*Fault, error) {
	fault := s.faults.take(method)
	if fault == nil {
		return nil, nil
	}
	switch fault.Kind {
	case Refuse:
		return nil, status.Error(fault.Code, "refused on demand")
	case NotLeader:
		return nil, notLeaderError{}
	case Stall:
		<-ctx.Done()
		return nil, status.FromContextError(ctx.Err()).Err()
	}
	return fault, nil
}
