package push

import (
	"context"
	"time"

	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/projections"
)

// A wake is what is kept in mind of a channel while it stands on the list.
type wake struct {
	topic    string
	met      time.Time           // when the topic was looked up
	attempt  int                 // by the list's count
	busy     bool                // a push is under way
	until    time.Time           // not before
	recorded eventstore.Position // the views may not have seen this yet: until then the list is stale
	sent     time.Time           // of the last push that was accepted
	failures int                 // in a row
	told     string              // the last failure that was recorded
	toldAt   time.Time
	listed   bool // in this round
}

// round takes up what is due and sets the lanes to work. It returns when to look again at the latest.
func (n *Notifier) round(ctx context.Context) (time.Time, error) {
	now := n.Now()
	position := n.Views.Position() // before the list is read: it may be newer, but not older
	rows, err := n.Views.Due(ctx, now, n.limit())
	if err != nil {
		return now, err
	}
	if err := n.meet(ctx, rows); err != nil {
		return now, err
	}
	next := n.assign(ctx, rows, position, now)
	due, any, err := n.Views.NextDue(ctx)
	switch {
	case err != nil:
		return now, err
	case any && due.After(now):
		next = earlier(next, due)
	case any: // what is due is held back: the list does not tell what comes after it
		next = earlier(next, now.Add(time.Second))
	}
	return next, nil
}

// limit is how far the list is read: past all that is known to be held back.
func (n *Notifier) limit() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return min(batch+len(n.known), n.MostKnown)
}

// meet learns the topics of channels that were not on the list before, or whose topic may have changed.
func (n *Notifier) meet(ctx context.Context, rows []projections.Wakeup) error {
	for _, row := range rows {
		key := channel{row.Device, row.Channel}
		if n.knows(key) {
			continue
		}
		d, _, err := n.Devices.Load(ctx, row.Device)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil { // one device that cannot be read is no reason to let the others sleep
			n.Log.ErrorContext(ctx, "a device that is to be pushed could not be read", "device", row.Device, "error", err)
		}
		n.learn(key, d.Topic, err == nil)
	}
	return nil
}

func (n *Notifier) knows(key channel) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	w := n.known[key]
	return w != nil && (w.busy || n.Now().Sub(w.met) < n.LongWait)
}

func (n *Notifier) learn(key channel, topic string, read bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	w := n.known[key]
	if w == nil {
		w = &wake{}
		n.known[key] = w
	}
	w.topic, w.met = topic, n.Now()
	if !read {
		w.until = w.met.Add(n.LongWait)
	}
}

// assign gives each lane the channels that may be pushed now, in the order of the list, and forgets what is
// neither listed nor under way. It returns when the first of those held back is free.
func (n *Notifier) assign(ctx context.Context, rows []projections.Wakeup, position eventstore.Position, now time.Time) time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	next := now.Add(longest)
	for _, l := range n.lanes {
		l.queue = nil
	}
	for _, row := range rows {
		w := n.known[channel{row.Device, row.Channel}]
		if w == nil {
			continue // it was forgotten meanwhile: it will be met again
		}
		w.listed, w.attempt = true, row.Attempt
		switch {
		case w.busy || w.recorded > position: // will stir, or advance
		case w.until.After(now):
			next = earlier(next, w.until)
		default:
			l := n.lane(w.topic)
			l.queue = append(l.queue, channel{row.Device, row.Channel})
		}
	}
	for topic, l := range n.lanes {
		next = earlier(next, n.work(ctx, topic, l, now))
	}
	for key, w := range n.known {
		if !w.listed && w.recorded <= position && n.idle(w, now) {
			delete(n.known, key)
		}
		w.listed = false
	}
	return next
}

// idle reports whether nothing need be kept in mind of a channel. One whose pushes fail is known for a while after
// it has left the list: it will be back, and is then not to start from the beginning.
func (n *Notifier) idle(w *wake, now time.Time) bool {
	return !w.busy && !w.until.After(now) && now.Sub(w.sent) >= n.Coalesce &&
		(w.failures == 0 || now.Sub(w.until) >= 2*n.LongWait)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// stale reports whether the channel need not be pushed any more, or cannot be.
func stale(d device.Device, id device.ChannelID) bool {
	c, known := d.Channel(id)
	enrolled := d.Status == device.StatusEnrolled || d.Status == device.StatusPresumedUnmanaged
	return !known || !enrolled || !c.Reachable() || !c.Unmanaged.IsZero()
}
