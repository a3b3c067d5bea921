// Package renew has devices get another certificate before the one ends by which they speak.
//
// When two thirds of a certificate's life are over, its device is ordered to install its enrolment profile anew, with a
// one-time challenge that is bound to it. The device gets another certificate, authenticates with it, and once its
// TokenUpdate has come the new one is pinned: that is the proof, and the old one is no longer looked at. What failed, or came to
// nothing, is tried again a day later, a few times; then people must look.
package renew

import (
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/command"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/domain/enrollment"
	"github.com/rollcall-mdm/rollcall/domain/operator"
	"github.com/rollcall-mdm/rollcall/domain/profile"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/handlers"
	"github.com/rollcall-mdm/rollcall/projections"
)

// A Worker renews. All fields are set before Run; those from Now on are useful at zero.
type Worker struct {
	Views   *projections.Views
	Devices *eventstore.Repository[device.Device, domain.Event]
	Profile func(context.Context, Wish) ([]byte, error) // makes a renewed enrolment profile, as a device installs it

	Now    func() time.Time // time.Now if nil
	Every  time.Duration    // between two looks; an hour if zero
	Again  time.Duration    // before what came to nothing is tried again; a day if zero
	Tries  int              // for one certificate; 6 if zero
	Logger *slog.Logger     // slog.Default() if nil

	page int // atOnce, but in tests
}

// A Wish is what a renewed profile is made for.
type Wish struct {
	Device string // pseudonym
	Order  string // CommandUUID of the InstallProfile that brings it
	Road   string // on which the device came in: it is still its road
	Topic  string // of the device's pushes, which must not change
	Rights int    // that the profile before it granted, and that must not grow; 0 if they are not known

	Mode    profile.Mode // of account-driven enrolment, which must not change
	Account string       // that the enrolment belongs to, nor this
	Lasts   time.Duration
}

// atOnce is how many devices are listed at once, and how many are given an order in one round: the renewals of a fleet that
// came in on one day are spread a little.
const atOnce = 500

// Run works until ctx ends.
func (w *Worker) Run(ctx context.Context) error {
	w.prepare()
	for {
		if err := w.round(ctx); err != nil && ctx.Err() == nil {
			w.Logger.ErrorContext(ctx, "certificates of devices are not renewed for now", "error", err, "again", w.Every)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(w.Every):
		}
	}
}

func (w *Worker) prepare() {
	if w.Now == nil {
		w.Now = time.Now
	}
	if w.Every == 0 {
		w.Every = time.Hour
	}
	if w.Again == 0 {
		w.Again = 24 * time.Hour
	}
	if w.Tries == 0 {
		w.Tries = 6
	}
	if w.Logger == nil {
		w.Logger = slog.Default()
	}
	if w.page == 0 {
		w.page = atOnce
	}
}

// round orders what is due. Devices that will never take it, lost ones say, keep none of the others from their turn.
func (w *Worker) round(ctx context.Context) error {
	ordered := 0
	for after := ""; ordered < w.page; {
		due, err := w.Views.Renewals(ctx, w.Now(), after, w.page)
		if err != nil {
			return fmt.Errorf("list the certificates that are to be renewed: %w", err)
		}
		for _, r := range due {
			after = r.Place
			if r.Waiting || r.Tries >= w.Tries || w.Now().Sub(r.Last) < w.Again {
				continue
			}
			given, err := w.renew(ctx, r)
			if given {
				ordered++
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				w.Logger.WarnContext(ctx, "a device's certificate cannot be renewed", "device", r.Device, "certificate", r.Fingerprint, "ends", r.NotAfter, "error", err)
			}
		}
		if len(due) < w.page {
			return nil
		}
	}
	return nil
}

// itself is who orders.
var itself = handlers.Caller{Kind: eventstore.ByWorker, ID: "renewal", Name: "renewal", Role: operator.Administrator}

// renew orders a renewed profile, unless the device is not one that takes it, or has one to come already. It reports
// whether it did.
func (w *Worker) renew(ctx context.Context, r projections.Renewal) (given bool, err error) {
	d, _, err := w.Devices.Load(ctx, r.Device)
	if err != nil || !takes(d, r.Road) {
		return false, err
	}
	order := eventstore.NewUUID().String()
	mode := modeOf(d, r.Road)
	wish := Wish{Device: r.Device, Order: order, Road: r.Road, Topic: d.Topic, Rights: d.Facts.Rights, Mode: mode, Lasts: w.Again}
	if mode != "" {
		wish.Account = d.Person().Account
	}
	payload, err := w.Profile(ctx, wish)
	if err != nil {
		return false, err
	}
	o, err := handlers.TypedOrder("InstallProfile", map[string]any{"Payload": base64.StdEncoding.EncodeToString(payload)}, order)
	if err != nil {
		return false, err
	}
	o.SupersedeKey = projections.RenewalKey + r.Fingerprint
	o.Reason = "the device's certificate ends on " + r.NotAfter.Format(time.DateOnly)
	o.ExpiresAt = w.Now().Add(w.Again) // its challenge ends then
	_, _, err = (&handlers.Orders{Devices: w.Devices}).Send(ctx, itself, r.Device, "", o, false)
	return err == nil, err
}

// modeOf returns how an account-driven enrolment manages its device; nothing if it is none.
func modeOf(d device.Device, road string) profile.Mode {
	switch {
	case d.Facts.UserEnrolment == command.Yes:
		return profile.BYOD
	case road == enrollment.Account:
		return profile.ADDE
	}
	return ""
}

// takes reports whether the device takes a renewed profile now. That of an account-driven enrolment names the account that it
// belongs to: where that is not known, its user enrols anew.
func takes(d device.Device, road string) bool {
	if d.Status != device.StatusEnrolled || modeOf(d, road) != "" && d.Person().Account == "" {
		return false
	}
	own, _ := d.Channel("")
	for _, item := range own.Queue {
		if item.Renews {
			return false
		}
	}
	return true
}
