package handlers

import (
	"context"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

// HoldQueue keeps all that waits for a device and its users, or, of a user's channel, for that user, from being
// delivered. It is for administrators, as all holds are. The position is 0 if it was held already.
func (o *Orders) HoldQueue(ctx context.Context, c Caller, deviceID string, channel device.ChannelID, reason string) (eventstore.Position, error) {
	return o.hold(ctx, c, deviceID, func(d device.Device) ([]domain.Event, error) { return d.HoldQueue(channel, reason) })
}

// ReleaseQueue ends what HoldQueue began.
func (o *Orders) ReleaseQueue(ctx context.Context, c Caller, deviceID string, channel device.ChannelID, reason string) (eventstore.Position, error) {
	return o.hold(ctx, c, deviceID, func(d device.Device) ([]domain.Event, error) { return d.ReleaseQueue(channel, reason) })
}

// HoldCommand keeps one waiting command from being delivered.
func (o *Orders) HoldCommand(ctx context.Context, c Caller, deviceID, uuid, reason string) (eventstore.Position, error) {
	return o.hold(ctx, c, deviceID, func(d device.Device) ([]domain.Event, error) { return d.HoldCommand(uuid, reason) })
}

// ReleaseCommand ends what HoldCommand began.
func (o *Orders) ReleaseCommand(ctx context.Context, c Caller, deviceID, uuid, reason string) (eventstore.Position, error) {
	return o.hold(ctx, c, deviceID, func(d device.Device) ([]domain.Event, error) { return d.ReleaseCommand(uuid, reason) })
}

func (o *Orders) hold(ctx context.Context, c Caller, deviceID string, decide func(device.Device) ([]domain.Event, error)) (eventstore.Position, error) {
	if err := c.Administer(); err != nil {
		return 0, err
	}
	change, err := o.Devices.Update(ctx, deviceID, Meta(ctx, c), func(d device.Device, _ time.Time) ([]domain.Event, error) { return decide(d) })
	return change.Position, advised(err)
}

// mayOrder refuses a caller who may not order this.
func mayOrder(c Caller, order device.Order) error {
	if err := c.Change(); err != nil || !order.PassesHold {
		return err
	}
	if c.Administer() != nil {
		return domain.WithHint(domain.Refusef(domain.Forbidden, "only an administrator may let a command pass a held queue"),
			"leave out passesHold: the command then waits until the queue is released")
	}
	return nil
}
