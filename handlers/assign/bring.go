package assign

import (
	"context"
	"fmt"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/domain/wanted"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/handlers"
	"github.com/rollcall-mdm/rollcall/projections"
)

// silent is how long a device may say nothing and still be asked for its inventory.
const silent = 3 * 24 * time.Hour

// look brings the channels of a device one step on, and notes when to look again.
func (k *Keeper) look(ctx context.Context, id string) error {
	delete(k.next, id)
	d, found, err := k.Views.Device(ctx, id, projections.Now)
	if err != nil || !found || d.Status != device.StatusEnrolled {
		return err
	}
	users, err := k.Views.Users(ctx, id, projections.Now)
	if err != nil {
		return fmt.Errorf("list the users of a device: %w", err)
	}
	channels := []device.ChannelID{""}
	for _, u := range users {
		channels = append(channels, u.ID)
	}
	for _, channel := range channels {
		all, err := k.Views.Standings(ctx, id, channel, projections.Now, k.Now())
		if err != nil {
			return fmt.Errorf("find what a device is to have: %w", err)
		}
		b := bringing{k, id, channel, d}
		if err := b.bring(ctx, all); err != nil {
			return err
		}
	}
	return nil
}

// A bringing is one look at a channel.
type bringing struct {
	*Keeper
	id      string
	channel device.ChannelID
	device  projections.Device
}

// bring orders what is due: what is to be there first, then the end of Setup Assistant, then the rest, then the lists that
// tell whether it is there.
func (b bringing) bring(ctx context.Context, all projections.Standings) error {
	base := true
	for _, s := range all.Things {
		base = base && (!s.First || s.Ended())
	}
	for _, s := range all.Things {
		if s.First && b.due(s) {
			if err := b.order(ctx, s); err != nil {
				return err
			}
		}
	}
	if !all.Waiting.IsZero() {
		limit := all.Waiting.Add(b.SetupLimit)
		if base || !limit.After(b.Now()) {
			if err := b.configured(ctx, all.Setup); err != nil {
				return err
			}
		} else {
			b.again(limit)
		}
	}
	if !base && (all.Waiting.IsZero() || all.Waiting.Add(b.SetupLimit).After(b.Now())) {
		return nil
	}
	for _, s := range all.Things {
		if !s.First && b.due(s) {
			if err := b.order(ctx, s); err != nil {
				return err
			}
		}
	}
	return b.check(ctx, all)
}

// due reports whether something is to be ordered for a thing now; if it is later, it is looked at then.
func (b bringing) due(s projections.Standing) bool {
	switch s.State {
	case projections.StandsOrdered, projections.StandsInstalled:
		return false
	case projections.StandsVerified:
		if kind, _ := wanted.Split(s.Thing); kind != wanted.Inventory {
			return false
		}
	}
	if s.Held || s.UnderWay() || s.TryAt.IsZero() && s.State != projections.StandsWanted && s.State != projections.StandsRemoving {
		return false
	}
	if s.TryAt.After(b.Now()) {
		b.again(s.TryAt)
		return false
	}
	return true
}

// again has the device looked at again at a moment, or earlier.
func (b bringing) again(at time.Time) {
	if next, set := b.next[b.id]; !set || at.Before(next) {
		b.next[b.id] = at
	}
}

func (b bringing) order(ctx context.Context, s projections.Standing) error {
	kind, identifier := wanted.Split(s.Thing)
	if kind == wanted.Inventory {
		if b.Now().Sub(b.device.LastSeenAt) > silent {
			b.again(b.Now().Add(time.Hour))
			return nil
		}
	}
	steps := []wanted.Step{{RequestType: map[string]string{wanted.Profile: "RemoveProfile", wanted.App: "RemoveApplication"}[kind],
		Parameters: map[string]any{"Identifier": identifier}}}
	if !s.Removes {
		var err error
		if steps, err = b.steps(ctx, s); err != nil || steps == nil {
			return b.refused(ctx, s, err)
		}
	}
	return b.send(ctx, s, steps)
}

// configured lets Setup Assistant go on.
func (b bringing) configured(ctx context.Context, s projections.Standing) error {
	if !b.due(s) {
		return nil
	}
	command := "DeviceConfigured"
	switch {
	case b.channel != "" && b.device.Platform == projections.MacOS:
		return nil // a Mac's user goes on as soon as an answer has no body
	case b.channel != "":
		command = "UserConfigured"
	}
	return b.send(ctx, s, []wanted.Step{{RequestType: command}})
}

// lists are the lists that tell of the kinds of things.
var lists = map[string]string{wanted.Profile: "ProfileList", wanted.App: "ManagedApplicationList"}

// check asks for the lists that tell whether things are there: once they were acknowledged, and now and then.
func (b bringing) check(ctx context.Context, all projections.Standings) error {
	for _, kind := range []string{wanted.Profile, wanted.App} {
		list, pending, any := lists[kind], false, false
		acknowledged, fresh := false, false
		for _, s := range all.Things {
			if of, _ := wanted.Split(s.Thing); of != kind {
				continue
			}
			any, pending = true, pending || s.State == projections.StandsOrdered || s.State == projections.StandsWanted
			acknowledged = acknowledged || s.Acknowledged()
			fresh = fresh || s.Acknowledged() && s.Made() > all.Checks[list].Made()
		}
		asked := all.Checks[list]
		if !any || pending || asked.State == "ORDERED" {
			continue
		}
		at := projections.NextCheck(b.id, list, b.CheckEvery, asked.OrderedAt)
		if asked.OrderedAt.IsZero() {
			at = projections.NextCheck(b.id, list, b.CheckEvery, b.Now())
		}
		switch {
		case fresh:
			at = b.Now()
		case acknowledged: // an app takes its time
			at = earlier(at, asked.OrderedAt.Add(5*time.Minute))
		}
		if at.After(b.Now()) {
			b.again(at)
			continue
		}
		s := projections.Standing{Thing: "check/" + list}
		if err := b.send(ctx, s, []wanted.Step{{RequestType: list}}); err != nil {
			return err
		}
	}
	return nil
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// send orders commands for a thing, or records why the channel would refuse them.
func (b bringing) send(ctx context.Context, s projections.Standing, steps []wanted.Step) error {
	kind, _ := wanted.Split(s.Thing)
	w := device.WantedOrdered{Channel: b.channel, Thing: s.Thing, Revision: s.Revision, Attempt: s.Attempt + 1, Removes: s.Removes}
	var orders []device.Order
	for _, step := range steps {
		o, err := handlers.TypedOrder(step.RequestType, step.Parameters, "")
		if err != nil {
			return fmt.Errorf("make the command: %w", err)
		}
		switch kind {
		case wanted.Inventory, "check":
			o.SupersedeKey = "inventory/" + step.RequestType
		default:
			o.SupersedeKey = "wanted/" + s.Thing
			o.Key = fmt.Sprintf("wanted/%s/%d/%d/%.12s", s.Thing, b.device.Generation, s.Made(), s.Revision)
		}
		orders = append(orders, o)
	}
	_, err := b.Devices.Update(ctx, b.id, eventstore.Meta{Actor: actor}, func(d device.Device, at time.Time) ([]domain.Event, error) {
		return d.Want(w, orders, at)
	})
	return b.refused(ctx, s, err)
}

// refused records why the channel cannot be brought there, if err is a refusal. It is tried again an hour later.
func (b bringing) refused(ctx context.Context, s projections.Standing, err error) error {
	refusal, refused := domain.Refused(err)
	if !refused {
		return err
	}
	kind, _ := wanted.Split(s.Thing)
	b.again(b.Now().Add(time.Hour))
	if refusal.Text == s.Because || kind == "check" {
		return nil
	}
	_, err = b.Devices.Update(ctx, b.id, eventstore.Meta{Actor: actor}, func(device.Device, time.Time) ([]domain.Event, error) {
		return []domain.Event{device.WantedRefused{Channel: b.channel, Thing: s.Thing, Revision: s.Revision, Removes: s.Removes, Because: refusal.Text}}, nil
	})
	return err
}
