package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/certificate"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/domain/operator"
	"github.com/rollcall-mdm/rollcall/domain/pushcert"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/ledger"
	"github.com/rollcall-mdm/rollcall/eventstore/seal"
	"github.com/rollcall-mdm/rollcall/projections"
)

// verifyCmd reads the whole log, opens and folds every event, compares the views with a fold of their own, and the ledger
// with the events.
type verifyCmd struct {
	stopped
	Most int  `default:"20" help:"The most findings that are told; the first places come first."`
	JSON bool `name:"json" help:"Print one JSON object, for programs."`
}

// errUnsound says that verify has found something, and told it.
var errUnsound = errors.New("this directory is not sound: see above")

// Run fulfils kong's command.
func (c *verifyCmd) Run(ctx context.Context) error {
	open := c.reads // which opens what cannot be written any more, too
	if !c.embedded() {
		open = c.with
	}
	if err := c.check(); err != nil {
		return err
	}
	return open(ctx, func(h *house) error {
		v := &verification{verifyCmd: c, house: h, next: map[eventstore.Stream]int64{}, devices: map[string]device.Device{}, signatures: signatures{Open: h.codec.Evidence}}
		err := errors.Join(v.readAll(ctx), v.compareViews(ctx))
		if err != nil && len(v.findings) == 0 {
			return err
		}
		if err := errors.Join(err, v.report()); err != nil {
			return err
		}
		if len(v.findings) > 0 {
			return errUnsound
		}
		return nil
	})
}

// A verification is one under way.
type verification struct {
	*verifyCmd
	*house
	findings []finding
	untold   int // findings beyond those
	events   int64
	next     map[eventstore.Stream]int64 // version
	devices  map[string]device.Device
	recheck  *ledger.Recheck
	signed   ledger.Checkpoint // the newest that was kept; of size 0 if none was
	signatures
}

func (v *verification) readAll(ctx context.Context) error {
	head, err := v.log.Head(ctx)
	if err == nil {
		err = v.beginLedger(ctx)
	}
	if err != nil {
		return err
	}
	p := newProgress(v.err(), "reading, opening and folding", int64(head)).through(v.log)
	defer p.end()
	last := eventstore.Position(0)
	for env, err := range v.log.ReadAll(ctx, 0) {
		if err != nil {
			return err
		}
		if v.dense() && env.Position != last+1 {
			v.finding(env.Position, "after position %d stands position %d: events are missing", last, env.Position)
		}
		last = env.Position
		v.read(env)
		if err := v.recheck.Add(ctx, &env); err != nil {
			return err
		}
		p.at(int64(env.Position))
	}
	if last != head {
		v.finding(last, "the log says that its last position is %d, and ends at %d", head, last)
	}
	v.endLedger(last)
	return nil
}

// read looks at one event, with all that its keys open: secrets and evidence too.
func (v *verification) read(env eventstore.Envelope) {
	v.events++
	if want := v.next[env.Stream]; env.Version != want {
		v.finding(env.Position, "version %d of %s stands where version %d should", env.Version, env.Stream, want)
	}
	v.next[env.Stream] = env.Version + 1
	event, err := v.codec.Decode(env)
	if err != nil {
		v.finding(env.Position, "%s of %s does not open: %v", env.Type, env.Stream, err)
		return
	}
	if problem := v.signatures.event(env); problem != "" {
		v.finding(env.Position, "%s of %s: %s", env.Type, env.Stream, problem)
	}
	if e, erased := event.(device.SubjectErased); erased && !v.erasedThen(env, e) {
		v.finding(env.Position, "the log says that %s was erased, but its keys are still there: run keys erase-subject again", env.Stream)
	}
	if e, ok := event.(device.CommandAcknowledged); ok && !v.devices[env.Stream.ID].Quotes(e) {
		v.finding(env.Position, "%s of %s has another answer than the one whose digest it keeps", env.Type, env.Stream)
	}
	if err := v.fold(env, event); err != nil {
		v.finding(env.Position, "%s of %s cannot be folded: %v", env.Type, env.Stream, err)
	}
}

// erasedThen reports whether the keyring knows that the subject was erased with this event.
func (v *verification) erasedThen(env eventstore.Envelope, e device.SubjectErased) bool {
	whom := seal.Subject{Stream: env.Stream, Within: string(e.Channel)}
	return v.codec.Keys.Epoch(whom, env.Version) != v.codec.Keys.Epoch(whom, env.Version+1)
}

// fold folds the event into its aggregate. Only devices are kept: the others are small, and never refuse.
func (v *verification) fold(env eventstore.Envelope, e domain.Event) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	switch env.Stream.Kind {
	case device.Kind:
		v.devices[env.Stream.ID] = v.devices[env.Stream.ID].Evolve(e, env.Time)
	case certificate.Kind:
		certificate.Certificate{}.Evolve(e, env.Time)
	case operator.Kind:
		operator.Token{}.Evolve(e, env.Time)
	case pushcert.Kind:
		pushcert.PushCertificate{}.Evolve(e, env.Time)
	case pushcert.RequestKind:
		pushcert.Request{}.Evolve(e, env.Time)
	}
	return nil
}

// compareViews folds the views anew elsewhere, and compares all their tables with those that are here.
func (v *verification) compareViews(ctx context.Context) error {
	dir, err := os.MkdirTemp(v.dir, ".verify-") // the disk that has room for views, and their mode
	if err != nil {
		return fmt.Errorf("make a directory to fold the views in: %w", err)
	}
	defer os.RemoveAll(dir)
	head, err := v.log.Head(ctx)
	if err != nil {
		return err
	}
	if !v.embedded() { // the directory is locked by ourselves: nobody else folds what its views have not seen
		err = v.foldViews(ctx, v.house)
	}
	var here *projections.Views
	if err == nil {
		here, err = v.viewsAt(ctx, v.house, head)
	}
	if err != nil {
		v.finding(0, "the views cannot be compared: %v", err)
		return ctx.Err()
	}
	defer here.Close()
	there, err := projections.Open(ctx, filepath.Join(dir, "views.db"), projections.Options{Logger: v.logger})
	if err != nil {
		return err
	}
	defer there.Close()
	if err := v.catchUp(ctx, v.house, there); err != nil {
		return err
	}
	differences, err := projections.Differences(ctx, here, there, v.Most)
	for _, d := range differences {
		v.finding(0, "the views (here) and the log (there) differ in %s", printable(d))
	}
	if err != nil {
		return err
	}
	return v.parked(ctx, there)
}

// parked tells which events no view could digest.
func (v *verification) parked(ctx context.Context, views *projections.Views) error {
	list, err := views.List(ctx)
	for _, view := range list {
		for _, p := range view.Parked {
			v.finding(p.Position, "the view %s cannot digest an event of %s: %s", view.Name, p.Stream, printable(p.Error))
		}
	}
	return err
}
