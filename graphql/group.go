package graphql

import (
	"context"
	"encoding/json"

	"github.com/graphql-go/graphql"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/group"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/handlers"
	"github.com/rollcall-mdm/rollcall/projections"
)

// A company is a group, and the moment at which it is looked at.
type company struct {
	projections.Group
	when moment
}

// A regrouping is what became of a request to put devices into a group, or to take them out.
type regrouping struct {
	company company
	refused []refusal
}

func (t *types) makeGroup() {
	t.group = t.object("Group", "Devices that belong together: named one by one, or chosen by a rule.", t.groupFields)
	t.groups = t.connection(t.group)
	t.regrouped = t.object("RegroupPayload", "", func() graphql.Fields {
		return graphql.Fields{
			"group":   get("As it is now.", must(t.group), func(g regrouping) any { return g.company }),
			"refused": get("Devices that are not known.", many(t.refused), func(g regrouping) any { return g.refused }),
		}
	})
}

func (t *types) groupFields() graphql.Fields {
	return graphql.Fields{
		"id":          get("", must(graphql.ID), func(g company) any { return g.ID }),
		"name":        get("", must(graphql.String), func(g company) any { return g.Name }),
		"description": get("", graphql.String, func(g company) any { return orNull(g.Description) }),
		"rule": get("What chooses its devices, in the words of DeviceFilter; null if they are named one by one.", jsonScalar, func(g company) any {
			if g.Rule == nil {
				return nil
			}
			return g.Rule
		}),
		"createdAt": get("", must(timeScalar), func(g company) any { return g.CreatedAt }),
		"createdBy": get("", must(graphql.String), func(g company) any { return actorName(g.CreatedBy) }),
		"since":     get("When it got this name, description and rule.", must(timeScalar), func(g company) any { return g.Since }),
		"devices": field("Those that belong to it at this moment.", must(t.devices), forward(graphql.FieldConfigArgument{
			"filter": arg("", t.deviceFilter), "orderBy": arg("", t.deviceOrder),
		}), groupDevices),
	}
}

// groupDevices lists the devices of a group at its moment. A filter narrows them.
func groupDevices(ctx context.Context, r *run, g company, a args) (any, error) {
	q, err := deviceQuery(a, g.when)
	if err != nil {
		return nil, err
	}
	if q.Filter.Group != "" {
		return nil, domain.WithHint(domain.Refusef(domain.Invalid, "the devices of a group are of that group already"),
			"take group out of the filter")
	}
	q.Filter.Group = g.ID
	return r.choose(ctx, q, g.when)
}

func (t *types) groupQueries() graphql.Fields {
	node := func(x projections.Group, when moment) any { return company{x, when} }
	return graphql.Fields{
		"groups": listAsOf("By id.", t.groups, (*projections.Views).Groups, node),
		"group":  oneAsOf(t.group, "id", (*projections.Views).Group, node),
	}
}

func deviceGroups(ctx context.Context, r *run, s seen) (any, error) {
	list, err := r.Views.GroupsOf(ctx, s.ID, s.when.at)
	all := make([]company, len(list))
	for i, g := range list {
		all[i] = company{g, s.when}
	}
	return all, err
}

func (t *types) groupMutations() graphql.Fields {
	definition := graphql.FieldConfigArgument{
		"id":          arg("Letters, digits, dots, hyphens and underscores, at most 64.", must(graphql.ID)),
		"name":        arg("", must(graphql.String)),
		"description": arg("", graphql.String),
		"rule":        arg("Chooses the group's devices by what is known of them; without one they are named one by one. Neither moments nor groups can be in it.", t.deviceFilter),
	}
	members := graphql.FieldConfigArgument{
		"group": arg("", must(graphql.ID)), "devices": arg("UDIDs, EnrollmentIDs or serial numbers; at most 1000.", must(graphql.NewList(must(graphql.ID)))),
	}
	return graphql.Fields{
		"createGroup":     root("Makes a group.", must(t.group), definition, createGroup),
		"changeGroup":     root("Gives a group another name, description or rule: all three as they are to be.", must(t.group), definition, changeGroup),
		"addToGroup":      root("Puts devices into a group.", must(t.regrouped), members, addToGroup),
		"removeFromGroup": root("Takes devices out of a group.", must(t.regrouped), members, removeFromGroup),
		"deleteGroup": root("Gives a group up; its history stays. Null if there is none any more.", t.group, graphql.FieldConfigArgument{
			"id": arg("", must(graphql.ID)), "reason": arg("", must(graphql.String)),
		}, deleteGroup),
	}
}

func createGroup(ctx context.Context, r *run, a args) (any, error) {
	d, err := a.definition()
	if err != nil {
		return nil, err
	}
	at, err := r.Groups.Create(ctx, r.caller, a.text("id"), d)
	return r.grouped(ctx, a.text("id"), at, err)
}

func changeGroup(ctx context.Context, r *run, a args) (any, error) {
	d, err := a.definition()
	if err != nil {
		return nil, err
	}
	at, err := r.Groups.Change(ctx, r.caller, a.text("id"), d)
	return r.grouped(ctx, a.text("id"), at, err)
}

func deleteGroup(ctx context.Context, r *run, a args) (any, error) {
	at, err := r.Groups.Delete(ctx, r.caller, a.text("id"), a.text("reason"))
	return r.grouped(ctx, a.text("id"), at, err)
}

func addToGroup(ctx context.Context, r *run, a args) (any, error) {
	return r.regroup(ctx, a, r.Groups.Add)
}

func removeFromGroup(ctx context.Context, r *run, a args) (any, error) {
	return r.regroup(ctx, a, r.Groups.Remove)
}

// definition reads what a group is to be. Its rule is kept in the words in which it was given.
func (a args) definition() (group.Definition, error) {
	d := group.Definition{Name: a.text("name"), Description: a.text("description")}
	given, ok := a["rule"]
	if !ok || given == nil {
		return d, nil
	}
	for _, m := range []string{"seenBefore", "seenAfter", "group"} {
		if _, said := a.object("rule")[m]; said {
			return d, domain.WithHint(domain.Refusef(domain.Invalid, "a rule cannot speak of %s", m), "it must choose by what devices tell")
		}
	}
	text, err := json.Marshal(given)
	if err != nil {
		return d, domain.Refusef(domain.Invalid, "the rule must be JSON")
	}
	d.Rule = text
	_, err = projections.ParseRule(text)
	return d, err
}

// regroup changes the members of a group. A device that nobody knows is refused for itself.
func (r *run) regroup(ctx context.Context, a args, change func(context.Context, handlers.Caller, string, []string) (eventstore.Position, error)) (any, error) {
	given := texts[string](a, "devices")
	if err := count(given); err != nil {
		return nil, err
	}
	out := regrouping{refused: []refusal{}}
	var known []string
	for _, id := range given {
		d, found, err := r.Views.Device(ctx, id, projections.Now)
		if err == nil && !found {
			err = domain.Refusef(domain.NotFound, "no such device is known")
		}
		if err != nil {
			out.refused = append(out.refused, r.because(ctx, id, err))
			continue
		}
		known = append(known, d.ID)
	}
	at, err := change(ctx, r.caller, a.text("group"), known)
	if err != nil {
		return nil, err
	}
	shown, err := r.grouped(ctx, a.text("group"), at, nil)
	out.company, _ = shown.(company)
	return out, err
}

// grouped returns the group as it is after the event at the position.
func (r *run) grouped(ctx context.Context, id string, at eventstore.Position, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	if err := r.shows(ctx, at); err != nil {
		return nil, err
	}
	g, found, err := r.Views.Group(ctx, id, projections.Now)
	if err != nil || !found {
		return nil, err
	}
	return company{g, present}, nil
}
