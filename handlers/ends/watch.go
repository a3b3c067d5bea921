// Package ends tells people in time of certificates that end: roots, those by which devices speak and that nobody has renewed, and
// those in files. Push certificates have a calendar of their own, at the door that uses them.
//
// What has a stream gets an event, once for each warning; all get a line of the server's log that says what to do.
package ends

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/certificate"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/handlers"
	"github.com/rollcall-mdm/rollcall/projections"
)

// A Watch looks now and then which certificates end. It may be stopped and started anywhere: what it told of files it tells once
// more then. All fields are set before Run; those from Files on are useful at zero.
type Watch struct {
	Views        *projections.Views
	Authority    *handlers.Authority
	Certificates *eventstore.Repository[certificate.Certificate, domain.Event]

	Files  func() []handlers.End // certificates that have no stream; none if nil
	Now    func() time.Time      // time.Now if nil
	Every  time.Duration         // between two looks; an hour if zero
	Logger *slog.Logger          // slog.Default() if nil

	told map[string]int // of what in files, and how many days before its end
}

// calendar is who a Watch is in the log.
var calendar = eventstore.Actor{Kind: eventstore.ByWorker, ID: "calendar", Name: "calendar"}

// Run looks until ctx ends, which is no error.
func (w *Watch) Run(ctx context.Context) error {
	w.prepare()
	for {
		if err := w.Look(ctx); err != nil && ctx.Err() == nil {
			w.Logger.WarnContext(ctx, "it could not be looked which certificates end; it will be tried again", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(w.Every):
		}
	}
}

// Look tells of what ends.
func (w *Watch) Look(ctx context.Context) error {
	w.prepare()
	w.files(ctx)
	return errors.Join(w.roots(ctx), w.devices(ctx))
}

func (w *Watch) prepare() {
	if w.Now == nil {
		w.Now = time.Now
	}
	if w.Every == 0 {
		w.Every = time.Hour
	}
	if w.Logger == nil {
		w.Logger = slog.Default()
	}
	if w.told == nil {
		w.told = map[string]int{}
	}
}

func (w *Watch) files(ctx context.Context) {
	if w.Files == nil {
		return
	}
	for _, end := range w.Files() {
		days, due := domain.EndDue(end.NotBefore, end.NotAfter, w.Now())
		key := end.Kind + " " + end.Name + end.NotAfter.String()
		if before, told := w.told[key]; due && (!told || days < before) {
			w.told[key] = days
			w.Logger.WarnContext(ctx, "a certificate ends: "+handlers.Advice(end.Kind), "certificate", end.Kind, "name", end.Name, "ends", end.NotAfter)
		}
	}
}

func (w *Watch) roots(ctx context.Context) error {
	list, err := w.Authority.WarnOfEnds(ctx, calendar)
	if err != nil {
		return fmt.Errorf("warn of a root's end: %w", err)
	}
	for _, e := range list {
		w.Logger.WarnContext(ctx, "a certificate ends: "+handlers.Advice(handlers.EndsRoot), "certificate", handlers.EndsRoot, "name", e.Fingerprint, "ends", e.NotAfter)
	}
	return nil
}

// atOnce is how many devices are told of in one look.
const atOnce = 500

func (w *Watch) devices(ctx context.Context) error {
	list, err := w.Views.Missed(ctx, w.Now(), atOnce)
	if err != nil {
		return fmt.Errorf("list certificates that were not renewed: %w", err)
	}
	told := 0
	for _, m := range list {
		change, err := w.Certificates.Update(ctx, m.Fingerprint, eventstore.Meta{Actor: calendar}, func(c certificate.Certificate, _ time.Time) ([]domain.Event, error) {
			return c.Miss(certificate.RenewalOverdue{Device: m.Device, NotAfter: m.NotAfter, Tries: m.Tries}), nil
		})
		if err != nil {
			return fmt.Errorf("record that a certificate was not renewed: %w", err)
		}
		told += len(change.Events)
	}
	if told > 0 { // one line, however many they are
		w.Logger.WarnContext(ctx, "certificates of devices end and were not renewed in time: rollcall ca certificates --overdue lists them; a device that was not heard of comes back too late, one whose renewal failed says why in its commands, one with a certificate of another authority is renewed there",
			"devices", told, "first", list[0].NotAfter)
	}
	return nil
}
