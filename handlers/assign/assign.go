// Package assign brings devices to what they are wanted to be.
//
// An Announcer watches the log. When a declaration, an assignment or a group changes, or a device tells something that may
// move it from one group to another, it looks at what the channels concerned are to have, and tells those by a
// DeclarativeManagement command for whom that is something new. What each was told of is an event of its device, so that
// the Announcer keeps nothing: it may be stopped and started anywhere, and begins with a look at all devices.
package assign

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/declaration"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/domain/group"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/handlers"
	"github.com/rollcall-mdm/rollcall/projections"
)

// An Announcer tells channels that they are to have another set of declarations. All fields are set before Run.
type Announcer struct {
	Log     eventstore.Log
	Views   *projections.Views
	Devices *eventstore.Repository[device.Device, domain.Event]
	Logger  *slog.Logger  // slog.Default() if nil
	Again   time.Duration // before what failed is tried again; 2 s if zero
}

// actor is who the Announcer is in the log.
var actor = eventstore.Actor{Kind: eventstore.ByWorker, ID: "assign", Name: "assign"}

// page is how many devices are looked at in one go.
const page = 500

// Run works until ctx ends, which is no error. One Run at a time.
func (a *Announcer) Run(ctx context.Context) error {
	if a.Logger == nil {
		a.Logger = slog.Default()
	}
	if a.Again == 0 {
		a.Again = 2 * time.Second
	}
	head, err := a.Log.Head(ctx)
	if err != nil {
		return gone(ctx, fmt.Errorf("find the end of the log: %w", err))
	}
	t := todo{all: true, moved: map[string]bool{}, spoke: map[string]bool{}, upTo: head}
	a.settle(ctx, &t)
	for batch, err := range a.Log.Follow(ctx, head) {
		if err != nil {
			return gone(ctx, fmt.Errorf("follow the log: %w", err))
		}
		t.add(batch)
		a.settle(ctx, &t)
	}
	return nil
}

// gone returns err, unless the work was ended anyhow.
func gone(ctx context.Context, err error) error {
	if ctx.Err() != nil || errors.Is(err, eventstore.ErrClosed) {
		return nil
	}
	return err
}

// settle does what is to be done, again and again until it is done.
func (a *Announcer) settle(ctx context.Context, t *todo) {
	for {
		err := a.work(ctx, t)
		if err == nil || ctx.Err() != nil {
			return
		}
		a.Logger.ErrorContext(ctx, "declarations could not be announced", "error", err, "again", a.Again)
		select {
		case <-ctx.Done():
			return
		case <-time.After(a.Again):
		}
	}
}

// A todo is what is to be looked at once the views show all up to a position.
type todo struct {
	all         bool            // every device
	moved       map[string]bool // devices that may need to be told, whatever groups there are
	spoke       map[string]bool // devices that told something: of interest if a rule chooses by it
	upTo        eventstore.Position
	any, byRule bool // whether anything is assigned, and by a rule
}

// add notes what a batch of events may change.
func (t *todo) add(batch []eventstore.Envelope) {
	for _, env := range batch {
		t.upTo = env.Position
		switch env.Stream.Kind {
		case group.Kind, declaration.Kind:
			t.all = true
		case device.Kind:
			t.device(env)
		}
	}
}

func (t *todo) device(env eventstore.Envelope) {
	switch env.Type {
	case device.TokenUpdated{}.EventType(), device.DeclarationStatusReported{}.EventType(),
		device.CommandCancelled{}.EventType(), device.CommandExpired{}.EventType():
		t.moved[env.Stream.ID] = true
	case device.CommandAcknowledged{}.EventType(), device.Authenticated{}.EventType(), device.CheckedOut{}.EventType():
		t.spoke[env.Stream.ID] = true
	}
}

// trim strikes off what cannot matter as long as nothing is assigned, or no rule chooses.
func (t *todo) trim() {
	if !t.byRule {
		clear(t.spoke)
	}
	if !t.any {
		clear(t.moved)
	}
}

// work looks at all that is to be looked at. What is done is struck off.
func (a *Announcer) work(ctx context.Context, t *todo) (err error) {
	t.trim()
	if !t.all && len(t.moved) == 0 && len(t.spoke) == 0 {
		return nil // and nobody hurries the views
	}
	if err := a.Views.Wait(ctx, t.upTo); err != nil {
		return fmt.Errorf("wait for the views: %w", err)
	}
	if t.all {
		if t.any, t.byRule, err = a.Views.Assigns(ctx); err == nil {
			err = a.everybody(ctx)
		}
		if err != nil {
			return err
		}
		t.all = false
		clear(t.moved)
		clear(t.spoke)
		return nil
	}
	for _, some := range []map[string]bool{t.moved, t.spoke} {
		for id := range some {
			if err := a.look(ctx, id); err != nil {
				return err
			}
			delete(some, id)
		}
	}
	return nil
}

func (a *Announcer) everybody(ctx context.Context) error {
	q := projections.DeviceQuery{
		Filter: projections.DeviceFilter{Status: []device.Status{device.StatusEnrolled, device.StatusPresumedUnmanaged}},
		Page:   projections.Page{First: page}, AsOf: projections.Now,
	}
	for {
		l, err := a.Views.Devices(ctx, q)
		if err != nil {
			return fmt.Errorf("list the devices: %w", err)
		}
		for _, d := range l.Nodes() {
			if err := a.look(ctx, d.ID); err != nil {
				return err
			}
		}
		if !l.HasNext {
			return nil
		}
		q.Page.After = l.Edges[len(l.Edges)-1].Cursor
	}
}

// look tells the channels of one device what they do not know yet.
func (a *Announcer) look(ctx context.Context, id string) error {
	users, err := a.Views.Users(ctx, id, projections.Now)
	if err != nil {
		return fmt.Errorf("list the users of a device: %w", err)
	}
	channels := []device.ChannelID{""}
	for _, u := range users {
		channels = append(channels, u.ID)
	}
	for _, channel := range channels {
		if err := a.announce(ctx, id, channel); err != nil {
			return err
		}
	}
	return nil
}

func (a *Announcer) announce(ctx context.Context, id string, channel device.ChannelID) error {
	wanted, err := a.Views.Wanted(ctx, id, channel, projections.Now)
	if err != nil {
		return fmt.Errorf("find the declarations of a device: %w", err)
	}
	set := wanted.Set()
	if set.Token == wanted.Told || len(set.Items) == 0 && wanted.Told == "" {
		return nil
	}
	data := base64.StdEncoding.EncodeToString(set.Tokens(wanted.Changed))
	order, err := handlers.TypedOrder(device.DeclarativeManagement, map[string]any{"Data": data}, "")
	if err != nil {
		return fmt.Errorf("make the command: %w", err)
	}
	_, err = a.Devices.Update(ctx, id, eventstore.Meta{Actor: actor}, func(d device.Device, at time.Time) ([]domain.Event, error) {
		return d.AnnounceDeclarations(channel, set.Token, order, at)
	})
	if refusal, refused := domain.Refused(err); refused {
		a.Logger.DebugContext(ctx, "a channel takes no declarations now", "device", id, "because", refusal.Text)
		return nil // it is looked at again when it enrols
	}
	return err
}
