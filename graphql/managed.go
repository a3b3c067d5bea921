package graphql

import (
	"context"
	"slices"
	"time"

	"github.com/graphql-go/graphql"

	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/projections"
)

// A managedThing is a thing that this server has put on a device, and the device at its moment.
type managedThing struct {
	projections.Managed
	device seen
}

func (t *types) makeManaged() {
	t.thingKind = enum("ManagedKind", "What sort of thing this server puts on devices.", projections.KindProfile, projections.KindProvisioning,
		projections.KindApp, projections.KindMedia, projections.KindAccount, projections.KindCertificate)
	t.thingState = enum("ManagedState", "Where a managed thing stands. Acknowledged is not verified: a list that the device told later says whether it is there.",
		projections.ManagedOrdered, projections.ManagedAcknowledged, projections.ManagedVerified, projections.ManagedDiffers,
		projections.ManagedMissing, projections.ManagedFailed, projections.ManagedRemoved, projections.ManagedGone, projections.ManagedLeft,
		projections.ManagedPresumedGone)
	t.managed = t.object("ManagedThing", "What this server has put on a device, and how it is there.", t.managedFields)
	t.managedSpan = t.object("ManagedSpan", "How a managed thing was for a while.", t.managedSpanFields)
}

func (t *types) managedSpanFields() graphql.Fields {
	text := func(about string, f func(projections.Managed) string) *graphql.Field {
		return get(about, graphql.String, func(m managedThing) any { return orNull(f(m.Managed)) })
	}
	return graphql.Fields{
		"state":         get("", must(t.thingState), func(m managedThing) any { return m.State }),
		"because":       text("Why, in words.", func(m projections.Managed) string { return m.Because }),
		"since":         get("", must(timeScalar), func(m managedThing) any { return m.Since }),
		"sincePosition": get("Of the event that told it.", must(graphql.ID), func(m managedThing) any { return position(m.SincePosition) }),
		"until":         get("Null while it holds.", timeScalar, func(m managedThing) any { return m.Until }),
		"installedBy": get("Who ordered it; null if nothing of ours brought it, or the order is not known.", graphql.String, func(m managedThing) any {
			return orNull(actorName(m.InstalledBy))
		}),
		"orderedAt": get("When the command was ordered that brought it.", timeScalar, func(m managedThing) any { return m.CommandAt }),
		"command": ask("That brought it.", t.command, func(ctx context.Context, r *run, m managedThing) (any, error) {
			return r.commandOf(ctx, m, m.Command)
		}),
		"removal": ask("The command that took it away.", t.command, func(ctx context.Context, r *run, m managedThing) (any, error) {
			return r.commandOf(ctx, m, m.Removal)
		}),
		"revision":          text("SHA-256 of the profile that was sent, in hex.", func(m projections.Managed) string { return m.Revision }),
		"uuid":              text("PayloadUUID of the profile that was sent.", func(m projections.Managed) string { return m.UUID }),
		"locked":            get("The user cannot remove it.", must(graphql.Boolean), func(m managedThing) any { return m.Locked }),
		"goesWithEnrolment": get("It is removed when the device is managed no longer.", must(graphql.Boolean), func(m managedThing) any { return !m.Stays }),
		"about":             get("What the device told of it.", jsonScalar, func(m managedThing) any { return orAbsent(m.About) }),
	}
}

func (t *types) managedFields() graphql.Fields {
	fields := t.managedSpanFields()
	delete(fields, "until")
	fields["kind"] = get("", must(t.thingKind), func(m managedThing) any { return m.Kind })
	fields["identifier"] = get("PayloadIdentifier, bundle identifier, UUID of a provisioning profile, short name of an account, id of a book, or SHA-256 of a certificate.",
		must(graphql.ID), func(m managedThing) any { return m.Identifier })
	fields["user"] = ask("On whose channel; null for the device's own.", t.user, func(ctx context.Context, r *run, m managedThing) (any, error) {
		return r.userOf(ctx, m.device, m.Channel)
	})
	fields["partOf"] = get("The profile that brought a certificate.", graphql.String, func(m managedThing) any { return orNull(m.PartOf) })
	fields["history"] = ask("How it was until this moment, the oldest first.", many(t.managedSpan), managedHistory)
	return fields
}

// commandOf returns the device's command with a UUID, as far as it has come at the device's moment.
func (r *run) commandOf(ctx context.Context, m managedThing, uuid string) (any, error) {
	if uuid == "" {
		return nil, nil
	}
	found, err := r.inOrder(ctx, m.device.ID, []string{uuid}, m.device.when)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return found[0], nil
}

func (r *run) userOf(ctx context.Context, s seen, channel device.ChannelID) (any, error) {
	users, err := r.Views.Users(ctx, s.ID, s.when.at)
	for _, u := range users {
		if u.ID == channel {
			return user{u, s}, err
		}
	}
	return nil, err
}

func deviceManaged(ctx context.Context, r *run, s seen, a args) (any, error) {
	all, err := r.Views.Managed(ctx, s.ID, s.when.at)
	found := []managedThing{}
	kinds, ended := texts[string](a, "kind"), a.flag("ended")
	for _, m := range all {
		if m.Ended() && (ended == nil || !*ended) || len(kinds) > 0 && !slices.Contains(kinds, m.Kind) {
			continue
		}
		found = append(found, managedThing{m, s})
	}
	return found, err
}

// managedHistory tells of the time until the device's moment. A span that ended later had not ended then.
func managedHistory(ctx context.Context, r *run, m managedThing) (any, error) {
	all, err := r.Views.ManagedHistory(ctx, m.device.ID, m.Channel, m.Kind, m.Identifier)
	found := []managedThing{}
	for _, one := range all {
		if one.SincePosition > m.device.when.at {
			break
		}
		if one.UntilPosition > m.device.when.at {
			one.Until, one.UntilPosition = time.Time{}, 0
		}
		found = append(found, managedThing{one, m.device})
	}
	return found, err
}
