package main

import (
	"sync"
	"time"
)

// A demoClock plays the past, then goes with the real time. While it plays, each look at it is a little later than
// the one before.
type demoClock struct {
	mu   sync.Mutex
	at   time.Time
	live bool
}

// newDemoClock starts at nine in the morning, days ago.
func newDemoClock(days int) *demoClock {
	return &demoClock{at: time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, -days).Add(9 * time.Hour)}
}

// Now returns the time.
func (c *demoClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.live {
		return time.Now()
	}
	c.at = c.at.Add(15 * time.Millisecond)
	return c.at
}

// forward lets d pass, but never beyond the real time.
func (c *demoClock) forward(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at := c.at.Add(d); at.Before(time.Now().Add(-time.Minute)) {
		c.at = at
	}
}

func (c *demoClock) goLive() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.live = true
}
