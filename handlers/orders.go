package handlers

import (
	"context"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

// Orders is the use case of people who want something from a device. All doors for people share it, so that each
// refuses the same and every order is told the same way in the log.
//
// A device is named by its stream's id. Callers who may only read are refused.
type Orders struct {
	Devices *eventstore.Repository[device.Device, domain.Event]
}

// Send queues an order for one channel of a device, and has it woken unless noPush. It returns the command's UUID,
// and the position after which views show it. An order whose idempotency key was used before does nothing: the
// UUID is then that of the earlier one, and the position 0.
func (o *Orders) Send(ctx context.Context, c Caller, deviceID string, channel device.ChannelID, order device.Order, noPush bool) (uuid string, at eventstore.Position, err error) {
	if err := mayOrder(c, order); err != nil {
		return "", 0, err
	}
	next := enrolmentIn(order)
	change, err := o.Devices.Update(ctx, deviceID, Meta(ctx, c), func(d device.Device, now time.Time) ([]domain.Event, error) {
		if err := replaces(d, next); err != nil {
			return nil, err
		}
		return d.Order(channel, order, noPush, now)
	})
	if err != nil {
		return "", 0, advised(err)
	}
	if earlier, known := change.State.Keyed(order.Key); known {
		return earlier, change.Position, nil
	}
	return order.UUID, change.Position, nil
}

// SendRaw does what Send does for an order that somebody wrote himself, and says what the catalogue would have refused
// of it. What it would have refused is for administrators alone.
func (o *Orders) SendRaw(ctx context.Context, c Caller, deviceID string, channel device.ChannelID, order device.Order, noPush bool) (against string, at eventstore.Position, err error) {
	if err := mayOrder(c, order); err != nil {
		return "", 0, err
	}
	next := enrolmentIn(order)
	change, err := o.Devices.Update(ctx, deviceID, Meta(ctx, c), func(d device.Device, now time.Time) ([]domain.Event, error) {
		if wrong, refused := domain.Refused(replaces(d, next)); refused && order.Against == "" {
			order.Against = wrong.Text
		}
		events, err := d.Order(channel, order, noPush, now)
		if len(events) > 0 {
			against = events[0].(device.CommandQueued).Against
		}
		if err == nil && against != "" && c.Administer() != nil {
			return nil, domain.WithHint(domain.Refusef(domain.Forbidden, "the catalogue refuses this command: %s", against),
				"mend it, or let an administrator order it all the same")
		}
		return events, err
	})
	return against, change.Position, err
}

// Cancel takes a waiting command back. A device that is fetching it at this moment may do it all the same.
func (o *Orders) Cancel(ctx context.Context, c Caller, deviceID, uuid, reason string) (eventstore.Position, error) {
	if err := c.Change(); err != nil {
		return 0, err
	}
	change, err := o.Devices.Update(ctx, deviceID, Meta(ctx, c), func(d device.Device, _ time.Time) ([]domain.Event, error) {
		return d.Cancel(uuid, reason)
	})
	return change.Position, advised(err)
}

// ClearQueue takes back all that waits for a device and its users. It returns the commands' UUIDs.
func (o *Orders) ClearQueue(ctx context.Context, c Caller, deviceID, reason string) (uuids []string, at eventstore.Position, err error) {
	if err := c.Change(); err != nil {
		return nil, 0, err
	}
	change, err := o.Devices.Update(ctx, deviceID, Meta(ctx, c), func(d device.Device, _ time.Time) ([]domain.Event, error) {
		return d.ClearQueue(reason)
	})
	for _, e := range change.Events {
		if cancelled, ok := e.(device.CommandCancelled); ok {
			uuids = append(uuids, cancelled.UUID)
		}
	}
	return uuids, change.Position, advised(err)
}

// Wake has one channel of a device woken. That Apple took the push, and that the device came, are later events.
func (o *Orders) Wake(ctx context.Context, c Caller, deviceID string, channel device.ChannelID) (eventstore.Position, error) {
	if err := c.Change(); err != nil {
		return 0, err
	}
	change, err := o.Devices.Update(ctx, deviceID, Meta(ctx, c), func(d device.Device, _ time.Time) ([]domain.Event, error) {
		return d.RequestPush(channel, "asked")
	})
	return change.Position, advised(err)
}

// advised tells whoever named a device that is not there how devices are named.
func advised(err error) error {
	if r, ok := domain.Refused(err); ok && r.Reason == domain.NotFound && r.Hint == "" {
		return domain.WithHint(err, "a device is known by its UDID or EnrollmentID, letter by letter, and to GraphQL by its serial number too, from its first Authenticate on")
	}
	return err
}
