package apnstest

import (
	"maps"
	"net/http"
	"slices"
	"time"
)

// A Fault is what goes wrong with one push. The zero Fault is none. What is wrong with the push itself is
// answered first.
type Fault struct {
	Status     int           // answered in the place of 200
	Reason     string        // Apple's word for it
	Body       []byte        // answered instead of Apple's JSON
	RetryAfter time.Duration // told in the header of that name, in whole seconds
	Since      time.Time     // when the token died; now if zero

	Slow   time.Duration // passes before the answer
	Hang   bool          // there is no answer
	Cut    bool          // the connection breaks, with all that is under way on it
	GoAway bool          // the connection is given up after the answer, politely
}

// The faults that happen.
var (
	TooManyRequests = Fault{Status: http.StatusTooManyRequests, Reason: "TooManyRequests"}
	InternalError   = Fault{Status: http.StatusInternalServerError, Reason: "InternalServerError"}
	Unavailable     = Fault{Status: http.StatusServiceUnavailable, Reason: "ServiceUnavailable"}
	Shutdown        = Fault{Status: http.StatusServiceUnavailable, Reason: "Shutdown", GoAway: true}
	Unregistered    = Fault{Status: http.StatusGone, Reason: "Unregistered"}
	BadGateway      = Fault{Status: http.StatusBadGateway, Body: []byte("<html><body><h1>502 Bad Gateway</h1></body></html>")}
	GoAway          = Fault{GoAway: true}
	Hang            = Fault{Hang: true}
	Cut             = Fault{Cut: true}
)

// Fail lets choose decide what goes wrong with each push from now on; with nil nothing does. It is called for
// several pushes at once.
func (s *Server) Fail(choose func(Push) Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = choose
}

func (s *Server) faultFor(p Push) Fault {
	s.mu.Lock()
	choose := s.fault
	s.mu.Unlock()
	if choose == nil {
		return Fault{}
	}
	return choose(p)
}

// Register says that the token (hex) belongs to a device that enrolled with the topic. A token that was dead
// lives again.
func (s *Server) Register(topic, token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[token] = topic
	delete(s.dead, token)
}

// Unregister says that the token (hex) is dead since then.
func (s *Server) Unregister(token string, since time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dead[token] = since
}

// Revoke says whether the topic's push certificate is revoked.
func (s *Server) Revoke(topic string, revoked bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.revoked[topic] = revoked
}

// Pushes returns the pushes that are remembered, in the order in which they were answered.
func (s *Server) Pushes() []Push {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Concat(s.pushes[s.next:], s.pushes[:s.next])
}

// Stats returns how the server was used so far.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	stats := s.stats
	stats.Reasons = maps.Clone(stats.Reasons)
	return stats
}
