package handlers

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/declaration"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/projections"
)

// Declarations is the use case of people who declare what devices are to be, and of the devices that ask for it.
type Declarations struct {
	Declarations *eventstore.Repository[declaration.Declaration, domain.Event]
	Views        *projections.Views
	Log          eventstore.Log // if other servers write to it: what they wrote is waited for before a device is told; none if nil
	Stamp        domain.Stamp   // makes tokens of contents, and addresses of data
	URL          string         // how devices reach the server, without a slash at the end
}

// Put gives a declaration its content. unchecked is for administrators. It returns the position after which views show it; 0 if nothing changed.
func (d *Declarations) Put(ctx context.Context, c Caller, id, declarationType string, payload json.RawMessage, unchecked bool) (eventstore.Position, error) {
	if unchecked {
		if err := c.Administer(); err != nil {
			return 0, err
		}
	}
	if err := declaration.CheckIdentifier(id); err != nil {
		return 0, err
	}
	return d.decide(ctx, c, id, func(now declaration.Declaration) ([]domain.Event, error) {
		return now.Put(declarationType, payload, unchecked, d.Stamp.Of(declaration.Kind, id))
	})
}

// Assign has a group's devices, or their users, have the declaration.
func (d *Declarations) Assign(ctx context.Context, c Caller, id string, to declaration.Assignment) (eventstore.Position, error) {
	return d.decide(ctx, c, id, func(d declaration.Declaration) ([]domain.Event, error) { return d.Assign(to) })
}

// Unassign takes the declaration from a group.
func (d *Declarations) Unassign(ctx context.Context, c Caller, id string, from declaration.Assignment) (eventstore.Position, error) {
	return d.decide(ctx, c, id, func(d declaration.Declaration) ([]domain.Event, error) { return d.Unassign(from) })
}

// Withdraw takes the declaration from everybody.
func (d *Declarations) Withdraw(ctx context.Context, c Caller, id, reason string) (eventstore.Position, error) {
	return d.decide(ctx, c, id, func(d declaration.Declaration) ([]domain.Event, error) { return d.Withdraw(reason) })
}

func (d *Declarations) decide(ctx context.Context, c Caller, id string, decide func(declaration.Declaration) ([]domain.Event, error)) (eventstore.Position, error) {
	if err := c.Change(); err != nil {
		return 0, err
	}
	change, err := d.Declarations.Update(ctx, id, Meta(ctx, c), func(d declaration.Declaration, _ time.Time) ([]domain.Event, error) { return decide(d) })
	return change.Position, err
}

// PutData gives a declaration data that the server gives out itself. It returns the position after which views show it; 0 if
// nothing changed.
func (d *Declarations) PutData(ctx context.Context, c Caller, id, declarationType string, content declaration.Content, more json.RawMessage) (eventstore.Position, error) {
	if err := declaration.CheckIdentifier(id); err != nil {
		return 0, err
	}
	return d.decide(ctx, c, id, func(now declaration.Declaration) ([]domain.Event, error) {
		return now.PutData(declarationType, content, more, d.Stamp.Of(declaration.Kind, id))
	})
}

// Set returns what a channel is to have, and when that last changed.
func (d *Declarations) Set(ctx context.Context, deviceID string, channel device.ChannelID) (declaration.Set, time.Time, error) {
	if err := d.catchUp(ctx); err != nil {
		return declaration.Set{}, time.Time{}, err
	}
	wanted, err := d.Views.Wanted(ctx, deviceID, channel, projections.Now)
	if err != nil {
		return declaration.Set{}, time.Time{}, fmt.Errorf("find the declarations of a device: %w", err)
	}
	return wanted.Set(), wanted.Changed, nil
}

// patience is how long a device waits for views that are behind, before it is told to come again.
const patience = 5 * time.Second

// catchUp waits until the views know all that other servers have written: the order to fetch a set may have come from one whose
// views knew more.
func (d *Declarations) catchUp(ctx context.Context) error {
	if d.Log == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	head, err := d.Log.Head(ctx)
	if err != nil {
		return fmt.Errorf("find the end of the log: %w", err)
	}
	return d.Views.Wait(ctx, head)
}

// Document returns one declaration of a channel's set as the device fetches it: the newest, even if it came after the set.
// found is false if the set has none such, or it was withdrawn since.
func (d *Declarations) Document(ctx context.Context, deviceID string, channel device.ChannelID, kind, id string) (text json.RawMessage, found bool, err error) {
	set, _, err := d.Set(ctx, deviceID, channel)
	if err != nil {
		return nil, false, err
	}
	item, found := set.Find(kind, id)
	if !found {
		return nil, false, nil
	}
	if item.Payload == nil {
		stored, _, err := d.Declarations.Load(ctx, id)
		if err != nil || stored.Payload == nil {
			return nil, false, err
		}
		item.Type, item.ServerToken, item.Payload = stored.Type, stored.ServerToken, stored.At(d.address(deviceID, channel, id, stored.ServerToken))
	}
	return item.Document(), true, nil
}
