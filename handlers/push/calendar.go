package push

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/pushcert"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/projections"
)

// A Calendar looks now and then how long push certificates are good for, and records when one ends soon: the event is for
// all who follow the log, a line of the server's log for all others. It keeps nothing: it may be stopped and started
// anywhere.
type Calendar struct {
	Views interface {
		PushCertificates(ctx context.Context) ([]projections.PushCertificate, error)
	}
	Certificates *eventstore.Repository[pushcert.PushCertificate, domain.Event]
	Log          *slog.Logger  // slog.Default() if nil
	Every        time.Duration // between two looks; an hour if zero
	Now          func() time.Time
}

// calendar is who a Calendar is in the log.
var calendar = eventstore.Actor{Kind: eventstore.ByWorker, ID: "calendar", Name: "calendar"}

// Run looks until ctx ends, which is no error. One Run at a time.
func (c *Calendar) Run(ctx context.Context) error {
	c.prepare()
	for {
		if err := c.Look(ctx); err != nil && ctx.Err() == nil {
			c.Log.WarnContext(ctx, "it could not be looked how long push certificates are good for; it will be tried again", "error", err)
		}
		if !pause(ctx, c.Every) {
			return nil
		}
	}
}

// Look lets each push certificate decide whether somebody is to be warned.
func (c *Calendar) Look(ctx context.Context) error {
	c.prepare()
	list, err := c.Views.PushCertificates(ctx)
	if err != nil {
		return fmt.Errorf("list push certificates: %w", err)
	}
	for _, one := range list {
		if _, due := pushcert.Due(one.NotAfter, c.Now()); !due {
			continue
		}
		change, err := c.Certificates.Update(ctx, one.Topic, eventstore.Meta{Actor: calendar}, func(p pushcert.PushCertificate, at time.Time) ([]domain.Event, error) {
			return p.Warn(at), nil
		})
		if err != nil {
			return fmt.Errorf("warn of a push certificate's end: %w", err)
		}
		if len(change.Events) > 0 {
			c.Log.WarnContext(ctx, "a push certificate ends: no device can be woken from then on. Make a request (rollcall pushcert csr --topic), renew the same entry at https://identity.apple.com/pushcert, and import what Apple gives",
				"topic", one.Topic, "ends", one.NotAfter, "devices", one.Devices)
		}
	}
	return nil
}

func (c *Calendar) prepare() {
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	c.Every = or(c.Every, time.Hour)
}
