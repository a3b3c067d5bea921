package projections

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/rollcall-mdm/rollcall/domain/device"
)

// WaitingBecause says in words why a command still waits; it is empty if the command has ended.
func (v *Views) WaitingBecause(ctx context.Context, c Command, now time.Time) (words string, err error) {
	if !c.State.Waits() {
		return "", nil
	}
	err = v.read(ctx, func(tx Tx) error {
		words, err = waitingBecause(tx, c, now)
		return err
	})
	return words, err
}

func waitingBecause(tx Tx, c Command, now time.Time) (string, error) {
	id, err := idOf(tx, devices, c.Device)
	if err != nil {
		return "", err
	}
	d, _, err := newAlbum(tx, Now).device(id)
	if err != nil {
		return "", err
	}
	channel := int64(0)
	if c.Channel != "" {
		if channel, err = idOf(tx, channels, string(c.Channel)); err != nil {
			return "", err
		}
	}
	state, err := wakingOf(tx, id, channel)
	if err != nil {
		return "", err
	}
	held, what, err := holdOf(tx, id, channel, c, state)
	if err != nil {
		return "", err
	}
	if what != "" && d.Status != device.StatusAuthenticated && d.Status != device.StatusCheckedOut {
		words := heldBy(held, what)
		if c.State == Delivered {
			words = fmt.Sprintf("handed out at %s, no answer yet, and not again for now: %s", stamp(lastDelivery(c, standing{waking: state})), words)
		}
		return words, nil
	}
	ahead, err := aheadOf(tx, id, c, state, now)
	if err != nil {
		return "", err
	}
	trouble, err := certificateTrouble(tx, d.Topic, now)
	return strings.Join(reasons(c, d, standing{state, ahead, trouble}, now), "; "), err
}

// A standing is what else decides how long a command waits.
type standing struct {
	waking
	ahead       int    // commands that will be offered before it
	certificate string // why nobody can push the device; empty if somebody can
}

// certificateTrouble says why devices of a topic cannot be pushed, if so.
func certificateTrouble(tx Tx, topic string, now time.Time) (trouble string, err error) {
	trouble = fmt.Sprintf("there is no push certificate for %s: the device cannot be woken", topic)
	err = tx.Query("SELECT not_after FROM pushcerts WHERE topic = ?", []any{topic}, func(r Row) error {
		trouble = ""
		if until := moment(r.Int(0)); !now.Before(until) {
			trouble = fmt.Sprintf("the push certificate for %s expired at %s: the device cannot be woken", topic, stamp(until))
		}
		return nil
	})
	return trouble, err
}

// heldBy says who holds a command or its queue, since when, and why.
func heldBy(h Hold, what string) string {
	words := fmt.Sprintf("%s holds %s since %s", actorLabel(h.By, ""), what, stamp(h.Since))
	if h.Reason != "" {
		words += ": " + h.Reason
	}
	return words
}

// aheadOf counts the commands that will be offered before this one.
func aheadOf(tx Tx, id int64, c Command, w waking, now time.Time) (ahead int, err error) {
	queue, err := queueOf(tx, id)
	for _, other := range queue {
		if other.Position == c.Position {
			break
		}
		if other.Channel == c.Channel && !now.Before(other.NotBefore) && !w.withholds(other.UUID) {
			ahead++
		}
	}
	return ahead, err
}

// reasons says why a command waits, the nearest cause first.
func reasons(c Command, d Device, w standing, now time.Time) []string {
	switch {
	case d.Status == device.StatusAuthenticated:
		return []string{"the device has authenticated, but is not enrolled yet"}
	case d.Status == device.StatusCheckedOut:
		return []string{"the device has checked out"}
	case now.Before(c.NotBefore):
		return []string{"not due until " + stamp(c.NotBefore)}
	case c.State == Delivered:
		return append([]string{fmt.Sprintf("handed out at %s, no answer yet", stamp(lastDelivery(c, w)))}, silent(w, c, d)...)
	}
	var said []string
	switch {
	case d.Status == device.StatusPresumedUnmanaged:
		said = append(said, fmt.Sprintf("the device is presumed to be managed no longer (%s)", d.StatusReason))
	case !c.ExpiresAt.IsZero() && !now.Before(c.ExpiresAt):
		return []string{"its time was over at " + stamp(c.ExpiresAt) + ": it ends when the device calls next"}
	}
	if c.Deferrals > 0 {
		said = append(said, fmt.Sprintf("the device answered NotNow %s, last at %s", times(c.Deferrals), stamp(c.DeferredAt)))
	}
	switch {
	case w.ahead == 1:
		said = append(said, "waits behind another command")
	case w.ahead > 1:
		said = append(said, fmt.Sprintf("waits behind %d other commands", w.ahead))
	}
	return append(said, silent(w, c, d)...)
}

// lastDelivery is when a command was handed out last: the channel has said nothing since, so its last contact.
func lastDelivery(c Command, w standing) time.Time {
	if w.InFlight {
		return moment(w.Contact)
	}
	return c.DeliveredAt
}

// silent says why the channel does not call.
func silent(w standing, c Command, d Device) []string {
	switch {
	case !w.Token:
		return []string{"no push token: the device cannot be woken"}
	case w.Stopped:
		return []string{"Apple refuses pushes to the device until it gives a new token"}
	case w.Refusals > 0:
		return []string{fmt.Sprintf("the push was refused %s, the next is due at %s", times(w.Refusals), stamp(moment(w.Due)))}
	case w.Accepted == 1:
		return []string{"the device was pushed at " + stamp(moment(w.Latest)) + " and has not called since"}
	case w.Accepted > 1:
		return []string{fmt.Sprintf("the device was pushed %s, last at %s, and has not called since", times(w.Accepted), stamp(moment(w.Latest)))}
	case w.InFlight && c.State != Delivered:
		return []string{"the device is busy with a command since " + stamp(moment(w.Contact))}
	case w.Due != 0 && c.State != Deferred:
		return []string{w.push()}
	case w.Due != 0 && c.State == Deferred:
		return []string{"it is offered again when the device calls; " + w.push()}
	case c.NoPush:
		return []string{"nobody woke the device for it (nopush)"}
	case !d.LastSeenAt.IsZero() && d.LastSeenAt.Before(c.QueuedAt):
		return []string{"the device has not been seen since " + stamp(d.LastSeenAt)}
	}
	return []string{"it is offered when the device calls next"}
}

// push says when a push is due, or why none can be sent.
func (w standing) push() string {
	if w.certificate != "" {
		return w.certificate
	}
	return "a push is due at " + stamp(moment(w.Due))
}

// stamp writes a time for people: UTC, to the second.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

func times(n int) string {
	switch n {
	case 1:
		return "once"
	case 2:
		return "twice"
	}
	return fmt.Sprintf("%d times", n)
}
