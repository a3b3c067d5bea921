package mdm

import (
	"sync"
	"sync/atomic"
	"time"
)

// maxCounted is how many names are counted in an hour. Beyond it nothing is kept until the hour ends.
const maxCounted = 1 << 16

// A counter counts from many sides.
type counter struct{ atomic.Int64 }

// take returns the count and begins anew.
func (c *counter) take() int { return int(c.Swap(0)) }

// hourly bounds how often in an hour something may happen to one name.
type hourly struct {
	most int

	mu   sync.Mutex
	hour time.Time
	used map[string]int
}

// allow reports whether it may happen to all the names, and counts it if so.
func (h *hourly) allow(now time.Time, names ...string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if hour := now.Truncate(time.Hour); !hour.Equal(h.hour) || h.used == nil {
		h.hour, h.used = hour, map[string]int{}
	}
	if len(h.used)+len(names) > maxCounted {
		return false
	}
	for _, n := range names {
		if h.used[n] >= h.most {
			return false
		}
	}
	for _, n := range names {
		h.used[n]++
	}
	return true
}

// polls counts idle polls that left no event, until the next one that does.
type polls struct {
	mu    sync.Mutex
	since map[pollKey]int
}

type pollKey struct{ device, channel string }

func newPolls() *polls { return &polls{since: map[pollKey]int{}} }

func (p *polls) of(k pollKey) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.since[k]
}

// add counts one more. Where too many devices are counted, one of them begins anew: its next event tells too few.
func (p *polls) add(k pollKey) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, known := p.since[k]; !known && len(p.since) >= maxCounted {
		for other := range p.since {
			delete(p.since, other)
			break
		}
	}
	p.since[k]++
}

func (p *polls) told(k pollKey) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.since, k)
}
