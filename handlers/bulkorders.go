package handlers

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/bulk"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/projections"
)

// BulkOrders is the use case of people who want something from all devices of a group at once. An order is one event, with
// one body; a worker (handlers/bulk) passes it on.
type BulkOrders struct {
	Orders *eventstore.Repository[bulk.Order, domain.Event]
	Views  *projections.Views
}

// Send gives an order, made by TypedOrder, to all devices that belong to a group now. It returns the order's id, and the
// position after which views show it; 0 if an order with the same idempotency key was given before.
func (b *BulkOrders) Send(ctx context.Context, c Caller, group string, o device.Order, noPush bool) (id string, at eventstore.Position, err error) {
	if err := mayOrder(c, o); err != nil {
		return "", 0, err
	}
	devices, err := b.members(ctx, group)
	if err != nil {
		return "", 0, err
	}
	what := bulk.Ordered{
		Group: group, RequestType: o.RequestType, Priority: o.Priority, NotBefore: o.NotBefore, ExpiresAt: o.ExpiresAt,
		SupersedeKey: o.SupersedeKey, NoPush: noPush, PassesHold: o.PassesHold, Renews: o.Renews, Clears: o.Clears, Password: o.Password, Mark: o.UUID,
		Reason: o.Reason, Parameters: o.Parameters, Body: string(o.Body),
	}
	if what.Brings, err = json.Marshal(o.Brings); err != nil {
		return "", 0, fmt.Errorf("write what a command brings: %w", err)
	}
	id = bulkID(o.Key)
	change, err := b.Orders.Update(ctx, id, Meta(ctx, c), func(order bulk.Order, at time.Time) ([]domain.Event, error) {
		return order.Order(what, devices, at)
	})
	return id, change.Position, err
}

// bulkID returns the id of an order: always the same for an idempotency key.
func bulkID(key string) string {
	if key == "" {
		return eventstore.NewUUID().String()
	}
	sum := sha256.Sum256([]byte("rollcall bulk order\n" + key))
	u := eventstore.UUID(sum[:16])
	u[6], u[8] = u[6]&0x0f|0x80, u[8]&0x3f|0x80
	return u.String()
}

// members returns the pseudonyms of all devices that belong to a group now.
func (b *BulkOrders) members(ctx context.Context, group string) (devices []string, err error) {
	if _, found, err := b.Views.Group(ctx, group, projections.Now); err != nil || !found {
		return nil, errors.Join(err, domain.Refusef(domain.NotFound, "there is no such group"))
	}
	q := projections.DeviceQuery{
		Filter: projections.DeviceFilter{Group: group}, Page: projections.Page{First: projections.MaxPage}, AsOf: projections.Now,
	}
	for {
		page, err := b.Views.Devices(ctx, q)
		if err != nil {
			return nil, fmt.Errorf("list the devices of a group: %w", err)
		}
		for _, d := range page.Nodes() {
			devices = append(devices, d.ID)
		}
		if !page.HasNext || len(devices) > bulk.MaxDevices {
			return devices, nil
		}
		q.Page.After = page.Edges[len(page.Edges)-1].Cursor
	}
}

// Cancel takes an order back. Who has it waiting loses it; who has not been reached is not.
func (b *BulkOrders) Cancel(ctx context.Context, c Caller, id, reason string) (eventstore.Position, error) {
	if err := c.Change(); err != nil {
		return 0, err
	}
	change, err := b.Orders.Update(ctx, id, Meta(ctx, c), func(order bulk.Order, _ time.Time) ([]domain.Event, error) {
		return order.Cancel(reason)
	})
	return change.Position, err
}

// Body returns an order's property list as the device with this CommandUUID gets it.
func (b *BulkOrders) Body(ctx context.Context, id, commandUUID string) ([]byte, error) {
	order, _, err := b.Orders.Load(ctx, id)
	if err == nil && order.Ordered.Body == "" {
		err = errors.New("the log does not have it")
	}
	if err != nil {
		return nil, fmt.Errorf("read the order %s to many devices: %w", id, err)
	}
	return order.Body(commandUUID), nil
}
