package eventstore_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

func TestContextEndsWhileWaitingForTheLock(t *testing.T) {
	r := repository(openLog(t))
	deciding, decide := make(chan struct{}), make(chan struct{})
	first := make(chan error)
	go func() {
		_, err := r.Update(t.Context(), "a", eventstore.Meta{}, func(account, time.Time) ([]added, error) {
			close(deciding)
			<-decide
			return []added{{1, "first"}}, nil
		})
		first <- err
	}()
	<-deciding
	ctx, cancel := context.WithCancel(t.Context())
	second := make(chan error)
	go func() {
		_, err := r.Update(ctx, "a", eventstore.Meta{}, add("second"))
		second <- err
	}()
	update(t, r, "b", 1) // another account is free
	cancel()
	if err := <-second; !errors.Is(err, context.Canceled) {
		t.Errorf("the second: %v, want %v", err, context.Canceled)
	}
	close(decide)
	if err := <-first; err != nil {
		t.Error(err)
	}
	load(t, r, "a", 1)
}

// slow is a log whose appends take until they are let go.
type slow struct {
	eventstore.Log
	appending, let chan struct{}
}

func (s *slow) Append(ctx context.Context, stream eventstore.Stream, expected int64, events []eventstore.Envelope) error {
	close(s.appending)
	select {
	case <-s.let:
	case <-ctx.Done(): // outcome unknown: it is written all the same
		defer s.Log.Append(context.WithoutCancel(ctx), stream, expected, events)
		return ctx.Err()
	}
	return s.Log.Append(ctx, stream, expected, events)
}

// A caller who leaves during an append must not make the next one believe in the state before it.
func TestCallerLeavesDuringAppend(t *testing.T) {
	log := &slow{Log: openLog(t), appending: make(chan struct{}), let: make(chan struct{})}
	r := repository(log)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		_, err := r.Update(ctx, "a", eventstore.Meta{}, add("x"))
		ended <- err
	}()
	<-log.appending
	cancel()
	change := make(chan eventstore.Change[account, added])
	go func() {
		c, err := r.Update(t.Context(), "a", eventstore.Meta{}, func(account, time.Time) ([]added, error) { return nil, nil })
		if err != nil {
			t.Error(err)
		}
		change <- c
	}()
	close(log.let)
	if err := <-ended; err != nil {
		t.Errorf("the append was written, and its caller told %v", err)
	}
	if c := <-change; c.State.Sum != 1 {
		t.Errorf("the next saw a sum of %d, want 1", c.State.Sum)
	}
}

func TestEndedContextAppendsNothing(t *testing.T) {
	log := openLog(t)
	r := repository(log)
	update(t, r, "a", 1)
	ctx, cancel := context.WithCancel(t.Context())
	_, err := r.Update(ctx, "a", eventstore.Meta{}, func(account, time.Time) ([]added, error) {
		cancel()
		return []added{{1, "late"}}, nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("the update: %v, want %v", err, context.Canceled)
	}
	load(t, repository(log), "a", 1)
}
