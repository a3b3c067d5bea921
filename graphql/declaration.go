package graphql

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"maps"
	"strings"

	"github.com/graphql-go/graphql"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/declaration"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/projections"
)

// A declared is a declaration, and the moment at which it is looked at.
type declared struct {
	projections.Declaration
	when moment
}

// An assigned is one group that is to have a declaration.
type assigned struct {
	declaration.Assignment
	when moment
}

// A keptDeclaration is a declaration that a device is to have, as the device has told of it.
type keptDeclaration struct {
	identifier string
	wanted     *declaration.Item // nil if the device is to have it no longer
	told       *piece            // nil if the device has not told of it
	withheld   bool
	on         seen
	channel    device.ChannelID
}

func (t *types) makeDeclaration() {
	t.assignment = t.object("DeclarationAssignment", "Who is to have a declaration.", func() graphql.Fields {
		return graphql.Fields{
			"group": ask("Null if there is no such group at this moment.", t.group, func(ctx context.Context, r *run, a assigned) (any, error) {
				g, found, err := r.Views.Group(ctx, a.Group, a.when.at)
				if err != nil || !found {
					return nil, err
				}
				return company{g, a.when}, nil
			}),
			"groupId": get("", must(graphql.ID), func(a assigned) any { return a.Group }),
			"users":   get("The users of the group's devices, not the devices.", must(graphql.Boolean), func(a assigned) any { return a.Users }),
		}
	})
	t.declaration = t.object("Declaration", "What devices are told to be, in Apple's declarative management.", t.declarationFields)
	t.declarations = t.connection(t.declaration)
	t.makeEnforcement()
	t.unsuitable = t.object("UnsuitableDevices", "Devices that are alike, and why something cannot work on them.", t.unsuitableFields)
	t.deviceDeclaration = t.object("DeviceDeclaration", "How one declaration fares on a device.", deviceDeclarationFields)
}

func (t *types) declarationFields() graphql.Fields {
	return graphql.Fields{
		"identifier":  get("", must(graphql.ID), func(d declared) any { return d.Identifier }),
		"type":        get("As Apple spells it.", must(graphql.String), func(d declared) any { return d.Type }),
		"kind":        get("activation, asset, configuration or management.", must(graphql.String), func(d declared) any { return declaration.KindOf(d.Type) }),
		"serverToken": get("Its revision: it changes with the content alone.", must(graphql.String), func(d declared) any { return d.ServerToken }),
		"payload":     get("Secrets are masked.", must(jsonScalar), func(d declared) any { return d.Shown }),
		"createdAt":   get("", must(timeScalar), func(d declared) any { return d.CreatedAt }),
		"since":       get("When it got this content.", must(timeScalar), func(d declared) any { return d.Since }),
		"putBy":       get("Who gave it this content.", must(graphql.String), func(d declared) any { return actorName(d.PutBy) }),
		"unsuitable": field("On which devices it cannot work, as far as is known; those of its groups.", many(t.unsuitable), graphql.FieldConfigArgument{
			"group": arg("The devices of this group instead, before it is assigned.", graphql.ID), "users": arg("And their users, not the devices.", graphql.Boolean),
		}, unsuitableDevices),
		"assignments": get("", many(t.assignment), func(d declared) any {
			all := make([]assigned, len(d.Assigned))
			for i, a := range d.Assigned {
				all[i] = assigned{a, d.when}
			}
			return all
		}),
	}
}

func deviceDeclarationFields() graphql.Fields {
	member := func(about, name string, t graphql.Output) *graphql.Field {
		return get(about, t, func(d keptDeclaration) any {
			if d.told == nil {
				return nil
			}
			var v any
			if json.Unmarshal(d.told.keys[name], &v) != nil {
				return nil
			}
			return v
		})
	}
	return graphql.Fields{
		"identifier": get("", must(graphql.ID), func(d keptDeclaration) any { return d.identifier }),
		"type": get("Null if the device is to have it no longer.", graphql.String, func(d keptDeclaration) any {
			if d.wanted == nil {
				return nil
			}
			return d.wanted.Type
		}),
		"serverToken": get("The revision that the device is to have; null if none.", graphql.String, func(d keptDeclaration) any {
			if d.wanted == nil {
				return nil
			}
			return d.wanted.ServerToken
		}),
		"deviceToken": member("The revision that the device told that it has.", "server-token", graphql.String),
		"active":      member("", "active", graphql.Boolean),
		"valid":       member("valid, invalid or unknown.", "valid", graphql.String),
		"reasons":     member("Why not, in Apple's words.", "reasons", jsonScalar),
		"unsuitable":  ask("Why it cannot work there, as far as is known; null if nothing speaks against it.", graphql.String, whyUnsuitable),
		"withheld":    get("It is not given to the device, which has not told that it takes such declarations.", must(graphql.Boolean), func(d keptDeclaration) any { return d.withheld }),
		"settled":     get("The device has this very revision and finds it valid; or has it no longer, as is wanted.", must(graphql.Boolean), keptDeclaration.settled),
	}
}

// settled reports whether the device is as it is to be.
func (d keptDeclaration) settled() any {
	if d.wanted == nil || d.told == nil {
		return d.wanted == nil && d.told == nil
	}
	said := func(name string) (v string) {
		_ = json.Unmarshal(d.told.keys[name], &v) // anything else is not what is wanted
		return v
	}
	return said("server-token") == d.wanted.ServerToken && said("valid") == "valid"
}

func deviceDeclarations(ctx context.Context, r *run, s seen) (any, error) {
	return r.declarationsOf(ctx, s, "")
}

func userDeclarations(ctx context.Context, r *run, u user) (any, error) {
	return r.declarationsOf(ctx, u.of, u.ID)
}

// declarationsOf lists what a channel is to have, what it is not given of that, and what it told that it has, all at its moment.
func (r *run) declarationsOf(ctx context.Context, s seen, channel device.ChannelID) ([]keptDeclaration, error) {
	wanted, err := r.Views.Wanted(ctx, s.ID, channel, s.when.at)
	if err != nil {
		return nil, err
	}
	told, err := r.pieces(ctx, s, projections.ChannelPrefix(channel)+"declaration.")
	if err != nil {
		return nil, err
	}
	all := []keptDeclaration{}
	for _, item := range wanted.Set().Items {
		all = append(all, keptDeclaration{identifier: item.Identifier, wanted: &item, on: s, channel: channel})
	}
	for _, item := range wanted.Withheld() {
		all = append(all, keptDeclaration{identifier: item.Identifier, wanted: &item, withheld: true, on: s, channel: channel})
	}
	for _, p := range told {
		at := len(all)
		for i, d := range all {
			if d.identifier == p.ident {
				at = i
			}
		}
		if at == len(all) {
			all = append(all, keptDeclaration{identifier: p.ident})
		}
		all[at].told = &p
	}
	return all, nil
}

func (t *types) declarationQueries() graphql.Fields {
	node := func(x projections.Declaration, when moment) any { return declared{x, when} }
	all := t.enforcementQueries()
	maps.Copy(all, graphql.Fields{
		"declarations": listAsOf("By identifier.", t.declarations, (*projections.Views).Declarations, node),
		"declaration":  oneAsOf(t.declaration, "identifier", (*projections.Views).Declaration, node),
	})
	return all
}

func (t *types) declarationMutations() graphql.Fields {
	id := graphql.FieldConfigArgument{"identifier": arg("At most 64 bytes, without a slash.", must(graphql.ID))}
	whom := with(id, graphql.FieldConfigArgument{
		"group": arg("", must(graphql.ID)),
		"users": {Type: graphql.Boolean, DefaultValue: false, Description: "The users of the group's devices, not the devices."},
	})
	all := t.enforcementMutations()
	maps.Copy(all, graphql.Fields{
		"putDeclaration": root("Gives a declaration its content, new or changed. Devices that are to have it are told.", must(t.declaration),
			with(id, graphql.FieldConfigArgument{
				"type":      arg("As Apple spells it, e.g. com.apple.configuration.passcode.settings.", must(graphql.String)),
				"payload":   arg("An object of Apple's keys.", must(jsonScalar)),
				"unchecked": arg("It is put though Apple's keys would refuse it; administrators only. The log keeps what was wrong.", graphql.Boolean),
			}), putDeclaration),
		"putDeclarationData": root("Gives a declaration data that the server gives out itself, to the devices that are to have it and nobody else: an asset, or a profile of com.apple.configuration.legacy.",
			must(t.declaration), with(id, graphql.FieldConfigArgument{
				"type":        {Type: graphql.String, DefaultValue: "com.apple.asset.data", Description: "As Apple spells it."},
				"contentType": arg("E.g. application/json; may be left out of a profile.", graphql.String),
				"data":        arg("In base64; at most 655360 bytes.", must(graphql.String)),
				"payload":     arg("Apple's other keys, without Reference or ProfileURL.", jsonScalar),
			}), putDeclarationData),
		"assignDeclaration":   root("Has a group's devices, or their users, have a declaration.", must(t.declaration), whom, assignDeclaration),
		"unassignDeclaration": root("Takes a declaration from a group.", must(t.declaration), whom, unassignDeclaration),
		"withdrawDeclaration": root("Takes a declaration from everybody; its history stays. Null if there is none any more.", t.declaration,
			with(id, graphql.FieldConfigArgument{"reason": arg("", must(graphql.String))}), withdrawDeclaration),
	})
	return all
}

func putDeclaration(ctx context.Context, r *run, a args) (any, error) {
	payload, err := json.Marshal(a["payload"])
	if err != nil {
		return nil, domain.Refusef(domain.Invalid, "the payload must be JSON")
	}
	unchecked, _ := a["unchecked"].(bool)
	at, err := r.Declarations.Put(ctx, r.caller, a.text("identifier"), strings.TrimSpace(a.text("type")), payload, unchecked)
	return r.declared(ctx, a, at, err)
}

func putDeclarationData(ctx context.Context, r *run, a args) (any, error) {
	data, err := base64.StdEncoding.DecodeString(a.text("data"))
	if err != nil {
		return nil, domain.Refusef(domain.Invalid, "the data are no base64")
	}
	var more json.RawMessage
	if keys, given := a["payload"]; given && keys != nil {
		if more, err = json.Marshal(keys); err != nil {
			return nil, domain.Refusef(domain.Invalid, "the payload must be JSON")
		}
	}
	content := declaration.Content{Type: a.text("contentType"), Data: data}
	at, err := r.Declarations.PutData(ctx, r.caller, a.text("identifier"), strings.TrimSpace(a.text("type")), content, more)
	return r.declared(ctx, a, at, err)
}

func (a args) assignment() declaration.Assignment {
	users, _ := a["users"].(bool)
	return declaration.Assignment{Group: a.text("group"), Users: users}
}

// assignDeclaration assigns to groups that are there: a slip in a name would otherwise go unnoticed.
func assignDeclaration(ctx context.Context, r *run, a args) (any, error) {
	if err := r.caughtUp(ctx); err != nil {
		return nil, err
	}
	if _, found, err := r.Views.Group(ctx, a.text("group"), projections.Now); err != nil || !found {
		if err == nil {
			err = domain.WithHint(domain.Refusef(domain.NotFound, "there is no such group"), "groups lists them, createGroup makes one")
		}
		return nil, err
	}
	at, err := r.Declarations.Assign(ctx, r.caller, a.text("identifier"), a.assignment())
	return r.declared(ctx, a, at, err)
}

func unassignDeclaration(ctx context.Context, r *run, a args) (any, error) {
	at, err := r.Declarations.Unassign(ctx, r.caller, a.text("identifier"), a.assignment())
	return r.declared(ctx, a, at, err)
}

func withdrawDeclaration(ctx context.Context, r *run, a args) (any, error) {
	at, err := r.Declarations.Withdraw(ctx, r.caller, a.text("identifier"), a.text("reason"))
	return r.declared(ctx, a, at, err)
}

// declared returns the declaration as it is after the event at the position.
func (r *run) declared(ctx context.Context, a args, at eventstore.Position, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	if err := r.shows(ctx, at); err != nil {
		return nil, err
	}
	d, found, err := r.Views.Declaration(ctx, a.text("identifier"), projections.Now)
	if err != nil || !found {
		return nil, err
	}
	return declared{d, present}, nil
}
