package device

import (
	"slices"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
)

// maxQueue is the most commands that can wait for one channel.
const maxQueue = 10_000

// Order decides what follows when somebody orders a command for a channel. noPush leaves the channel asleep.
//
// An order with an idempotency key that was used before decides nothing: Keyed tells which command it stood for.
func (d Device) Order(channel ChannelID, o Order, noPush bool, at time.Time) ([]domain.Event, error) {
	if _, known := d.Keyed(o.Key); known {
		return nil, nil
	}
	c, err := d.orderable(channel)
	if err != nil {
		return nil, err
	}
	_, _, waits := d.Item(o.UUID)
	switch {
	case o.UUID == "" || o.RequestType == "" || (len(o.Body) == 0) == (o.Bulk == ""):
		return nil, domain.Refusef(domain.Invalid, "a command needs CommandUUID and RequestType")
	case waits || slices.Contains(d.Settled, o.UUID):
		return nil, domain.Refusef(domain.Conflict, "the device has had a command with this CommandUUID: take a new one")
	case !o.ExpiresAt.IsZero() && !at.Before(o.ExpiresAt):
		return nil, domain.Refusef(domain.Invalid, "the command would have expired before it was queued")
	case !o.ExpiresAt.IsZero() && !o.NotBefore.Before(o.ExpiresAt):
		return nil, domain.Refusef(domain.Invalid, "the command would expire before it may be delivered")
	case len(c.Queue) >= maxQueue:
		return nil, domain.WithHint(domain.Refusef(domain.Conflict, "%d commands wait for the device already", maxQueue),
			"clear its queue, or find out why it no longer calls")
	}
	if o.NotBefore, err = d.passwordOrder(o); err != nil {
		return nil, err
	}
	unfit := d.Suits(channel, o.RequestType, o.Parameters)
	switch refusal, refused := domain.Refused(unfit); {
	case refused && !o.Raw:
		return nil, unfit
	case refused && o.Against == "":
		o.Against = refusal.Text
	}
	events := []domain.Event{CommandQueued{
		Channel: channel, UUID: o.UUID, RequestType: o.RequestType, Priority: o.Priority, NotBefore: o.NotBefore,
		ExpiresAt: o.ExpiresAt, SupersedeKey: o.SupersedeKey, Reason: o.Reason, Key: o.Key, NoPush: noPush, Renews: o.Renews, Raw: o.Raw, Against: o.Against,
		PassesHold: o.PassesHold, Bulk: o.Bulk, Password: o.Password, Clears: o.Clears,
		Parameters: o.Parameters, Brings: o.Brings, Body: o.Body,
	}}
	for _, item := range c.Queue {
		if o.SupersedeKey != "" && item.SupersedeKey == o.SupersedeKey && !item.Out {
			events = append(events, CommandSuperseded{channel, item.UUID, item.RequestType, o.UUID, ""})
		}
	}
	return events, nil
}

// orderable returns the channel, or the refusal of one that takes no orders.
func (d Device) orderable(channel ChannelID) (Channel, error) {
	switch d.Status {
	case "":
		return Channel{}, domain.Refusef(domain.NotFound, "no such device is known")
	case StatusAuthenticated:
		return Channel{}, domain.Refusef(domain.Conflict, "the device has authenticated, but is not enrolled yet")
	case StatusCheckedOut:
		return Channel{}, domain.Refusef(domain.Conflict, "the device has checked out")
	}
	c, known := d.Channel(channel)
	if !known {
		return c, domain.Refusef(domain.NotFound, "the device has no such user")
	}
	if !c.Enrolled {
		return c, domain.Refusef(domain.Conflict, "the user has not been seen since the device enrolled")
	}
	return c, nil
}

// Keyed returns the UUID of the command for which the idempotency key was used.
func (d Device) Keyed(key string) (uuid string, known bool) {
	for _, k := range d.Keys {
		if key != "" && k.Key == key {
			return k.UUID, true
		}
	}
	return "", false
}

// Cancel decides what follows when somebody takes a waiting command back.
func (d Device) Cancel(uuid, reason string) ([]domain.Event, error) {
	item, channel, err := d.waits(uuid)
	if err != nil {
		return nil, err
	}
	return []domain.Event{CommandCancelled{channel, uuid, item.RequestType, reason}}, nil
}

// waits returns the waiting command with the UUID, or the refusal if none waits.
func (d Device) waits(uuid string) (Item, ChannelID, error) {
	item, channel, waits := d.Item(uuid)
	switch {
	case waits:
		return item, channel, nil
	case slices.Contains(d.Settled, uuid):
		return Item{}, "", domain.Refusef(domain.Conflict, "the command has ended already")
	}
	return Item{}, "", domain.Refusef(domain.NotFound, "no such command waits for the device")
}

// ClearQueue decides what follows when somebody takes back all that waits for the device and its users.
func (d Device) ClearQueue(reason string) ([]domain.Event, error) {
	if d.Status == "" {
		return nil, domain.Refusef(domain.NotFound, "no such device is known")
	}
	return d.cancelAll(reason), nil
}

func (d Device) cancelAll(reason string) []domain.Event {
	var events []domain.Event
	for _, c := range d.Channels {
		events = append(events, c.cancelAll(reason)...)
	}
	return events
}

func (c Channel) cancelAll(reason string) []domain.Event {
	var events []domain.Event
	for _, item := range c.Queue {
		events = append(events, CommandCancelled{c.ID, item.UUID, item.RequestType, reason})
	}
	return events
}
