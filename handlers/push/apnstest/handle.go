package apnstest

import (
	"encoding/json"
	"net"
	"net/http"
	"strconv"
	"time"
)

func (s *Server) handle(w http.ResponseWriter, r *http.Request) {
	s.enter()
	defer s.leave()
	p, no, err := read(r)
	var fault Fault
	if err == nil {
		fault = s.faultFor(p)
	}
	if err != nil || !s.happens(fault, r) {
		s.keep(p)
		panic(http.ErrAbortHandler) // no answer
	}
	if fault.GoAway {
		w.Header().Set("Connection", "close") // HTTP/2 says it with GOAWAY
	}
	if no == nil {
		no = s.judge(p)
	}
	if no == nil && fault.Status != 0 {
		no = &refusal{fault.Status, fault.Reason}
	}
	if no == nil {
		p.Status = http.StatusOK
		s.keep(p)
		if s.options.Delivered != nil {
			s.options.Delivered(p.Topic, p.Token, p.Magic)
		}
		w.Header().Set("apns-id", p.ID)
		w.WriteHeader(http.StatusOK)
		return
	}
	p.Status, p.Reason = no.status, no.reason
	s.keep(p)
	s.refuse(w, p, fault)
}

// happens lets a fault that ends a request, or delays it, happen. It reports whether there is to be an answer.
func (s *Server) happens(f Fault, r *http.Request) bool {
	if f.Cut {
		if c, ok := r.Context().Value(connectionKey{}).(net.Conn); ok {
			_ = c.Close() // all that is under way on it is lost
		}
		return false
	}
	var after <-chan time.Time
	switch {
	case f.Hang:
	case f.Slow > 0:
		timer := time.NewTimer(f.Slow)
		defer timer.Stop()
		after = timer.C
	default:
		return true
	}
	select {
	case <-after:
		return true
	case <-r.Context().Done():
	case <-s.ended:
	}
	return false
}

// judge says why a well-formed push is refused, nil if it is not.
func (s *Server) judge(p Push) *refusal {
	s.mu.Lock()
	defer s.mu.Unlock()
	topic, registered := s.tokens[p.Token]
	_, dead := s.dead[p.Token]
	switch {
	case s.revoked[p.Topic]:
		return &refusal{http.StatusForbidden, "BadCertificate"}
	case dead:
		return &refusal{http.StatusGone, "Unregistered"}
	case registered && topic != p.Topic:
		return &refusal{http.StatusBadRequest, "DeviceTokenNotForTopic"}
	case !registered && s.options.Registered:
		return &refusal{http.StatusBadRequest, "BadDeviceToken"}
	}
	return nil
}

func (s *Server) refuse(w http.ResponseWriter, p Push, f Fault) {
	if f.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(f.RetryAfter.Seconds())))
	}
	if f.Body != nil && f.Status == p.Status {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(p.Status)
		_, _ = w.Write(f.Body)
		return
	}
	answer := struct {
		Reason    string `json:"reason"`
		Timestamp int64  `json:"timestamp,omitempty"`
	}{Reason: p.Reason}
	if p.Status == http.StatusGone {
		answer.Timestamp = s.deadSince(p.Token, f).UnixMilli()
	}
	w.Header().Set("apns-id", p.ID)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(answer)
}

func (s *Server) deadSince(token string, f Fault) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if since, ok := s.dead[token]; ok {
		return since
	}
	if !f.Since.IsZero() {
		return f.Since
	}
	return time.Now()
}

func (s *Server) enter() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy++
	s.stats.Requests++
	s.stats.MaxBusy = max(s.stats.MaxBusy, s.busy)
}

func (s *Server) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy--
}

// keep remembers the push, in the place of the oldest when there are enough.
func (s *Server) keep(p Push) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.Status == http.StatusOK {
		s.stats.Accepted++
	} else {
		s.stats.Reasons[p.Reason]++
	}
	if len(s.pushes) < s.options.Keep {
		s.pushes = append(s.pushes, p)
		return
	}
	s.pushes[s.next] = p
	s.next = (s.next + 1) % len(s.pushes)
}
