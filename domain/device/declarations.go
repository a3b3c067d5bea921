package device

import (
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
)

// DeclarativeManagement is the command that tells a channel to look after its declarations.
const DeclarativeManagement = "DeclarativeManagement"

// A DeclarationsAnnounced says that a channel was told, by a command queued with this event, that it is to have the set of
// declarations with this token.
type DeclarationsAnnounced struct {
	Channel ChannelID `json:",omitempty"`
	Token   string    // DeclarationsToken
}

// EventType returns the stored name.
func (DeclarationsAnnounced) EventType() string { return "device.declarations-announced" }

// Declares refuses a device that has no declarations to ask about, for it is not managed.
func (d Device) Declares() error { return d.managed() }

// AnnounceDeclarations decides what follows when a channel is to have another set of declarations: the order tells it so,
// in the place of one that waits already. A channel that was told of this very set is not told again, unless the command
// was taken back or ran out before it arrived.
func (d Device) AnnounceDeclarations(channel ChannelID, token string, o Order, at time.Time) ([]domain.Event, error) {
	c, err := d.orderable(channel)
	if err != nil {
		return nil, err
	}
	if c.Announced == token {
		return nil, nil
	}
	o.SupersedeKey = "declarations"
	events, err := d.Order(channel, o, false, at)
	if err != nil {
		return nil, err
	}
	return append(events, DeclarationsAnnounced{channel, token}), nil
}

// unannounced returns the device after a command ended that its channel has not seen.
func (d Device) unannounced(channel ChannelID, requestType string) Device {
	if requestType != DeclarativeManagement {
		return d
	}
	return d.with(channel, func(c *Channel) { c.Announced = "" })
}
