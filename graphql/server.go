package graphql

import (
	"context"
	"strings"
	"time"

	"github.com/graphql-go/graphql"

	"github.com/rollcall-mdm/rollcall/domain/command"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/projections"
)

func (t *types) makeServer() {
	t.operator = t.object("Operator", "Who is asking.", t.operatorFields)
	t.log = t.object("Log", "All events, in one order.", logFields)
	t.parked = t.object("ParkedStream", "A stream that a view could not digest and leaves alone from there on.", parkedFields)
	t.view = t.object("View", "How one view stands.", t.viewFields)
	t.token = t.object("Token", "An API token. Its text was shown once, when it was made.", t.tokenFields)
	t.parameter = t.object("CommandParameter", "A key that a command takes or a result gives.", parameterFields)
	t.support = t.object("CommandSupport", "What a command asks for on one platform.", supportFields)
	t.commandType = t.object("CommandType", "One of Apple's commands.", t.commandTypeFields)
}

func (t *types) serverQueries() graphql.Fields {
	return graphql.Fields{
		"me":  root("Who is asking.", must(t.operator), nil, t.me),
		"log": root("", must(t.log), nil, func(ctx context.Context, r *run, _ args) (any, error) { return r.Log.Head(ctx) }),
		"views": root("How far each view has come.", many(t.view), nil, func(ctx context.Context, r *run, _ args) (any, error) {
			return r.Views.List(ctx)
		}),
		"tokens": root("All API tokens; administrators only.", many(t.token), nil, func(ctx context.Context, r *run, _ args) (any, error) {
			return r.Views.Tokens(ctx)
		}),
		"commandTypes": root("Apple's commands.", many(t.commandType), graphql.FieldConfigArgument{
			"platform": arg("Those that exist there.", t.platform),
		}, commandTypes),
	}
}

func logFields() graphql.Fields {
	return graphql.Fields{
		"size": ask("How many events there are.", must(graphql.ID), func(ctx context.Context, r *run, head eventstore.Position) (any, error) {
			return eventstore.Count(ctx, r.Log, head)
		}),
		"head": get("The position of the last event.", must(graphql.ID), func(head eventstore.Position) any { return head }),
	}
}

func (t *types) viewFields() graphql.Fields {
	type view = projections.View
	return graphql.Fields{
		"name":       get("", must(graphql.String), func(v view) any { return v.Name }),
		"version":    get("", must(graphql.Int), func(v view) any { return v.Version }),
		"position":   get("The last event that it has folded.", must(graphql.ID), func(v view) any { return v.Position }),
		"lag":        get("How many events it is behind.", must(graphql.Int), func(v view) any { return int(v.Lag) }),
		"rebuilding": get("It is being folded anew, beside the one that is served.", must(graphql.Boolean), func(v view) any { return v.Rebuilding }),
		"rebuilt": get("The last event that the new one has folded; null unless it is being rebuilt.", graphql.ID, func(v view) any {
			if !v.Rebuilding {
				return nil
			}
			return v.Rebuilt
		}),
		"rebuildError": get("Why the last rebuild did not come to its end; null if it did.", graphql.String, func(v view) any { return orNull(v.RebuildError) }),
		"parked":       get("", many(t.parked), func(v view) any { return v.Parked }),
	}
}

func parkedFields() graphql.Fields {
	type parked = projections.ParkedStream
	return graphql.Fields{
		"stream":   get("", must(graphql.String), func(p parked) any { return p.Stream.String() }),
		"position": get("Of the event that could not be digested.", must(graphql.ID), func(p parked) any { return p.Position }),
		"error":    get("", must(graphql.String), func(p parked) any { return p.Error }),
		"since":    get("", timeScalar, func(p parked) any { return p.Since }),
	}
}

func actorName(a eventstore.Actor) string {
	if a.Name != "" {
		return a.Name
	}
	return a.ID
}

func (t *types) tokenFields() graphql.Fields {
	type token = projections.OperatorToken
	when := func(f func(token) time.Time) *graphql.Field {
		return get("", timeScalar, func(tok token) any { return f(tok) })
	}
	return graphql.Fields{
		"id":        get("Not secret.", must(graphql.ID), func(tok token) any { return tok.ID }),
		"name":      get("", must(graphql.String), func(tok token) any { return tok.Name }),
		"role":      get("", must(t.role), func(tok token) any { return string(tok.Role) }),
		"createdAt": when(func(tok token) time.Time { return tok.CreatedAt }),
		"createdBy": get("", must(graphql.String), func(tok token) any { return actorName(tok.CreatedBy) }),
		"expiresAt": when(func(tok token) time.Time { return tok.Expires }),
		"revokedAt": when(func(tok token) time.Time { return tok.RevokedAt }),
	}
}

func commandTypes(_ context.Context, _ *run, a args) (any, error) {
	want := projections.Platform(a.text("platform"))
	all := []*command.Spec{}
	catalog := command.Catalog()
	for i := range catalog {
		if _, exists := catalog[i].On(platforms[want]); want == "" || exists {
			all = append(all, &catalog[i])
		}
	}
	return all, nil
}

func (t *types) commandTypeFields() graphql.Fields {
	type spec = *command.Spec
	return graphql.Fields{
		"requestType": get("", must(graphql.ID), func(s spec) any { return s.Type }),
		"mutation":    get("The typed mutation that orders it.", graphql.String, func(s spec) any { return orNull(mutationOf(s.Type)) }),
		"group":       get("", must(graphql.String), func(s spec) any { return s.Group }),
		"destructive": get("It changes or destroys what a user can see.", must(graphql.Boolean), func(s spec) any { return s.Destructive }),
		"support":     get("", many(t.support), func(s spec) any { return s.Support }),
		"parameters":  get("", many(t.parameter), func(s spec) any { return s.Request }),
		"response":    get("", many(t.parameter), func(s spec) any { return s.Response }),
	}
}

func parameterFields() graphql.Fields {
	return graphql.Fields{
		"path":     get("With . for members and [] for elements.", must(graphql.String), func(k command.Key) any { return k.Path }),
		"type":     get("string, integer, real, boolean, data, date, array, dict or any.", must(graphql.String), func(k command.Key) any { return k.Type }),
		"required": get("If its parent is there.", must(graphql.Boolean), func(k command.Key) any { return k.Required }),
	}
}

func supportFields() graphql.Fields {
	type support = command.Support
	return graphql.Fields{
		"platform":   get("As Apple spells it.", must(graphql.String), func(s support) any { return string(s.Platform) }),
		"introduced": get("", graphql.String, func(s support) any { return orNull(s.Introduced) }),
		"deprecated": get("", graphql.String, func(s support) any { return orNull(s.Deprecated) }),
		"removed":    get("", graphql.String, func(s support) any { return orNull(s.Removed) }),
		"supervised": get("The device must be supervised.", must(graphql.Boolean), func(s support) any { return s.Supervised }),
	}
}

// mutationOf returns the name of the typed mutation for one of Apple's commands, "" if there is none.
func mutationOf(requestType string) string {
	name := lowerFirst(requestType)
	if _, typed := typedMutations()[name]; typed {
		return name
	}
	return ""
}

// lowerFirst writes a name of Apple's as GraphQL likes it: DeviceLock as deviceLock.
func lowerFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}
