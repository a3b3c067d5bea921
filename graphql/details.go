package graphql

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/graphql-go/graphql"

	"github.com/rollcall-mdm/rollcall/projections"
)

// deviceDetails are the fields of a device that are looked up for it, at its moment.
func (t *types) deviceDetails() graphql.Fields {
	return graphql.Fields{
		"users": ask("", many(t.user), deviceUsers),
		"facts": field("Everything known, by key.", many(t.fact), graphql.FieldConfigArgument{
			"prefix": arg("Keys that begin so, e.g. security.", graphql.String),
		}, deviceFacts),
		"history": field("What was known under one key, and when; the newest last.", must(t.spans), forward(graphql.FieldConfigArgument{
			"key": arg("", must(graphql.String)),
		}), factHistory),
		"changes": field("What differs between two moments.", many(t.change), graphql.FieldConfigArgument{
			"from": arg("", must(timeScalar)), "to": arg("", must(timeScalar)),
		}, factChanges),
		"attestation": ask("What it attested of itself when DeviceInformation asked for DevicePropertiesAttestation; null if it did not.", t.deviceAttestation, attestationOf),
		"security":    ask("What SecurityInfo told, as one object.", jsonScalar, deviceSecurity),
		"applications": field("", must(t.applications), forward(nil), func(ctx context.Context, r *run, s seen, a args) (any, error) {
			all, err := r.pieces(ctx, s, applicationFacts)
			if err != nil {
				return nil, err
			}
			return slice(all, a)
		}),
		"profiles": ask("", many(t.profile), func(ctx context.Context, r *run, s seen) (any, error) {
			return r.pieces(ctx, s, profileFacts)
		}),
		"osUpdates":            ask("What it told of updates of its operating system.", many(t.update), deviceUpdates),
		"osUpdateEnforcements": ask("Which versions of its operating system it is to run by when, and how far it is.", many(t.enforced), deviceEnforcements),
		"certificates": ask("", many(t.identity), func(ctx context.Context, r *run, s seen) (any, error) {
			return r.pieces(ctx, s, certificateFacts)
		}),
		"declarations": ask("What it is to have, and what it told that it has, its own channel's alone.", many(t.deviceDeclaration), deviceDeclarations),
		"managed": field("What this server has put on it and its users, and how it is there.", many(t.managed), graphql.FieldConfigArgument{
			"kind":  arg("", graphql.NewList(must(t.thingKind))),
			"ended": {Type: graphql.Boolean, DefaultValue: false, Description: "With what was removed, or went with an enrolment."},
		}, deviceManaged),
		"wanted": ask("How far it and its users have come with what they are to have.", many(t.standing), deviceWanted),
		"groups": ask("To which it belongs at this moment.", many(t.group), deviceGroups),
		"secrets": field("Which secrets the log holds of it now, without their values: of each kind the newest.", many(t.secret), graphql.FieldConfigArgument{
			"history": arg("Those that others took the place of too, the newest first, a thousand at most.", graphql.Boolean),
		}, func(ctx context.Context, r *run, s seen, a args) (any, error) {
			if all := a.flag("history"); all != nil && *all {
				return r.Views.SecretHistory(ctx, s.ID)
			}
			return r.Views.Secrets(ctx, s.ID)
		}),
		"hold":  t.deviceHold(),
		"queue": ask("What waits for it and its users, in the order in which it will be offered.", many(t.command), deviceQueue),
		"commands": field("The newest first. Those of a past moment cannot be chosen by state.", must(t.commands), forward(graphql.FieldConfigArgument{
			"filter": arg("", t.commandFilter),
		}), deviceCommands),
		"timeline": field("All that happened to it until this moment, the oldest first.", must(t.events), bothWays(graphql.FieldConfigArgument{
			"filter": arg("", t.eventFilter),
		}), deviceTimeline),
	}
}

func deviceUsers(ctx context.Context, r *run, s seen) (any, error) {
	channels, err := r.Views.Users(ctx, s.ID, s.when.at)
	users := make([]user, len(channels))
	for i, c := range channels {
		users[i] = user{c, s}
	}
	return users, err
}

func deviceFacts(ctx context.Context, r *run, s seen, a args) (any, error) {
	return r.Views.Facts(ctx, s.ID, a.text("prefix"), s.when.at)
}

// factHistory tells of the time until the device's moment. A span that ended later had not ended then.
func factHistory(ctx context.Context, r *run, s seen, a args) (any, error) {
	p, err := a.page()
	if err != nil {
		return nil, err
	}
	page, err := r.Views.History(ctx, s.ID, a.text("key"), p)
	if err != nil {
		return nil, err
	}
	known := page.Edges[:0]
	for _, e := range page.Edges {
		if e.Node.SincePosition > s.when.at {
			page.HasNext = false
			break
		}
		if e.Node.UntilPosition > s.when.at {
			e.Node.Until, e.Node.UntilPosition = time.Time{}, 0
		}
		known = append(known, e)
	}
	page.Edges = known
	return connect(page, func(f projections.Fact) any { return f }), nil
}

func factChanges(ctx context.Context, r *run, s seen, a args) (any, error) {
	from, err := r.Views.PositionAt(ctx, a.moment("from"))
	if err != nil {
		return nil, err
	}
	to, err := r.Views.PositionAt(ctx, a.moment("to"))
	if err != nil {
		return nil, err
	}
	return r.Views.Changes(ctx, s.ID, min(from, s.when.at), min(to, s.when.at))
}

func (t *types) factFields() graphql.Fields {
	return graphql.Fields{
		"key":           get("", must(graphql.String), func(f span) any { return f.Key }),
		"value":         get("", jsonScalar, func(f span) any { return f.Value }),
		"since":         get("", must(timeScalar), func(f span) any { return f.Since }),
		"sincePosition": get("Of the event that told it.", must(graphql.ID), func(f span) any { return position(f.SincePosition) }),
	}
}

func (t *types) spanFields() graphql.Fields {
	fields := t.factFields()
	fields["until"] = get("Null while it holds.", timeScalar, func(f span) any { return f.Until })
	fields["untilPosition"] = get("", graphql.ID, func(f span) any { return position(f.UntilPosition) })
	return fields
}

func (t *types) changeFields() graphql.Fields {
	type change = projections.FactChange
	return graphql.Fields{
		"key":      get("", must(graphql.String), func(c change) any { return c.Key }),
		"before":   get("Null if nothing was known.", jsonScalar, func(c change) any { return orAbsent(c.Before) }),
		"after":    get("Null if it is no longer known.", jsonScalar, func(c change) any { return orAbsent(c.After) }),
		"at":       get("When it changed last.", must(timeScalar), func(c change) any { return c.At }),
		"position": get("", must(graphql.ID), func(c change) any { return position(c.Position) }),
	}
}

// orAbsent makes null of JSON that is not there.
func orAbsent(v json.RawMessage) any {
	if len(v) == 0 {
		return nil
	}
	return v
}

func deviceSecurity(ctx context.Context, r *run, s seen) (any, error) {
	facts, err := r.Views.Facts(ctx, s.ID, securityFacts, s.when.at)
	if err != nil || len(facts) == 0 {
		return nil, err
	}
	all := map[string]json.RawMessage{}
	for _, f := range facts {
		all[strings.TrimPrefix(f.Key, securityFacts)] = f.Value
	}
	return all, nil
}
