package esdb

import (
	"context"
	"fmt"
	"time"

	client "github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

// ahead is how many events a subscription may bring before they are taken.
const ahead = 256

// subscribe starts a subscription to all events after a position. It brings events, and at last the reason of
// its end, unless ctx has ended.
func (l *Log) subscribe(ctx context.Context, after client.Position) (<-chan arrival, error) {
	out := make(chan arrival, ahead)
	err := l.pool.start(func() {
		_, err := use(l, func(c *client.Client) (struct{}, error) { return struct{}{}, l.pump(ctx, c, after, out) })
		select {
		case out <- arrival{err: err}:
		case <-ctx.Done():
		}
	})
	return out, err
}

// pump moves what a subscription brings, until it ends. It never returns nil.
func (l *Log) pump(ctx context.Context, c *client.Client, after client.Position, out chan<- arrival) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	subscription, err := l.confirmed(ctx, cancel, c, after)
	if err != nil {
		return err
	}
	defer subscription.Close()
	for {
		what := subscription.Recv() // it has no context, but ends with the one it was made with
		switch {
		case what.SubscriptionDropped != nil:
			return fmt.Errorf("the subscription was dropped: %w", what.SubscriptionDropped.Error)
		case what.EventAppeared == nil || what.EventAppeared.Event == nil:
			continue
		}
		select {
		case out <- arrival{event: what.EventAppeared.Event}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// confirmed subscribes, and waits for the confirmation as long as one try may take. The database's own events
// are left out at the source; those of neighbours come.
func (l *Log) confirmed(ctx context.Context, cancel context.CancelCauseFunc, c *client.Client, after client.Position) (*client.Subscription, error) {
	silent := time.AfterFunc(l.options.Deadline, func() { cancel(errSilent) })
	options := client.SubscribeToAllOptions{
		From: client.AllPosition(after), Filter: client.ExcludeSystemEventsFilter(), MaxSearchWindow: 1000, CheckpointInterval: 100,
	}
	if after.Commit == 0 {
		options.From = client.Start{}
	}
	subscription, err := c.SubscribeToAll(l.outgoing(ctx), options)
	if !silent.Stop() && err == nil {
		_ = subscription.Close() // it returns no error
		err = errSilent
	}
	return subscription, err
}
