package push

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

// SilentViews tell which devices have said nothing for long. *projections.Views does.
type SilentViews interface {
	SilentDevices(ctx context.Context, before time.Time, limit int) ([]projections.Silent, error)
}

// A Lookout looks now and then for devices that have been silent for long, has them pushed, and lets those be given up
// for which that did nothing. It keeps nothing: it may be stopped and started anywhere.
type Lookout struct {
	Views   SilentViews
	Devices *eventstore.Repository[device.Device, domain.Event]
	Log     *slog.Logger  // slog.Default() if nil
	After   time.Duration // how long a device may be silent; 30 days if zero
	Every   time.Duration // between two looks; an hour if zero
	Now     func() time.Time
}

// watch is who a Lookout is in the log.
var watch = eventstore.Actor{Kind: eventstore.ByWorker, ID: "lookout", Name: "lookout"}

// Run looks until ctx ends, which is no error. One Run at a time.
func (l *Lookout) Run(ctx context.Context) error {
	l.prepare()
	for {
		if err := l.Look(ctx); err != nil && ctx.Err() == nil {
			l.Log.ErrorContext(ctx, "silent devices could not be looked for; it will be tried again", "error", err)
		}
		if !pause(ctx, l.Every) {
			return nil
		}
	}
}

// Look lets each device that has been silent for too long decide what follows. One that cannot be written is no reason
// to leave out the others.
func (l *Lookout) Look(ctx context.Context) error {
	l.prepare()
	list, err := l.Views.SilentDevices(ctx, l.Now().Add(-l.After), batch)
	if err != nil {
		return fmt.Errorf("list silent devices: %w", err)
	}
	for _, one := range list {
		_, err := l.Devices.Update(ctx, one.Device, eventstore.Meta{Actor: watch}, func(d device.Device, at time.Time) ([]domain.Event, error) {
			return d.GiveUp(l.After, one.Pushed, at)
		})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			l.Log.ErrorContext(ctx, "a silent device could not be looked at", "device", one.Device, "error", err)
		}
	}
	return nil
}

func (l *Lookout) prepare() {
	if l.Log == nil {
		l.Log = slog.Default()
	}
	if l.Now == nil {
		l.Now = time.Now
	}
	l.After = or(l.After, 30*24*time.Hour)
	l.Every = or(l.Every, time.Hour)
}
