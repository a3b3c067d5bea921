package graphql

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/graphql-go/graphql"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/command"
	"github.com/rollcall-mdm/rollcall/domain/declaration"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/domain/group"
	"github.com/rollcall-mdm/rollcall/projections"
)

func (t *types) enforcementMutations() graphql.Fields {
	id := graphql.FieldConfigArgument{"identifier": arg("Of the declaration; at most 64 bytes, without a slash.", must(graphql.ID))}
	whom := graphql.FieldConfigArgument{
		"group":   arg("Whose devices.", graphql.ID),
		"devices": arg("Or these: UDIDs, EnrollmentIDs or serial numbers, at most 1000. A group of the identifier's name is made for them.", graphql.NewList(must(graphql.ID))),
	}
	return graphql.Fields{
		"enforceOSUpdate": root("Has devices run a version of their operating system by a moment; again with the same identifier changes it. Refused if none of the devices can be brought there.",
			must(t.enforcement), with(with(id, whom), graphql.FieldConfigArgument{
				"targetOSVersion":     arg("E.g. 18.1.", must(graphql.String)),
				"targetBuildVersion":  arg("E.g. 22B83.", graphql.String),
				"targetLocalDateTime": arg("In each device's own time: 2026-03-01T18:00:00.", must(graphql.String)),
				"detailsURL":          arg("Shown to users; begins with https://.", graphql.String),
			}), enforceOSUpdate),
		"withdrawOSUpdate": root("No longer has devices run that version; its history stays. Null if there is none any more.", t.declaration,
			with(id, graphql.FieldConfigArgument{"reason": arg("", must(graphql.String))}), withdrawOSUpdate),
		"putOSUpdateSettings": root("Declares how devices deal with updates of their operating systems, and has devices have it.", must(t.declaration),
			with(with(id, whom), settingsArguments()), putOSUpdateSettings),
	}
}

// settingsKeys are Apple's keys of the settings, by the names of their arguments.
func settingsKeys() map[string]command.Key {
	spec, _ := command.LookupDeclaration(declaration.UpdateSettings)
	return argumentsOf(spec)
}

func settingsArguments() graphql.FieldConfigArgument {
	all := graphql.FieldConfigArgument{}
	for name, k := range settingsKeys() {
		all[name] = arg(aboutKey(k), argumentType(k))
	}
	return all
}

func enforceOSUpdate(ctx context.Context, r *run, a args) (any, error) {
	e := declaration.Enforcement{
		TargetOSVersion: a.text("targetOSVersion"), TargetBuildVersion: a.text("targetBuildVersion"),
		TargetLocalDateTime: a.text("targetLocalDateTime"), DetailsURL: a.text("detailsURL"),
	}
	payload, err := e.Payload()
	if err != nil {
		return nil, err
	}
	found, err := r.declareFor(ctx, a, declaration.UpdateEnforcement, payload, e.Suits)
	if err != nil {
		return nil, err
	}
	return enforcement{found, e}, nil
}

func putOSUpdateSettings(ctx context.Context, r *run, a args) (any, error) {
	keys := map[string]any{}
	for name, k := range settingsKeys() {
		if v, given := a[name]; given && v != nil {
			keys[k.Path] = v
		}
	}
	payload, err := json.Marshal(keys)
	if err != nil {
		return nil, domain.Refusef(domain.Invalid, "the settings must be JSON")
	}
	return r.declareFor(ctx, a, declaration.UpdateSettings, payload, func(t command.Target) error {
		return declaration.Suits(declaration.UpdateSettings, payload, t)
	})
}

// declareFor puts a declaration and has the devices have it whom the arguments name, unless it can work on none of them.
func (r *run) declareFor(ctx context.Context, a args, declarationType string, payload json.RawMessage, suits func(command.Target) error) (found declared, err error) {
	if err := r.caller.Change(); err != nil {
		return found, err
	}
	if err := r.caughtUp(ctx); err != nil {
		return found, err
	}
	devices, err := r.named(ctx, texts[string](a, "devices"))
	if err != nil {
		return found, err
	}
	if err := r.someSuit(ctx, a.text("group"), devices, suits); err != nil {
		return found, err
	}
	id := a.text("identifier")
	at, err := r.Declarations.Put(ctx, r.caller, id, declarationType, payload, false)
	if err != nil {
		return found, err
	}
	to := a.text("group")
	if len(devices) > 0 {
		if to, err = r.groupFor(ctx, id, devices); err != nil {
			return found, err
		}
	}
	if to != "" {
		assigned, err := r.Declarations.Assign(ctx, r.caller, id, declaration.Assignment{Group: to})
		if err != nil {
			return found, err
		}
		at = max(at, assigned)
	}
	if err := r.shows(ctx, at); err != nil {
		return found, err
	}
	d, _, err := r.Views.Declaration(ctx, id, projections.Now)
	return declared{d, present}, err
}

// named returns the devices of these names. One that nobody knows is a slip, and refuses all.
func (r *run) named(ctx context.Context, names []string) (devices []projections.Device, err error) {
	if len(names) > maxTargets {
		return nil, domain.WithHint(domain.Refusef(domain.Invalid, "at most %d devices are named at once", maxTargets), "make a group of them")
	}
	for _, name := range names {
		d, found, err := r.Views.Device(ctx, name, projections.Now)
		if err == nil && !found {
			err = domain.Refusef(domain.NotFound, "no device is called %.100q", name)
		}
		if err != nil {
			return nil, err
		}
		devices = append(devices, d)
	}
	return devices, nil
}

// someSuit refuses what can work on none of the devices, and a group that is not there.
func (r *run) someSuit(ctx context.Context, to string, devices []projections.Device, suits func(command.Target) error) error {
	kinds := make([]projections.Kind, len(devices))
	for i, d := range devices {
		kinds[i] = projections.Kind{Example: d, Devices: 1}
	}
	if to != "" {
		if len(devices) > 0 {
			return domain.Refusef(domain.Invalid, "either a group or devices are named")
		}
		_, found, err := r.Views.Group(ctx, to, projections.Now)
		if err == nil && !found {
			err = domain.WithHint(domain.Refusef(domain.NotFound, "there is no such group"), "groups lists them, createGroup makes one")
		}
		if err != nil {
			return err
		}
		if kinds, err = r.Views.Kinds(ctx, projections.DeviceQuery{AsOf: projections.Now, Filter: projections.DeviceFilter{
			Group: to, Status: []device.Status{device.StatusEnrolled, device.StatusPresumedUnmanaged},
		}}); err != nil {
			return err
		}
	}
	var first error
	for _, k := range kinds {
		err := suits(k.Example.Target())
		if err == nil {
			return nil
		}
		if first == nil {
			first = err
		}
	}
	if refusal, refused := domain.Refused(first); refused {
		return domain.WithHint(domain.Refusef(domain.Conflict, "none of the devices can take it: %s", refusal.Text), "unsuitable of a declaration tells of each kind of devices")
	}
	return first
}

// groupFor makes the group of the devices that were named one by one for a declaration, or adds them to it.
func (r *run) groupFor(ctx context.Context, id string, devices []projections.Device) (string, error) {
	name := groupName(id)
	if _, found, err := r.Views.Group(ctx, name, projections.Now); err != nil {
		return "", err
	} else if !found {
		if _, err := r.Groups.Create(ctx, r.caller, name, group.Definition{Name: fmt.Sprintf("Devices of %s", id), Description: "Made for the declaration of this name."}); err != nil {
			return "", domain.WithHint(err, "give another identifier, of letters, digits, dots, hyphens and underscores, or a group")
		}
	}
	pseudonyms := make([]string, len(devices))
	for i, d := range devices {
		pseudonyms[i] = d.ID
	}
	at, err := r.Groups.Add(ctx, r.caller, name, pseudonyms)
	if err != nil {
		return "", err
	}
	return name, r.shows(ctx, at)
}

// groupName is what the group is called whose devices were named one by one for a declaration.
func groupName(declarationID string) string { return "declared." + declarationID }

// withdrawOSUpdate withdraws an enforcement, and with it the group that was made for it.
func withdrawOSUpdate(ctx context.Context, r *run, a args) (any, error) {
	if err := r.caughtUp(ctx); err != nil {
		return nil, err
	}
	id := a.text("identifier")
	d, found, err := r.Views.Declaration(ctx, id, projections.Now)
	if err != nil {
		return nil, err
	}
	if !found || d.Type != declaration.UpdateEnforcement && d.Type != declaration.UpdateSettings {
		return nil, domain.WithHint(domain.Refusef(domain.NotFound, "no declaration about updates is called so"), "osUpdateEnforcements lists those that have devices run a version")
	}
	at, err := r.Declarations.Withdraw(ctx, r.caller, id, a.text("reason"))
	if err != nil {
		return nil, err
	}
	if _, made, err := r.Views.Group(ctx, groupName(id), projections.Now); err != nil {
		return nil, err
	} else if made {
		gone, err := r.Groups.Delete(ctx, r.caller, groupName(id), a.text("reason"))
		if err != nil {
			return nil, err
		}
		at = max(at, gone)
	}
	return r.declared(ctx, a, at, nil)
}
