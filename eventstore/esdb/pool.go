package esdb

import (
	"context"
	"sync"
	"time"

	client "github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// A pool keeps clients that are connected and idle. A client has one user at a time: the client's own way of
// reconnecting can neither block nor panic in one caller because of another.
type pool struct {
	config *client.Configuration
	slots  chan struct{} // as many as calls may be under way
	life   context.Context
	end    context.CancelFunc

	mu   sync.Mutex
	idle []*client.Client // the last was used last
	busy sync.WaitGroup   // goroutines that may still use a client
}

func newPool(config *client.Configuration, slots int) *pool {
	p := &pool{config: config, slots: make(chan struct{}, slots)}
	p.life, p.end = context.WithCancel(context.Background())
	return p
}

// start runs work in a goroutine that close waits for.
func (p *pool) start(work func()) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.life.Err() != nil {
		return eventstore.ErrClosed
	}
	p.busy.Go(work)
	return nil
}

// take returns an idle client, or a new one. A new client connects when it is first used.
func (p *pool) take() (*client.Client, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.idle); n > 0 {
		c := p.idle[n-1]
		p.idle = p.idle[:n-1]
		return c, nil
	}
	return client.NewClient(p.config)
}

// give takes a client back. If its call did not end cleanly, it is closed: nobody else uses it. If it lost its
// server, the idle ones have lost theirs, too.
func (p *pool) give(c *client.Client, f fate) {
	p.mu.Lock()
	closing := []*client.Client{c}
	switch {
	case f == lost:
		closing, p.idle = append(closing, p.idle...), nil
	case f == well && p.life.Err() == nil && len(p.idle) < cap(p.slots):
		p.idle, closing = append(p.idle, c), nil
	}
	p.mu.Unlock()
	for _, c := range closing {
		_ = c.Close() // it returns no error
	}
}

// farewell is how long close waits for calls that do not hear that it is over.
const farewell = time.Second

func (p *pool) close() {
	p.mu.Lock()
	p.end()
	idle := p.idle
	p.idle = nil
	p.mu.Unlock()
	for _, c := range idle {
		_ = c.Close()
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		p.busy.Wait()
	}()
	select {
	case <-gone:
	case <-time.After(farewell):
	}
}

// bind returns a context that ends with ctx, and with the pool.
func (p *pool) bind(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(p.life, cancel)
	return ctx, func() { stop(); cancel() }
}

// over says why a call of ctx must end: nil if it need not.
func (p *pool) over(ctx context.Context) error {
	if p.life.Err() != nil {
		return eventstore.ErrClosed
	}
	return ctx.Err()
}
