package graphql

import (
	"context"

	"github.com/graphql-go/graphql"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/command"
	"github.com/rollcall-mdm/rollcall/domain/declaration"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/projections"
)

// An unsuitable is devices that are alike, and why something cannot work on them.
type unsuitable struct {
	projections.Kind
	group, because string
	users          bool
	when           moment
}

func (t *types) unsuitableFields() graphql.Fields {
	return graphql.Fields{
		"because":   get("", must(graphql.String), func(u unsuitable) any { return u.because }),
		"devices":   get("How many there are.", must(graphql.Int), func(u unsuitable) any { return u.Devices }),
		"platform":  get("", t.platform, func(u unsuitable) any { return orNull(u.Example.Platform) }),
		"osVersion": get("", graphql.String, func(u unsuitable) any { return orNull(u.Example.OSVersion) }),
		"groupId":   get("Of which group.", must(graphql.ID), func(u unsuitable) any { return u.group }),
		"users":     get("It is the devices' users who are to have it.", must(graphql.Boolean), func(u unsuitable) any { return u.users }),
		"example":   get("One of them.", must(t.device), func(u unsuitable) any { return seen{u.Example, u.when} }),
	}
}

// unsuitableDevices tells on which devices a declaration cannot work: of the groups that are to have it, or of one that is not yet.
func unsuitableDevices(ctx context.Context, r *run, d declared, a args) (any, error) {
	to := d.Assigned
	if id := a.text("group"); id != "" {
		if _, found, err := r.Views.Group(ctx, id, d.when.at); err != nil || !found {
			if err == nil {
				err = domain.WithHint(domain.Refusef(domain.NotFound, "there is no such group"), "groups lists them, createGroup makes one")
			}
			return nil, err
		}
		to = []declaration.Assignment{a.assignment()}
	}
	all := []unsuitable{}
	for _, one := range to {
		some, err := r.unsuitable(ctx, one, d.when, func(t command.Target) error { return declaration.Suits(d.Type, d.Shown, t) })
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

// unsuitable tells on which enrolled devices of a group something cannot work.
func (r *run) unsuitable(ctx context.Context, on declaration.Assignment, when moment, suits func(command.Target) error) (all []unsuitable, err error) {
	kinds, err := r.Views.Kinds(ctx, projections.DeviceQuery{AsOf: when.at, Filter: projections.DeviceFilter{
		Group: on.Group, Status: []device.Status{device.StatusEnrolled, device.StatusPresumedUnmanaged},
	}})
	if err != nil {
		return nil, err
	}
	for _, k := range kinds {
		target := k.Example.Target()
		target.User = on.Users
		if refusal, refused := domain.Refused(suits(target)); refused {
			all = append(all, unsuitable{k, on.Group, refusal.Text, on.Users, when})
		}
	}
	return all, nil
}

// whyUnsuitable tells why a declaration cannot work on the channel that is to have it.
func whyUnsuitable(ctx context.Context, r *run, d keptDeclaration) (any, error) {
	if d.wanted == nil || d.wanted.Payload != nil { // one of our own suits everybody
		return nil, nil
	}
	stored, found, err := r.Views.Declaration(ctx, d.identifier, d.on.when.at)
	if err != nil || !found {
		return nil, err
	}
	target, err := r.targetOn(ctx, d.on.Device, d.channel, d.on.when.at)
	if err != nil {
		return nil, err
	}
	refusal, refused := domain.Refused(declaration.Suits(stored.Type, stored.Shown, target))
	if !refused {
		return nil, nil
	}
	return refusal.Text, nil
}

// targetOn returns what is known of a channel at a moment.
func (r *run) targetOn(ctx context.Context, d projections.Device, channel device.ChannelID, at eventstore.Position) (command.Target, error) {
	t := d.Target()
	t.User = channel != ""
	shared, err := r.Views.Facts(ctx, d.ID, "device.IsMultiUser", at)
	for _, f := range shared {
		t.SharedIPad = command.Known(string(f.Value) == "true")
	}
	return t, err
}
