package assign

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"iter"
	"log/slog"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/domain/group"
	"github.com/rollcall-mdm/rollcall/domain/profile"
	"github.com/rollcall-mdm/rollcall/domain/wanted"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/handlers"
	"github.com/rollcall-mdm/rollcall/projections"
)

// A Keeper brings devices to the profiles and apps that they are to have, asks them for their inventory, and lets Setup
// Assistant go on. All fields are set before Run.
//
// It reads the log as far as the views have come, looks at the devices of which something was told, and at those for which
// it is time. What it keeps in mind is when to look again: a new Keeper looks at all devices and knows that too.
type Keeper struct {
	Log        eventstore.Log
	Views      *projections.Views
	Devices    *eventstore.Repository[device.Device, domain.Event]
	Things     *eventstore.Repository[wanted.Thing, domain.Event]
	Library    *handlers.Library // whose profiles things may be
	Now        func() time.Time
	Logger     *slog.Logger  // slog.Default() if nil
	SetupLimit time.Duration // how long a device waits in Setup Assistant for what is to be there first; 10 minutes if zero
	CheckEvery time.Duration // how often lists are asked for that tell whether things are there still; a day if zero
	Pause      time.Duration // between two rounds at least; 200 ms if zero

	seen  eventstore.Position
	batch []eventstore.Envelope // what follows it, as far as it was taken
	more  func() ([]eventstore.Envelope, error, bool)
	stop  func()

	all      bool
	anything bool // is or was wanted
	byRule   bool
	moved    map[string]bool
	spoke    map[string]bool
	next     map[string]time.Time // when to look at a device again
}

// later is when a device is looked at again that could not be brought to what it is to have.
const later = time.Minute

// longest is how long the Keeper trusts its reckoning: clocks can be set.
const longest = 30 * time.Second

// Run works until ctx ends, which is no error. One Run at a time.
func (k *Keeper) Run(ctx context.Context) error {
	if err := k.prepare(ctx); err != nil {
		return gone(ctx, err)
	}
	defer k.unfollow()
	for ctx.Err() == nil {
		position := k.Views.Position()
		if err := k.round(ctx, position); err != nil && ctx.Err() == nil {
			k.Logger.ErrorContext(ctx, "devices could not be brought to what they are to have", "error", err)
		}
		k.await(ctx, position)
	}
	return nil
}

// prepare waits until the views know all that had happened before.
func (k *Keeper) prepare(ctx context.Context) error {
	k.all, k.moved, k.spoke, k.next = true, map[string]bool{}, map[string]bool{}, map[string]time.Time{}
	if k.Logger == nil {
		k.Logger = slog.Default()
	}
	for field, instead := range map[*time.Duration]time.Duration{&k.SetupLimit: 10 * time.Minute, &k.CheckEvery: 24 * time.Hour, &k.Pause: 200 * time.Millisecond} {
		if *field == 0 {
			*field = instead
		}
	}
	head, err := k.Log.Head(ctx)
	if err != nil {
		return fmt.Errorf("find the end of the log: %w", err)
	}
	if err := k.Views.Wait(ctx, head); err != nil {
		return fmt.Errorf("wait for the views: %w", err)
	}
	k.seen = head
	return nil
}

// await waits for the next round: the views have moved on, or it is time to look at a device.
func (k *Keeper) await(ctx context.Context, position eventstore.Position) {
	wait := longest
	for _, at := range k.next {
		wait = min(wait, max(at.Sub(k.Now()), 0))
	}
	pause := time.NewTimer(k.Pause)
	defer pause.Stop()
	select {
	case <-ctx.Done():
		return
	case <-pause.C:
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-k.Views.Advanced(position):
	}
}

// round looks at what there is to look at, once the views show all up to a position.
func (k *Keeper) round(ctx context.Context, upTo eventstore.Position) error {
	if err := k.read(ctx, upTo); err != nil {
		return err
	}
	if k.all {
		var err error
		if k.anything, k.byRule, err = k.Views.Wants(ctx); err != nil {
			return err
		}
		if err := k.everybody(ctx); err != nil {
			return err
		}
		k.all = false
	}
	if !k.byRule {
		clear(k.spoke)
	}
	now := k.Now()
	for id, at := range k.next {
		if !at.After(now) {
			k.moved[id] = true
		}
	}
	for _, some := range []map[string]bool{k.moved, k.spoke} {
		for id := range some {
			if err := k.look(ctx, id); ctx.Err() != nil {
				return ctx.Err()
			} else if err != nil { // one that cannot be brought there is no reason to let the others wait
				k.Logger.ErrorContext(ctx, "a device could not be brought to what it is to have; it is tried again", "device", id, "in", later, "error", err)
				k.next[id] = now.Add(later)
			}
			delete(some, id)
		}
	}
	return nil
}

// read notes what the log tells since the last round, up to what the views have: so there is always more to come while it
// waits for more. It follows the log, which has its newest events in memory.
func (k *Keeper) read(ctx context.Context, upTo eventstore.Position) error {
	for k.seen < upTo {
		if len(k.batch) == 0 {
			if err := k.follow(ctx); err != nil {
				return err
			}
		}
		for len(k.batch) > 0 && k.batch[0].Position <= upTo {
			k.note(k.batch[0])
			k.seen, k.batch = k.batch[0].Position, k.batch[1:]
		}
		if len(k.batch) > 0 { // it is for the next round
			k.seen = upTo
		}
	}
	return nil
}

// follow takes the next batch, from where the Keeper is. After a failure it begins anew.
func (k *Keeper) follow(ctx context.Context) error {
	if k.more == nil {
		k.more, k.stop = iter.Pull2(k.Log.Follow(ctx, k.seen))
	}
	batch, err, ok := k.more()
	if err != nil || !ok {
		k.unfollow()
		return fmt.Errorf("follow the log: %w", cmp.Or(err, ctx.Err(), eventstore.ErrClosed))
	}
	k.batch = batch
	return nil
}

func (k *Keeper) unfollow() {
	if k.stop != nil {
		k.stop()
	}
	k.more, k.stop, k.batch = nil, nil, nil
}

// setupWords stand in the open part of events that concern Setup Assistant; all others matter only if something is wanted.
var setupWords = [][]byte{[]byte(`"AwaitingConfiguration":true`), []byte(`"DeviceConfigured"`), []byte(`"UserConfigured"`), []byte(`"setup"`)}

func (k *Keeper) note(env eventstore.Envelope) {
	switch env.Stream.Kind {
	case wanted.Kind, group.Kind, profile.Kind:
		k.all = true
	case device.Kind:
		k.noteDevice(env)
	}
}

func (k *Keeper) noteDevice(env eventstore.Envelope) {
	id := env.Stream.ID
	for _, word := range setupWords {
		if bytes.Contains(env.Data, word) {
			k.moved[id] = true
		}
	}
	if !k.anything {
		return
	}
	switch env.Type {
	case device.TokenUpdated{}.EventType(), device.CommandFailed{}.EventType(), device.CommandFormatRejected{}.EventType(),
		device.CommandCancelled{}.EventType(), device.CommandExpired{}.EventType(), device.CommandSuperseded{}.EventType(),
		device.WantedOrdered{}.EventType(), device.WantedRetried{}.EventType(), device.CommandAcknowledged{}.EventType():
		k.moved[id] = true
	case device.Authenticated{}.EventType(), device.CheckedOut{}.EventType(), device.DeclarationStatusReported{}.EventType():
		k.spoke[id] = true
		delete(k.next, id)
	}
}

func (k *Keeper) everybody(ctx context.Context) error {
	q := projections.DeviceQuery{
		Filter: projections.DeviceFilter{Status: []device.Status{device.StatusEnrolled}},
		Page:   projections.Page{First: page}, AsOf: projections.Now,
	}
	for {
		l, err := k.Views.Devices(ctx, q)
		if err != nil {
			return fmt.Errorf("list the devices: %w", err)
		}
		for _, d := range l.Nodes() {
			if k.anything || d.Awaiting != nil && *d.Awaiting {
				k.moved[d.ID] = true
			}
		}
		if !l.HasNext {
			return nil
		}
		q.Page.After = l.Edges[len(l.Edges)-1].Cursor
	}
}
