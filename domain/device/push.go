package device

import (
	"bytes"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
)

// RequestPush decides what follows when somebody wants a channel to call.
func (d Device) RequestPush(channel ChannelID, because string) ([]domain.Event, error) {
	c, err := d.orderable(channel)
	if err != nil {
		return nil, err
	}
	if !c.Reachable() {
		return nil, domain.Refusef(domain.Conflict, "the device has given no push token")
	}
	return []domain.Event{PushRequested{channel, because}}, nil
}

// A Push is one attempt to wake a channel, and what Apple said.
type Push struct {
	Channel      ChannelID
	Token        []byte // the one it was sent to
	APNsID       string // if it was accepted
	Attempt      int
	Status       int
	Reason       string    // why it was refused; empty if it was accepted
	Final        bool      // trying again cannot help
	Unregistered bool      // Apple says that the token is dead
	DeadSince    time.Time // since when, if Apple said so
}

// RecordPush decides what follows from an attempt to wake a channel. That a token is dead says something about
// the device only if it is still the newest one, and was given before it died. If it is the device's own, the device is
// presumed to be managed no longer, until it speaks.
func (d Device) RecordPush(p Push) ([]domain.Event, error) {
	c, known := d.Channel(p.Channel)
	if !known || d.Status == "" {
		return nil, nil
	}
	if p.Reason == "" {
		return []domain.Event{PushAccepted{p.Channel, p.APNsID, p.Attempt}}, nil
	}
	newest := bytes.Equal(c.Token, p.Token) && (p.DeadSince.IsZero() || c.Since.Before(p.DeadSince))
	events := []domain.Event{PushRefused{
		Channel: p.Channel, Status: p.Status, Reason: p.Reason,
		Final: p.Final && newest, Unregistered: p.Unregistered && newest,
	}}
	if p.Unregistered && newest && p.Channel == "" && d.Status == StatusEnrolled {
		events = append(events, PresumedUnmanaged{"Apple says that its push token is no longer registered (" + p.Reason + ")"})
	}
	return events, nil
}
