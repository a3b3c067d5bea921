package graphql

import (
	"context"
	"encoding/base64"
	"time"

	"github.com/graphql-go/graphql"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/domain/wanted"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/projections"
)

// A wantedThing is a wanted thing, and the moment at which it is looked at.
type wantedThing struct {
	projections.WantedThing
	when moment
}

// A standing is how far a device has come with a thing.
type standing struct {
	projections.Standing
	device seen
}

func (t *types) makeWanted() {
	t.standingState = enum("WantedState", "How far a device has come with what it is to have.", projections.StandsWanted, projections.StandsOrdered,
		projections.StandsInstalled, projections.StandsVerified, projections.StandsMissing, projections.StandsFailed, projections.StandsRemoving)
	t.wantedAssignment = t.object("WantedAssignment", "Who is to have a thing.", func() graphql.Fields {
		return graphql.Fields{
			"groupId": get("", must(graphql.ID), func(a wanted.Assignment) any { return a.Group }),
			"users":   get("The users of the group's devices, not the devices.", must(graphql.Boolean), func(a wanted.Assignment) any { return a.Users }),
			"first":   get("Before all that is not first, and before Setup Assistant goes on.", must(graphql.Boolean), func(a wanted.Assignment) any { return a.First }),
		}
	})
	t.wanted = t.object("WantedThing", "A profile or an app that devices are to have, or an inventory that they are asked for.", func() graphql.Fields {
		return graphql.Fields{
			"id":       get("profile/, app/ or inventory/ and its identifier.", must(graphql.ID), func(w wantedThing) any { return w.ID }),
			"revision": get("It changes with the content alone.", must(graphql.String), func(w wantedThing) any { return w.Revision }),
			"version": get("Of the library's profile of that name: a number, or latest, which follows; null if it has a content of its own.", graphql.String,
				func(w wantedThing) any { return orNull(w.Version) }),
			"content":     get("Secrets are masked.", jsonScalar, func(w wantedThing) any { return orAbsent(w.Shown) }),
			"every":       get("Seconds between two inventories.", graphql.Int, func(w wantedThing) any { return int(w.Every / time.Second) }),
			"since":       get("When it got this content.", must(timeScalar), func(w wantedThing) any { return w.Since }),
			"putBy":       get("Who gave it this content.", must(graphql.String), func(w wantedThing) any { return actorName(w.PutBy) }),
			"assignments": get("", many(t.wantedAssignment), func(w wantedThing) any { return append([]wanted.Assignment{}, w.Assigned...) }),
		}
	})
	t.wantedThings = t.connection(t.wanted)
	t.standing = t.object("DeviceWanted", "How far a device has come with what it is to have.", t.standingFields)
}

func (t *types) standingFields() graphql.Fields {
	return graphql.Fields{
		"thing":   get("Its id.", must(graphql.ID), func(s standing) any { return s.Thing }),
		"state":   get("", must(t.standingState), func(s standing) any { return s.State }),
		"because": get("Why, in words.", graphql.String, func(s standing) any { return orNull(s.Because) }),
		"first":   get("", must(graphql.Boolean), func(s standing) any { return s.First }),
		"attempt": get("How often it was ordered since somebody last put it, or wanted it tried again.", must(graphql.Int), func(s standing) any { return s.Attempt }),
		"held":    get("It has failed too often: retryWanted, or another revision, has it tried again.", must(graphql.Boolean), func(s standing) any { return s.Held }),
		"tryAt":   get("When it is tried or asked for again; null if not by itself.", timeScalar, func(s standing) any { return s.TryAt }),
		"since":   get("When something was last heard of it.", timeScalar, func(s standing) any { return s.Since }),
		"user": ask("On whose channel; null for the device's own.", t.user, func(ctx context.Context, r *run, s standing) (any, error) {
			return r.userOf(ctx, s.device, s.Channel)
		}),
	}
}

// deviceWanted lists how far a device and its users have come.
func deviceWanted(ctx context.Context, r *run, s seen) (any, error) {
	users, err := r.Views.Users(ctx, s.ID, s.when.at)
	if err != nil {
		return nil, err
	}
	channels := []device.ChannelID{""}
	for _, u := range users {
		channels = append(channels, u.ID)
	}
	found := []standing{}
	for _, channel := range channels {
		all, err := r.Views.Standings(ctx, s.ID, channel, s.when.at, r.Now())
		if err != nil {
			return nil, err
		}
		for _, one := range all.Things {
			found = append(found, standing{one, s})
		}
	}
	return found, nil
}

func (t *types) wantedQueries() graphql.Fields {
	node := func(x projections.WantedThing, when moment) any { return wantedThing{x, when} }
	return graphql.Fields{
		"wanted":      listAsOf("What devices are to have, by id.", t.wantedThings, (*projections.Views).WantedThings, node),
		"wantedThing": oneAsOf(t.wanted, "id", (*projections.Views).WantedThing, node),
	}
}

func (t *types) wantedMutations() graphql.Fields {
	id := graphql.FieldConfigArgument{"id": arg("profile/, app/ or inventory/ and its identifier.", must(graphql.ID))}
	whom := with(id, graphql.FieldConfigArgument{
		"group": arg("", must(graphql.ID)),
		"users": {Type: graphql.Boolean, DefaultValue: false, Description: "The users of the group's devices, not the devices."},
	})
	first := graphql.FieldConfigArgument{"first": {Type: graphql.Boolean, DefaultValue: false, Description: "Before all that is not first, and before Setup Assistant goes on."}}
	return graphql.Fields{
		"putWantedProfile": root("Wants a configuration profile, new or changed; its PayloadIdentifier names it.", must(t.wanted), graphql.FieldConfigArgument{
			"payload": arg("In base64: XML, signed or not.", must(graphql.String)),
		}, putWantedProfile),
		"putWantedApp": root("Wants an app, new or changed.", must(t.wanted), graphql.FieldConfigArgument{
			"identifier":  arg("Its bundle identifier, as ManagedApplicationList tells it.", must(graphql.ID)),
			"requestType": {Type: graphql.String, DefaultValue: "InstallApplication", Description: "Or InstallEnterpriseApplication."},
			"parameters":  arg("The command's keys as Apple spells them.", must(jsonScalar)),
		}, putWantedApp),
		"putInventory": root("Wants devices to be asked every so often.", must(t.wanted), graphql.FieldConfigArgument{
			"name": arg("", must(graphql.ID)), "every": arg("An ISO 8601 duration of days, hours and minutes, e.g. P1D.", must(graphql.String)),
			"queries": arg(`A list of commands, e.g. [{RequestType: "SecurityInfo"}].`, must(jsonScalar)),
		}, putInventory),
		"assignWanted":   root("Has a group's devices, or their users, have a thing.", must(t.wanted), with(whom, first), assignWanted),
		"unassignWanted": root("Takes a thing from a group: it is removed from devices that no other group has it for.", must(t.wanted), whom, unassignWanted),
		"withdrawWanted": root("Takes a thing from everybody; its history stays. Null if nobody wants it any more.", t.wanted,
			with(id, graphql.FieldConfigArgument{"reason": arg("", must(graphql.String))}), withdrawWanted),
		"retryWanted": root("Has a thing tried again at once on a device.", many(t.standing), with(id, graphql.FieldConfigArgument{
			"device": arg("", must(graphql.ID)), "userId": arg("A user of the device, by his channel's id.", graphql.ID), "reason": arg("", must(graphql.String)),
		}), retryWanted),
	}
}

func putWantedProfile(ctx context.Context, r *run, a args) (any, error) {
	payload, err := base64.StdEncoding.DecodeString(a.text("payload"))
	if err != nil {
		return nil, domain.Refusef(domain.Invalid, "the payload is no base64")
	}
	id, at, err := r.Wanted.PutProfile(ctx, r.caller, payload)
	return r.wanted(ctx, id, at, err)
}

func putWantedApp(ctx context.Context, r *run, a args) (any, error) {
	parameters, err := a.parameters()
	if err != nil {
		return nil, err
	}
	id, at, err := r.Wanted.PutApp(ctx, r.caller, a.text("identifier"), a.text("requestType"), parameters)
	return r.wanted(ctx, id, at, err)
}

func putInventory(ctx context.Context, r *run, a args) (any, error) {
	every, err := parseStep(a.text("every"))
	if err != nil {
		return nil, err
	}
	if every.years > 0 || every.months > 0 {
		return nil, badStep(a.text("every"))
	}
	list, _ := a["queries"].([]any)
	var steps []wanted.Step
	for _, one := range list {
		entry, _ := one.(map[string]any)
		requestType, _ := entry["RequestType"].(string)
		parameters, _ := entry["Parameters"].(map[string]any)
		steps = append(steps, wanted.Step{RequestType: requestType, Parameters: parameters})
	}
	id, at, err := r.Wanted.PutInventory(ctx, r.caller, a.text("name"), time.Duration(every.days)*24*time.Hour+every.time, steps)
	return r.wanted(ctx, id, at, err)
}

func (a args) wantedAssignment() wanted.Assignment {
	users, _ := a["users"].(bool)
	first, _ := a["first"].(bool)
	return wanted.Assignment{Group: a.text("group"), Users: users, First: first}
}

// assignWanted assigns to groups that are there: a slip in a name would otherwise go unnoticed.
func assignWanted(ctx context.Context, r *run, a args) (any, error) {
	if err := r.caughtUp(ctx); err != nil {
		return nil, err
	}
	if _, found, err := r.Views.Group(ctx, a.text("group"), projections.Now); err != nil || !found {
		if err == nil {
			err = domain.WithHint(domain.Refusef(domain.NotFound, "there is no such group"), "groups lists them, createGroup makes one")
		}
		return nil, err
	}
	at, err := r.Wanted.Assign(ctx, r.caller, a.text("id"), a.wantedAssignment())
	return r.wanted(ctx, a.text("id"), at, err)
}

func unassignWanted(ctx context.Context, r *run, a args) (any, error) {
	at, err := r.Wanted.Unassign(ctx, r.caller, a.text("id"), a.wantedAssignment())
	return r.wanted(ctx, a.text("id"), at, err)
}

func withdrawWanted(ctx context.Context, r *run, a args) (any, error) {
	at, err := r.Wanted.Withdraw(ctx, r.caller, a.text("id"), a.text("reason"))
	return r.wanted(ctx, a.text("id"), at, err)
}

func retryWanted(ctx context.Context, r *run, a args) (any, error) {
	if err := r.caughtUp(ctx); err != nil {
		return nil, err
	}
	d, found, err := r.Views.Device(ctx, a.text("device"), projections.Now)
	if err != nil || !found {
		if err == nil {
			err = domain.Refusef(domain.NotFound, "no such device is known")
		}
		return nil, err
	}
	at, err := r.Wanted.Retry(ctx, r.caller, d.ID, device.ChannelID(a.text("userId")), a.text("id"), a.text("reason"))
	if err != nil {
		return nil, err
	}
	if err := r.shows(ctx, at); err != nil {
		return nil, err
	}
	return deviceWanted(ctx, r, seen{d, present})
}

// wanted returns the thing as it is after the event at the position.
func (r *run) wanted(ctx context.Context, id string, at eventstore.Position, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	if err := r.shows(ctx, at); err != nil {
		return nil, err
	}
	w, found, err := r.Views.WantedThing(ctx, id, projections.Now)
	if err != nil || !found {
		return nil, err
	}
	return wantedThing{w, present}, nil
}
