package graphql

import (
	"context"
	"encoding/json"

	"github.com/graphql-go/graphql"

	"github.com/rollcall-mdm/rollcall/domain/declaration"
	"github.com/rollcall-mdm/rollcall/projections"
)

// How far a device is with a version that it is to run.
const (
	enforcementMet        = "MET"
	enforcementUnsuitable = "UNSUITABLE"
	enforcementWithheld   = "WITHHELD"
	enforcementRefused    = "REFUSED"
	enforcementTold       = "TAKEN"
	enforcementWaiting    = "WAITING"
)

// An enforcement is a declaration that has devices run a version of their operating system.
type enforcement struct {
	declared
	asks declaration.Enforcement
}

// An enforced is an enforcement on one device.
type enforced struct {
	identifier, state, because string
	asks                       declaration.Enforcement
	told                       map[string]projections.Fact // of the status items softwareupdate. …, by what follows
	overdue                    bool
}

func (t *types) makeEnforcement() {
	t.enforcementState = enum("OSUpdateState", "How far a device is with a version that it is to run: it has it, or a newer one (MET); it has taken the declaration (TAKEN), "+
		"not told of it yet (WAITING), found it invalid (REFUSED), is not given it, for it has not told that it takes such (WITHHELD), or cannot be brought there (UNSUITABLE).",
		enforcementMet, enforcementTold, enforcementWaiting, enforcementRefused, enforcementWithheld, enforcementUnsuitable)
	t.enforcement = t.object("OSUpdateEnforcement", "A version of an operating system that devices are to run by a moment.", func() graphql.Fields {
		fields := enforcementFields(func(e enforcement) declaration.Enforcement { return e.asks })
		fields["declaration"] = get("", must(t.declaration), func(e enforcement) any { return e.declared })
		fields["unsuitable"] = ask("Devices of its groups that cannot be brought there, as far as is known.", many(t.unsuitable), unsuitableForUpdate)
		return fields
	})
	t.enforced = t.object("EnforcedOSUpdate", "A version that a device is to run by a moment, and how far it is.", t.enforcedFields)
}

func enforcementFields[S any](of func(S) declaration.Enforcement) graphql.Fields {
	return graphql.Fields{
		"targetOSVersion":     get("", must(graphql.String), func(s S) any { return of(s).TargetOSVersion }),
		"targetBuildVersion":  get("", graphql.String, func(s S) any { return orNull(of(s).TargetBuildVersion) }),
		"targetLocalDateTime": get("In the device's own time.", must(graphql.String), func(s S) any { return of(s).TargetLocalDateTime }),
		"detailsURL":          get("", graphql.String, func(s S) any { return orNull(of(s).DetailsURL) }),
	}
}

func (t *types) enforcedFields() graphql.Fields {
	fields := enforcementFields(func(e enforced) declaration.Enforcement { return e.asks })
	item := func(about, name string, t graphql.Output) *graphql.Field {
		return get(about, t, func(e enforced) any {
			var v any
			if json.Unmarshal(e.told[name].Value, &v) != nil {
				return nil
			}
			return v
		})
	}
	told := graphql.Fields{
		"identifier":     get("Of the declaration.", must(graphql.ID), func(e enforced) any { return e.identifier }),
		"state":          get("", must(t.enforcementState), func(e enforced) any { return e.state }),
		"because":        get("Why, in words.", graphql.String, func(e enforced) any { return orNull(e.because) }),
		"overdue":        get("The moment has passed, wherever the device may be, and it does not run that version.", must(graphql.Boolean), func(e enforced) any { return e.overdue }),
		"installState":   item("Of whatever update it is at: none, downloading, prepared, installing or failed.", "install-state", graphql.String),
		"installReasons": item("Why it installs that, in Apple's words: a list.", "install-reason.reason", jsonScalar),
		"installedFor":   item("The declaration for which it installs that.", "install-reason.declaration-id", graphql.String),
		"pendingVersion": item("The version that it is at.", "pending-version.os-version", graphql.String),
		"pendingBuild":   item("", "pending-version.build-version", graphql.String),
		"failures":       item("How often that failed.", "failure-reason.count", graphql.Int),
		"failureReason":  item("Why it failed last.", "failure-reason.reason", graphql.String),
		"failedAt":       item("When it failed last, as the device writes it.", "failure-reason.timestamp", graphql.String),
		"installStateAt": get("When the device first told installState so.", timeScalar, func(e enforced) any { return e.told["install-state"].Since }),
		"told":           get("All that the device told of updates under softwareupdate., by what follows.", must(jsonScalar), enforced.all),
	}
	for name, f := range told {
		fields[name] = f
	}
	return fields
}

func (e enforced) all() any {
	all := map[string]json.RawMessage{}
	for name, f := range e.told {
		all[name] = f.Value
	}
	return all
}

// deviceEnforcements lists the versions that a device is to run, as it was at its moment.
func deviceEnforcements(ctx context.Context, r *run, s seen) (any, error) {
	kept, err := r.declarationsOf(ctx, s, "")
	if err != nil {
		return nil, err
	}
	told, err := r.softwareTold(ctx, s)
	if err != nil {
		return nil, err
	}
	all := []enforced{}
	for _, d := range kept {
		if d.wanted == nil || d.wanted.Type != declaration.UpdateEnforcement {
			continue
		}
		stored, _, err := r.Views.Declaration(ctx, d.identifier, s.when.at)
		if err != nil {
			return nil, err
		}
		e := enforced{identifier: d.identifier, asks: declaration.ParseEnforcement(stored.Shown), told: told}
		if err := e.judge(ctx, r, d); err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, nil
}

// softwareTold returns what a device told of its updates, by what follows softwareupdate. in the item's name.
func (r *run) softwareTold(ctx context.Context, s seen) (map[string]projections.Fact, error) {
	const prefix = "status.softwareupdate."
	facts, err := r.Views.Facts(ctx, s.ID, prefix, s.when.at)
	told := map[string]projections.Fact{}
	for _, f := range facts {
		told[f.Key[len(prefix):]] = f
	}
	return told, err
}

// judge says how far the device is.
func (e *enforced) judge(ctx context.Context, r *run, d keptDeclaration) error {
	target, err := r.targetOn(ctx, d.on.Device, "", d.on.when.at)
	if err != nil {
		return err
	}
	supplemental, err := r.Views.Facts(ctx, d.on.ID, "device.SupplementalBuildVersion", d.on.when.at)
	if err != nil {
		return err
	}
	builds := []string{d.on.BuildVersion}
	for _, f := range supplemental {
		var build string
		_ = json.Unmarshal(f.Value, &build) // what is no text is no build
		builds = append(builds, build)
	}
	said := func(name string) (v string) {
		if d.told != nil {
			_ = json.Unmarshal(d.told.keys[name], &v) // anything else is not what is wanted
		}
		return v
	}
	unsuitable := e.asks.Suits(target)
	switch {
	case e.asks.Met(d.on.OSVersion, builds...):
		e.state = enforcementMet
	case unsuitable != nil:
		e.state, e.because = enforcementUnsuitable, unsuitable.Error()
	case d.withheld:
		e.state, e.because = enforcementWithheld, "the device has not told that it takes such declarations"
	case d.told == nil || said("server-token") != d.wanted.ServerToken:
		e.state, e.because = enforcementWaiting, "the device has not told of this revision yet"
	case said("valid") != "valid":
		e.state, e.because = enforcementRefused, "the device says that it is "+or(said("valid"), "unknown")+": "+string(d.told.keys["reasons"])
	default:
		e.state = enforcementTold
	}
	now := d.on.when.time
	if !d.on.when.past() || now.IsZero() {
		now = r.Now()
	}
	e.overdue = e.state != enforcementMet && e.asks.Passed(now)
	return nil
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

func (t *types) enforcementQueries() graphql.Fields {
	return graphql.Fields{
		"osUpdateEnforcements": root("The versions that devices are to run, by identifier; group { devices { nodes { osUpdateEnforcements } } } tells of each device.",
			many(t.enforcement), graphql.FieldConfigArgument{"asOf": arg("The present if absent.", timeScalar)}, allEnforcements),
	}
}

func allEnforcements(ctx context.Context, r *run, a args) (any, error) {
	when, err := r.moment(ctx, a)
	if err != nil {
		return nil, err
	}
	all := []enforcement{}
	page := projections.Page{First: projections.MaxPage}
	for {
		list, err := r.Views.Declarations(ctx, when.at, page)
		if err != nil {
			return nil, err
		}
		for _, d := range list.Nodes() {
			if d.Type == declaration.UpdateEnforcement {
				all = append(all, enforcement{declared{d, when}, declaration.ParseEnforcement(d.Shown)})
			}
		}
		if !list.HasNext {
			return all, nil
		}
		page.After = list.Edges[len(list.Edges)-1].Cursor
	}
}

func unsuitableForUpdate(ctx context.Context, r *run, e enforcement) (any, error) {
	all := []unsuitable{}
	for _, to := range e.Assigned {
		some, err := r.unsuitable(ctx, to, e.when, e.asks.Suits)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}
