// Package push wakes devices: it tells them by Apple's push service (APNs) to call while something waits for them.
//
// A push carries no command. A Notifier reads from the views which channels are due, tells them through a Sender,
// and lets the device record what Apple said; that strikes the channel off the list, or puts it off. The Notifier
// itself keeps nothing that matters: it may be stopped and started anywhere, and a push that is sent twice does no
// harm.
//
// Each topic has its own Lane: its own certificate, its own pushes under way, its own trouble. One that hangs, or
// whose certificate has expired, holds up no other.
package push

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/domain/pushcert"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/projections"
)

// Views tell which channels are to be pushed. *projections.Views does.
type Views interface {
	Due(ctx context.Context, now time.Time, limit int) ([]projections.Wakeup, error)
	NextDue(ctx context.Context) (time.Time, bool, error)
	Position() eventstore.Position
	Advanced(after eventstore.Position) <-chan struct{}
}

// A Sender takes a push to Apple. An error means that there was no answer; a *Trouble that there will be none until
// somebody mends something. *APNs is one.
type Sender interface {
	Send(ctx context.Context, cert pushcert.PushCertificate, m Message) (Answer, error)
}

// A Notifier tells devices to call while something waits for them. All fields are set before Run.
type Notifier struct {
	Views        Views
	Devices      *eventstore.Repository[device.Device, domain.Event]
	Certificates *eventstore.Repository[pushcert.PushCertificate, domain.Event]
	Sender       Sender
	Log          *slog.Logger                // slog.Default() if nil
	Count        func(topic, outcome string) // told of each attempt's outcome: accepted, Apple's reason, or one of ours; may be nil

	Width     int           // pushes of one topic under way at most; 50 if zero
	Keep      time.Duration // how long Apple keeps a push for a device that is off; 7 days if zero, at most 30
	Timeout   time.Duration // of one push; 30 s if zero
	Coalesce  time.Duration // before a channel that has not stirred is pushed again; 3 s if zero
	FirstWait time.Duration // before a push that failed is tried again, doubled each time; 1 s if zero
	LongWait  time.Duration // the most that FirstWait grows to; 5 minutes if zero
	Pause     time.Duration // between two looks at the list at least; 50 ms if zero
	MostKnown int           // channels of the list that are kept in mind at most; 50,000 if zero
	Now       func() time.Time

	mu      sync.Mutex
	known   map[channel]*wake // what is kept in mind of channels on the list
	lanes   map[string]*lane  // by topic
	stirred chan struct{}     // has something when a push has ended
	pushes  sync.WaitGroup
}

// A channel names one channel of one device.
type channel struct {
	device string // pseudonym
	id     device.ChannelID
}

// actor is who the Notifier is in the log.
var actor = eventstore.Actor{Kind: eventstore.ByWorker, ID: "push", Name: "push"}

// batch is how many channels of the list are taken up at a time.
const batch = 1000

// longest is how long the Notifier trusts its reckoning of when something is due: clocks can be set.
const longest = 30 * time.Second

// Run pushes what is due until ctx ends, which is no error. One Run at a time. It ends when all pushes under way
// have ended: at once those that wait for Apple, and what Apple has answered is recorded first.
func (n *Notifier) Run(ctx context.Context) error {
	n.prepare()
	defer n.pushes.Wait()
	if err := n.catchUp(ctx); err != nil || ctx.Err() != nil {
		return err
	}
	for {
		position, began := n.Views.Position(), time.Now()
		next, err := n.round(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			n.Log.ErrorContext(ctx, "the list of channels to push could not be read", "error", err)
			next = n.Now().Add(time.Second)
		}
		if !pause(ctx, max(n.Pause, min(16*time.Since(began), time.Second))) { // a long list is no reason to do nothing but read it
			return nil
		}
		n.await(ctx, position, next)
	}
}

// catchUp waits until the views know all that had happened before the Notifier started: views that are built anew
// tell of devices that have come long ago.
func (n *Notifier) catchUp(ctx context.Context) error {
	head, err := n.Devices.Log.Head(ctx)
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("find the end of the log: %w", err)
	}
	for at := n.Views.Position(); at < head && ctx.Err() == nil; at = n.Views.Position() {
		select {
		case <-ctx.Done():
		case <-n.Views.Advanced(at): // of the position just read: a later one might be the last for a long time
		}
	}
	return nil
}

// pause waits and reports whether ctx goes on.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// await waits until there may be something to do: the views have moved on, a push has ended, or it is time.
func (n *Notifier) await(ctx context.Context, position eventstore.Position, next time.Time) {
	timer := time.NewTimer(min(next.Sub(n.Now()), longest))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-n.stirred:
	case <-n.Views.Advanced(position):
	}
}

func (n *Notifier) prepare() {
	n.known, n.lanes, n.stirred = map[channel]*wake{}, map[string]*lane{}, make(chan struct{}, 1)
	if n.Log == nil {
		n.Log = slog.Default()
	}
	if n.Now == nil {
		n.Now = time.Now
	}
	n.Width = or(n.Width, defaultSlots)
	n.Keep = min(or(n.Keep, 7*24*time.Hour), 30*24*time.Hour)
	n.Timeout = or(n.Timeout, 30*time.Second)
	n.Coalesce = or(n.Coalesce, 3*time.Second)
	n.FirstWait = or(n.FirstWait, time.Second)
	n.LongWait = or(n.LongWait, 5*time.Minute)
	n.Pause = or(n.Pause, 50*time.Millisecond)
	n.MostKnown = or(n.MostKnown, 50_000)
}

func or[T int | time.Duration](value, instead T) T {
	if value == 0 {
		return instead
	}
	return value
}

// stir says that a push has ended.
func (n *Notifier) stir() {
	select {
	case n.stirred <- struct{}{}:
	default:
	}
}
