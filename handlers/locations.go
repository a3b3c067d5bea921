package handlers

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/projections"
)

// DefaultKeepLocations is how long a location can be opened after the end of its day.
const DefaultKeepLocations = 72 * time.Hour

// A Forgetter destroys the keys of locations whose time is over, and of sign-ins that led to no device. It may be stopped and started anywhere: a key is
// destroyed before the log says so, and at each start all are destroyed again that should be gone, so that a keyring that
// was put back from a backup does not bring them back.
type Forgetter struct {
	Views   *projections.Views
	Devices *eventstore.Repository[device.Device, domain.Event]
	Keys    LocationKeys
	Keep    time.Duration // after the end of a day; DefaultKeepLocations if zero
	Every   time.Duration // between two looks; ten minutes if zero
	Now     func() time.Time
	Log     *slog.Logger
	SignIns SignInKeys // of who signed in and never came; nobody is forgotten if nil

	signIns time.Time // until which those were seen to
}

// LocationKeys are the keys of locations.
type LocationKeys interface {
	// ForgetLocations destroys the key of the locations of a device's day, for good. version is that of one of them.
	ForgetLocations(ctx context.Context, deviceID, day string, version int64) error
}

// forgetter is who a Forgetter is in the log.
var forgetter = eventstore.Actor{Kind: eventstore.ByWorker, ID: "forgetter", Name: "forgetter"}

// Run looks until ctx ends, which is no error. One Run at a time.
func (f *Forgetter) Run(ctx context.Context) error {
	every := f.Every
	if every == 0 {
		every = 10 * time.Minute
	}
	for again := true; ; again = false {
		if err := f.Look(ctx, again); err != nil && ctx.Err() == nil {
			f.Log.ErrorContext(ctx, "locations and sign-ins could not be forgotten; it will be tried again", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(every):
		}
	}
}

// Look destroys the keys that are due; with again also those that should be gone already.
func (f *Forgetter) Look(ctx context.Context, again bool) error {
	if err := f.lookAtSignIns(ctx, again); err != nil {
		return err
	}
	days, err := f.Views.LocationDays(ctx)
	if err != nil {
		return fmt.Errorf("list locations: %w", err)
	}
	for _, day := range days {
		if day.Forgotten && !again || !day.Forgotten && f.Now().Before(device.LocationEnds(day.Day, f.keep())) {
			continue
		}
		if err := f.Keys.ForgetLocations(ctx, day.Device, day.Day, day.Version); err != nil {
			return fmt.Errorf("destroy the key of a day's locations: %w", err)
		}
		if day.Forgotten {
			continue
		}
		_, err := f.Devices.Update(ctx, day.Device, eventstore.Meta{Actor: forgetter}, func(d device.Device, _ time.Time) ([]domain.Event, error) {
			return d.ForgetLocations(day.Day)
		})
		if err != nil {
			return fmt.Errorf("record that a day's locations are forgotten: %w", err)
		}
	}
	return nil
}

func (f *Forgetter) keep() time.Duration {
	if f.Keep == 0 {
		return DefaultKeepLocations
	}
	return f.Keep
}
