package mdmtest

import (
	"context"
	"math"
	"sync"
	"time"
)

// A Stopwatch times the messages of all wires that it stands around.
type Stopwatch struct {
	mu    sync.Mutex
	since time.Time
	now   Figures
}

// Figures are what a Stopwatch saw. Times are right to two in a hundred.
type Figures struct {
	Requests int           `json:"requests"`
	Errors   int           `json:"errors"` // no answer, or one of status 400 and more
	Took     time.Duration `json:"tookNanoseconds"`
	Rate     float64       `json:"requestsPerSecond"`
	P50      time.Duration `json:"p50Nanoseconds"`
	P95      time.Duration `json:"p95Nanoseconds"`
	P99      time.Duration `json:"p99Nanoseconds"`
	Max      time.Duration `json:"maxNanoseconds"`
	Sent     int64         `json:"sentBytes"` // in bodies

	times histogram
}

// A histogram counts times in classes that grow by two in a hundred, from a microsecond to eight minutes.
type histogram [1000]int

func (h *histogram) add(d time.Duration) {
	class := 50 * math.Log(float64(max(d, time.Microsecond))/float64(time.Microsecond))
	h[min(int(class), len(h)-1)]++
}

// at returns the time below which that share of all lies.
func (h *histogram) at(share float64) time.Duration {
	total := 0
	for _, n := range h {
		total += n
	}
	left := int(math.Ceil(share * float64(total)))
	for class, n := range h {
		if left -= n; left <= 0 {
			return time.Duration(math.Exp((float64(class)+0.5)/50) * float64(time.Microsecond))
		}
	}
	return 0
}

// Around returns a wire that is timed. A nil Stopwatch returns the wire as it is.
func (s *Stopwatch) Around(w Wire) Wire {
	if s == nil {
		return w
	}
	return timed{s, w}
}

type timed struct {
	watch *Stopwatch
	wire  Wire
}

func (t timed) Send(ctx context.Context, r Request) (Answer, error) {
	start := time.Now()
	a, err := t.wire.Send(ctx, r)
	t.watch.note(time.Since(start), len(r.Body), err != nil || a.Status >= 400)
	return a, err
}

func (s *Stopwatch) note(took time.Duration, bytes int, wrong bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now.Requests++
	s.now.times.add(took)
	s.now.Max = max(s.now.Max, took)
	s.now.Sent += int64(bytes)
	if wrong {
		s.now.Errors++
	}
}

// Start forgets everything and starts anew.
func (s *Stopwatch) Start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.since, s.now = time.Now(), Figures{}
}

// Read returns the figures since Start.
func (s *Stopwatch) Read() Figures {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.now
	f.Took = time.Since(s.since)
	return f.summed()
}

// summed fills in what follows from the rest.
func (f Figures) summed() Figures {
	if f.Requests == 0 {
		return f
	}
	f.Rate = float64(f.Requests) / f.Took.Seconds()
	f.P50, f.P95, f.P99 = min(f.times.at(0.5), f.Max), min(f.times.at(0.95), f.Max), min(f.times.at(0.99), f.Max)
	return f
}

// Plus returns the figures of both times together.
func (f Figures) Plus(g Figures) Figures {
	f.Requests, f.Errors, f.Took, f.Sent = f.Requests+g.Requests, f.Errors+g.Errors, f.Took+g.Took, f.Sent+g.Sent
	f.Max = max(f.Max, g.Max)
	for class, n := range g.times {
		f.times[class] += n
	}
	return f.summed()
}
