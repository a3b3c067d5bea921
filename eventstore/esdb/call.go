package esdb

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	client "github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"google.golang.org/grpc/metadata"
)

// A call asks the database something, by a client that nobody else uses meanwhile. It is told how often it was
// tried before.
type call[T any] func(ctx context.Context, c *client.Client, tried int) (T, error)

// again makes a call, and makes it again while the server is away, as long as ctx, the log and its patience
// last. The error of an ended log is eventstore.ErrClosed.
func again[T any](ctx context.Context, l *Log, do call[T]) (none T, err error) {
	if err := l.pool.over(ctx); err != nil {
		return none, err
	}
	began := time.Now()
	var pause backoff
	for tried := 0; ; tried++ {
		answer, err := once(ctx, l, do, tried)
		if err == nil || final(err) {
			l.trouble(nil)
			return answer, err
		}
		if over := l.pool.over(ctx); over != nil {
			return none, over
		}
		l.trouble(err)
		if time.Since(began) > l.patience() {
			return none, fmt.Errorf("EventStoreDB is not there, after %s: %w", time.Since(began).Round(time.Millisecond), err)
		}
		pause.wait(ctx, l)
	}
}

// once makes one try, and leaves when ctx or the log ends, or the try takes too long, whether or not the
// client has noticed: the client's goroutine ends by itself, later.
func once[T any](ctx context.Context, l *Log, do call[T], tried int) (none T, err error) {
	ctx, unbind := l.pool.bind(ctx)
	defer unbind()
	ctx, cancel := context.WithTimeoutCause(ctx, l.options.Deadline, errSilent)
	defer cancel()
	select {
	case l.pool.slots <- struct{}{}:
	case <-ctx.Done():
		return none, context.Cause(ctx)
	}
	type outcome struct {
		answer T
		err    error
	}
	done := make(chan outcome, 1)
	err = l.pool.start(func() {
		defer func() { <-l.pool.slots }()
		answer, err := use(l, func(c *client.Client) (T, error) { return do(l.outgoing(ctx), c, tried) })
		done <- outcome{answer, err}
	})
	if err != nil {
		<-l.pool.slots
		return none, err
	}
	select {
	case o := <-done:
		return o.answer, o.err
	case <-ctx.Done():
		return none, context.Cause(ctx)
	}
}

// use lends a client to work, and makes an error of a panic.
func use[T any](l *Log, work func(*client.Client) (T, error)) (T, error) {
	c, err := l.pool.take()
	if err != nil {
		var none T
		return none, err
	}
	answer, err := guard(func() (T, error) { return work(c) })
	l.pool.give(c, fateOf(err))
	return answer, err
}

// guard makes an error of a panic in the client.
func guard[T any](work func() (T, error)) (answer T, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = panicked{r}
		}
	}()
	return work()
}

// outgoing asks for the leader, where the client means to and does not: it writes its wish into the wrong
// direction's metadata.
func (l *Log) outgoing(ctx context.Context) context.Context {
	if !l.leader {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, "requires-leader", "true")
}

// trouble logs the beginning and the end of an outage, once each.
func (l *Log) trouble(err error) {
	switch {
	case err != nil && l.away.CompareAndSwap(0, time.Now().UnixNano()):
		l.options.Logger.Warn("EventStoreDB does not serve us; trying again", "error", err)
	case err == nil && l.away.Swap(0) != 0:
		l.options.Logger.Info("EventStoreDB serves us again")
	}
}

// patience is how long a call is tried again. In a long outage nobody is kept waiting for long.
func (l *Log) patience() time.Duration {
	if since := l.away.Load(); since != 0 && time.Since(time.Unix(0, since)) > l.options.Patience {
		return l.options.Patience / 10
	}
	return l.options.Patience
}

// A backoff waits longer each time, never as long as its neighbours.
type backoff struct{ tries int }

// The shortest and the longest pause before another try.
const (
	shortest = 20 * time.Millisecond
	longest  = 5 * time.Second
)

func (b *backoff) wait(ctx context.Context, l *Log) {
	pause := min(longest, shortest<<min(b.tries, 10))
	b.tries++
	timer := time.NewTimer(pause/2 + rand.N(pause/2))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-l.pool.life.Done():
	}
}
