package device

import (
	"slices"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
)

// A WantedOrdered says that a channel was ordered what brings it to where it is wanted to be, by commands queued with this
// event.
type WantedOrdered struct {
	Channel  ChannelID `json:",omitempty"`
	Thing    string    // profile/, app/ or inventory/ and its name; check/ and a list; or setup
	Revision string    `json:",omitempty"`
	Attempt  int       // at this revision, from 1
	Removes  bool      `json:",omitempty"`
	UUIDs    []string  // CommandUUIDs
}

// A WantedRefused says why a channel cannot be brought to where it is wanted to be: as far as it is known, it would refuse.
type WantedRefused struct {
	Channel  ChannelID `json:",omitempty"`
	Thing    string
	Revision string `json:",omitempty"`
	Removes  bool   `json:",omitempty"`
	Because  string
}

// A WantedRetried says that somebody wants to see it tried again, whatever happened before.
type WantedRetried struct {
	Channel ChannelID `json:",omitempty"`
	Thing   string
	Reason  string `seal:"personal" json:",omitempty"`
}

// EventType returns the stored name.
func (WantedOrdered) EventType() string { return "device.wanted-ordered" }

// EventType returns the stored name.
func (WantedRefused) EventType() string { return "device.wanted-refused" }

// EventType returns the stored name.
func (WantedRetried) EventType() string { return "device.wanted-retried" }

// Want decides what follows when a channel is to be brought somewhere by orders. An order whose idempotency key was used,
// or, if it has none, whose supersede key waits already, is left out; if all are, nothing follows.
func (d Device) Want(w WantedOrdered, orders []Order, at time.Time) ([]domain.Event, error) {
	c, err := d.orderable(w.Channel)
	if err != nil {
		return nil, err
	}
	var events []domain.Event
	for _, o := range orders {
		waits := func(item *Item) bool { return item.SupersedeKey == o.SupersedeKey }
		if o.Key == "" && slices.ContainsFunc(c.Queue, waits) || w.Thing == "setup" && c.has(o.RequestType) {
			continue
		}
		some, err := d.Order(w.Channel, o, false, at)
		if err != nil {
			return nil, err
		}
		if len(some) > 0 {
			w.UUIDs, events = append(w.UUIDs, o.UUID), append(events, some...)
		}
	}
	if len(events) == 0 {
		return nil, nil
	}
	return append(events, w), nil
}

// RetryWanted decides what follows when somebody wants something tried again at once.
func (d Device) RetryWanted(channel ChannelID, thing, reason string) ([]domain.Event, error) {
	if _, err := d.orderable(channel); err != nil {
		return nil, err
	}
	return []domain.Event{WantedRetried{channel, thing, reason}}, nil
}
