package push

import (
	"context"
	"fmt"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/domain/pushcert"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

// again is how often a push whose connection broke is sent once more, at once.
const again = 3

// tellEvery is how often the same failure of the same channel is recorded.
const tellEvery = time.Hour

// push tells one channel to call, and records what came of it.
func (n *Notifier) push(ctx context.Context, topic string, l *lane, key channel) {
	d, _, err := n.Devices.Load(ctx, key.device)
	cert, why := n.certificate(ctx, topic, n.Now())
	switch {
	case err != nil || why != "":
		n.hold(key, n.FirstWait)
		return
	case d.Topic != topic: // it has enrolled anew meanwhile
		n.forget(key)
		return
	case stale(d, key.id):
		n.hold(key, n.LongWait)
		return
	case n.asleep(key, d) > 0:
		n.hold(key, n.asleep(key, d))
		return
	}
	c, _ := d.Channel(key.id)
	o := n.send(ctx, cert, Message{Token: c.Token, Magic: c.PushMagic, Expiration: n.Now().Add(n.Keep)})
	if o.text != "" && ctx.Err() != nil {
		n.hold(key, 0) // we were stopped; nothing is known
		return
	}
	n.count(topic, o.name())
	n.settle(ctx, topic, l, key, cert, o)
	n.record(ctx, key, c, o)
}

// asleep is how long a channel is left alone after a push: until it has stirred, but not for long.
func (n *Notifier) asleep(key channel, d device.Device) time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	w := n.known[key]
	if d.LastSeen.After(w.sent) {
		return 0
	}
	return w.sent.Add(n.Coalesce).Sub(n.Now())
}

// send sends the push, and sends it again when the connection breaks: it is harmless twice.
func (n *Notifier) send(ctx context.Context, cert pushcert.PushCertificate, m Message) outcome {
	ctx, cancel := context.WithTimeout(ctx, n.Timeout)
	defer cancel()
	o := judge(n.Sender.Send(ctx, cert, m))
	for range again {
		if !o.broken || ctx.Err() != nil {
			break
		}
		o = judge(n.Sender.Send(ctx, cert, m))
	}
	return o
}

// settle tells the lane and the channel how it went, and holds the channel back as long as it should be.
func (n *Notifier) settle(ctx context.Context, topic string, l *lane, key channel, cert pushcert.PushCertificate, o outcome) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.went(ctx, topic, l, cert.Fingerprint, o)
	w := n.known[key]
	switch {
	case o.text == "":
		w.failures, w.sent, w.told = 0, n.Now(), ""
		return
	case o.slow, o.ours:
		w.until = n.Now().Add(max(n.wait(w.failures, troubled), o.after))
	default:
		w.until = n.Now().Add(max(n.wait(w.failures, 1), o.after))
	}
	w.failures++
	if o.final || o.ours {
		n.Log.WarnContext(ctx, "Apple refuses to push a device", "device", key.device, "topic", topic, "status", o.status, "reason", o.text)
	}
}

// record lets the device record what came of the push. The same failure is recorded only now and then: an outage
// of Apple's must not fill the log.
func (n *Notifier) record(ctx context.Context, key channel, c device.Channel, o outcome) {
	attempt, tell := n.tell(key, o)
	if !tell {
		n.release(key, 0)
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second) // what Apple said is not said again
	defer cancel()
	change, err := n.Devices.Update(ctx, key.device, eventstore.Meta{Actor: actor}, func(d device.Device, _ time.Time) ([]domain.Event, error) {
		return d.RecordPush(o.push(key.id, c.Token, attempt))
	})
	if err != nil {
		n.Log.ErrorContext(ctx, "what Apple said to a push was not recorded: it will be sent again", "device", key.device,
			"error", fmt.Errorf("record a push: %w", err))
		n.hold(key, n.FirstWait)
		return
	}
	n.release(key, change.Position)
}

// tell reports whether the outcome is to be recorded, and as which attempt.
func (n *Notifier) tell(key channel, o outcome) (attempt int, tell bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	w, now := n.known[key], n.Now()
	if o.text != "" && !o.final && w.told == o.text && now.Sub(w.toldAt) < tellEvery {
		return 0, false
	}
	if o.text != "" {
		w.told, w.toldAt = o.text, now
	}
	return max(w.attempt, 1), true
}

// release says that no push of the channel is under way any more, and what the views have to see before the list
// tells the truth about it.
func (n *Notifier) release(key channel, recorded eventstore.Position) {
	n.mu.Lock()
	defer n.mu.Unlock()
	w := n.known[key]
	w.busy, w.recorded = false, max(w.recorded, recorded)
}

// hold holds the channel back for a while.
func (n *Notifier) hold(key channel, d time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	w := n.known[key]
	w.busy, w.until = false, n.Now().Add(d)
}

// forget lets the channel be met anew.
func (n *Notifier) forget(key channel) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.known, key)
}

func (n *Notifier) count(topic, outcome string) {
	if n.Count != nil {
		n.Count(topic, outcome)
	}
}
