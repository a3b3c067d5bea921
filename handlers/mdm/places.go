package mdm

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// What the door holds at once if nothing is set: messages between being read and being answered. Four times as many
// may wait, each as long as placePatience.
const (
	defaultAtOnce = 512
	waitPerPlace  = 4
	placePatience = 5 * time.Second
)

// errCrowded says that as many messages are under way, and wait, as the server holds.
var errCrowded = errors.New("too many messages are under way")

// places bound how many messages are under way. When the log is slow, devices come faster than they go: those beyond
// the bound are asked to come again, so that memory does not grow and the others are served.
type places struct {
	taken    chan struct{} // holds one element for each message under way
	waiting  atomic.Int64
	patience time.Duration
	told     rate.Sometimes // how often the program's log says so
}

func newPlaces(most int) *places {
	return &places{
		taken: make(chan struct{}, most), patience: placePatience, told: rate.Sometimes{Interval: time.Minute},
	}
}

// take waits for a place, which must be left again. errCrowded: there is none, not even to wait.
func (p *places) take(ctx context.Context) error {
	select {
	case p.taken <- struct{}{}:
		return nil
	default:
	}
	if p.waiting.Add(1) > int64(waitPerPlace*cap(p.taken)) {
		p.waiting.Add(-1)
		return errCrowded
	}
	defer p.waiting.Add(-1)
	patience := time.NewTimer(p.patience)
	defer patience.Stop()
	select {
	case p.taken <- struct{}{}:
		return nil
	case <-patience.C:
		return errCrowded
	case <-ctx.Done():
		return errBrokenOff
	}
}

func (p *places) leave() { <-p.taken }
