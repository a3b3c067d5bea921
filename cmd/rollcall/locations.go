package main

import (
	"context"

	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/seal"
	"github.com/rollcall-mdm/rollcall/handlers"
)

// ForgetLocations destroys the key of the locations of a device's day.
func (h *house) ForgetLocations(ctx context.Context, deviceID, day string, version int64) error {
	return seal.Forget(ctx, h.keys, seal.Subject{Stream: eventstore.Stream{Kind: device.Kind, ID: deviceID}, Within: device.LocationSubject(day)}, version)
}

// forgetter is who destroys the keys of locations whose time is over.
func (s *server) forgetter() *handlers.Forgetter {
	return &handlers.Forgetter{Views: s.views, Devices: s.devices, Keys: s.house, SignIns: visitors{s.house}, Keep: s.Locations, Now: s.now, Log: s.logger}
}
