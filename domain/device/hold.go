package device

import (
	"slices"
	"strings"

	"github.com/rollcall-mdm/rollcall/domain"
)

// A hold keeps what waits from being delivered, and the device from being woken for it, until somebody releases it. All
// else goes on: what waits may expire, be cancelled and be superseded; an answer to what was handed out before is taken.
//
// A device's hold is one of all its users too, and outlives an enrolment: only a release ends it, or an erasure. Nothing
// passes it but a command that was ordered to (Order.PassesHold), such as the lock of a device that was lost meanwhile.

// A QueueHeld says that nothing that waits for the device and its users is delivered from now on; with a Channel, nothing
// that waits for that user.
type QueueHeld struct {
	Channel ChannelID `json:",omitempty"`
	Reason  string    `seal:"personal" json:",omitempty"` // a person's own words
}

// A QueueReleased says that a hold has ended.
type QueueReleased struct {
	Channel ChannelID `json:",omitempty"`
	Reason  string    `seal:"personal" json:",omitempty"`
}

// A CommandHeld says that a waiting command is not delivered from now on, even if it passes a held queue.
type CommandHeld struct {
	Channel     ChannelID `json:",omitempty"`
	UUID        string
	RequestType string
	Reason      string `seal:"personal" json:",omitempty"`
}

// A CommandReleased says that a command waits as any other again.
type CommandReleased struct {
	Channel     ChannelID `json:",omitempty"`
	UUID        string
	RequestType string
	Reason      string `seal:"personal" json:",omitempty"`
}

func (QueueHeld) EventType() string       { return "device.queue-held" }
func (QueueReleased) EventType() string   { return "device.queue-released" }
func (CommandHeld) EventType() string     { return "device.command-held" }
func (CommandReleased) EventType() string { return "device.command-released" }

func (e QueueHeld) SealSubject() string       { return string(e.Channel) }
func (e QueueReleased) SealSubject() string   { return string(e.Channel) }
func (e CommandHeld) SealSubject() string     { return string(e.Channel) }
func (e CommandReleased) SealSubject() string { return string(e.Channel) }

// HoldQueue decides what follows when somebody holds what waits for the device and its users, or, of a user's channel,
// for that user. A queue that is held already decides nothing.
func (d Device) HoldQueue(channel ChannelID, reason string) ([]domain.Event, error) {
	_, known := d.Channel(channel)
	switch {
	case d.Status == "":
		return nil, domain.Refusef(domain.NotFound, "no such device is known")
	case channel != "" && !known:
		return nil, domain.Refusef(domain.NotFound, "the device has no such user")
	case strings.TrimSpace(reason) == "":
		return nil, domain.Refusef(domain.Invalid, "say why the queue is held: whoever waits for it is told")
	case slices.Contains(d.Held, channel):
		return nil, nil
	}
	return []domain.Event{QueueHeld{channel, reason}}, nil
}

// ReleaseQueue decides what follows when somebody ends a hold. A user's queue stays held as long as his device's is.
func (d Device) ReleaseQueue(channel ChannelID, reason string) ([]domain.Event, error) {
	switch {
	case d.Status == "":
		return nil, domain.Refusef(domain.NotFound, "no such device is known")
	case !slices.Contains(d.Held, channel):
		return nil, nil
	case channel == "" && d.Isolated != "":
		return nil, domain.WithHint(domain.Refusef(domain.Conflict, "the device is in quarantine"), "liftQuarantine ends that")
	}
	return []domain.Event{QueueReleased{channel, reason}}, nil
}

// HoldCommand decides what follows when somebody holds one waiting command.
func (d Device) HoldCommand(uuid, reason string) ([]domain.Event, error) {
	item, channel, err := d.waits(uuid)
	switch {
	case err != nil:
		return nil, err
	case strings.TrimSpace(reason) == "":
		return nil, domain.Refusef(domain.Invalid, "say why the command is held: whoever waits for it is told")
	case item.Held:
		return nil, nil
	}
	return []domain.Event{CommandHeld{channel, uuid, item.RequestType, reason}}, nil
}

// ReleaseCommand decides what follows when somebody ends the hold of one command.
func (d Device) ReleaseCommand(uuid, reason string) ([]domain.Event, error) {
	item, channel, err := d.waits(uuid)
	if err != nil || !item.Held {
		return nil, err
	}
	return []domain.Event{CommandReleased{channel, uuid, item.RequestType, reason}}, nil
}

// holds reports whether a hold keeps the command from its channel.
func (d Device) holds(channel ChannelID, item *Item) bool {
	if item.Held || len(d.Held) == 0 {
		return item.Held
	}
	return !item.PassesHold && (slices.Contains(d.Held, "") || slices.Contains(d.Held, channel))
}

// evolveHold does what Evolve does for holds.
func (d Device) evolveHold(e domain.Event) Device {
	switch e := e.(type) {
	case QueueHeld:
		d.Held = append(slices.Clip(d.Held), e.Channel)
	case QueueReleased:
		d.Held = d.released(e.Channel)
	case CommandHeld:
		return d.held(e.Channel, e.UUID, true)
	case CommandReleased:
		return d.held(e.Channel, e.UUID, false)
	}
	return d
}

// released returns the holds but for one; nil if there are no others.
func (d Device) released(channel ChannelID) (rest []ChannelID) {
	for _, held := range d.Held {
		if held != channel {
			rest = append(rest, held)
		}
	}
	return rest
}

func (d Device) held(channel ChannelID, uuid string, held bool) Device {
	return d.with(channel, func(c *Channel) {
		c.Queue = mapped(c.Queue, func(item **Item) {
			if (*item).UUID == uuid {
				after := **item
				after.Held = held
				*item = &after
			}
		})
	})
}
