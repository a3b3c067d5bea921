package handlers

import (
	"context"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

// Unenrol has a device leave: it is told so when it speaks next. It is for administrators, as is all that follows here. The
// position is 0 if it was to leave already.
func (o *Orders) Unenrol(ctx context.Context, c Caller, deviceID, reason string) (eventstore.Position, error) {
	return o.hold(ctx, c, deviceID, func(d device.Device) ([]domain.Event, error) { return d.Unenrol(reason) })
}

// Stay takes that back, if the device was not told yet.
func (o *Orders) Stay(ctx context.Context, c Caller, deviceID, reason string) (eventstore.Position, error) {
	return o.hold(ctx, c, deviceID, func(d device.Device) ([]domain.Event, error) { return d.Stay(reason) })
}

// Quarantine isolates a device: it gets no commands, no tokens and no declarations.
func (o *Orders) Quarantine(ctx context.Context, c Caller, deviceID, reason string) (eventstore.Position, error) {
	return o.hold(ctx, c, deviceID, func(d device.Device) ([]domain.Event, error) { return d.Quarantine(reason) })
}

// Lift ends a quarantine.
func (o *Orders) Lift(ctx context.Context, c Caller, deviceID, reason string) (eventstore.Position, error) {
	return o.hold(ctx, c, deviceID, func(d device.Device) ([]domain.Event, error) { return d.Lift(reason) })
}
