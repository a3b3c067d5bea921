package graphql

import (
	"context"
	"encoding/base64"

	"github.com/graphql-go/graphql"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/profile"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/handlers"
	"github.com/rollcall-mdm/rollcall/projections"
)

// A libraryProfile is a profile of the library in its newest version, and the moment at which it is looked at.
type libraryProfile struct {
	projections.ProfileVersion
	when moment
}

func (t *types) makeProfile() {
	t.finding = t.object("ProfileFinding", "What is wrong, or may be wrong, with a profile by Apple's keys.", func() graphql.Fields {
		return graphql.Fields{
			"path":    get("Where, as PayloadContent[1].Keysize; null for the whole.", graphql.String, func(f profile.Finding) any { return orNull(f.Path) }),
			"text":    get("What was expected.", must(graphql.String), func(f profile.Finding) any { return f.Text }),
			"warning": get("A device may take it all the same.", must(graphql.Boolean), func(f profile.Finding) any { return f.Warning }),
		}
	})
	t.profileVersion = t.object("ProfileVersion", "One version of a configuration profile of the library.", func() graphql.Fields {
		return graphql.Fields{
			"version":     get("From 1.", must(graphql.Int), func(p projections.ProfileVersion) any { return p.Version }),
			"uuid":        get("Its PayloadUUID.", must(graphql.String), func(p projections.ProfileVersion) any { return p.UUID }),
			"revision":    get("It changes with the content alone.", must(graphql.String), func(p projections.ProfileVersion) any { return p.Revision }),
			"displayName": get("", graphql.String, func(p projections.ProfileVersion) any { return orNull(p.Name) }),
			"description": get("", graphql.String, func(p projections.ProfileVersion) any { return orNull(p.Description) }),
			"types":       get("Of its payloads.", many(graphql.String), func(p projections.ProfileVersion) any { return append([]string{}, p.Types...) }),
			"variables":   get("Names of what is filled for each device.", many(graphql.String), func(p projections.ProfileVersion) any { return append([]string{}, p.Variables...) }),
			"findings": get("What Apple's keys had against it when it was put.", many(t.finding), func(p projections.ProfileVersion) any {
				return append([]profile.Finding{}, p.Findings...)
			}),
			"signedBy":          get("Subject of the certificate that it is signed with; null if it is not. Whom it chains to was not asked.", graphql.String, func(p projections.ProfileVersion) any { return orNull(p.SignedBy) }),
			"signerFingerprint": get("SHA-256 of that certificate, hex.", graphql.String, func(p projections.ProfileVersion) any { return orNull(p.Signer) }),
			"since":             get("When it was put.", must(timeScalar), func(p projections.ProfileVersion) any { return p.Since }),
			"putBy":             get("Who put it.", must(graphql.String), func(p projections.ProfileVersion) any { return actorName(p.PutBy) }),
		}
	})
	t.libraryProfile = t.object("Profile", "A configuration profile of the library.", func() graphql.Fields {
		return graphql.Fields{
			"identifier": get("Its PayloadIdentifier.", must(graphql.ID), func(k libraryProfile) any { return k.Identifier }),
			"latest":     get("The newest version at the moment that was asked for.", must(t.profileVersion), func(k libraryProfile) any { return k.ProfileVersion }),
			"versions": ask("All versions up to that moment, the newest first.", many(t.profileVersion), func(ctx context.Context, r *run, k libraryProfile) (any, error) {
				return r.Views.ProfileVersions(ctx, k.Identifier, k.when.at)
			}),
		}
	})
	t.libraryProfiles = t.connection(t.libraryProfile)
}

func (t *types) profileQueries() graphql.Fields {
	node := func(p projections.ProfileVersion, when moment) any { return libraryProfile{p, when} }
	return graphql.Fields{
		"profiles": listAsOf("The library of configuration profiles, by identifier.", t.libraryProfiles, (*projections.Views).Profiles, node),
		"profile":  oneAsOf(t.libraryProfile, "identifier", (*projections.Views).Profile, node),
		"checkProfile": root("Holds a configuration profile to Apple's keys, and keeps nothing of it.", many(t.finding), graphql.FieldConfigArgument{
			"payload": arg("In base64: XML or binary, signed or not.", must(graphql.String)),
		}, checkProfile),
	}
}

func (t *types) profileMutations() graphql.Fields {
	name := graphql.FieldConfigArgument{"identifier": arg("Its PayloadIdentifier.", must(graphql.ID))}
	install := graphql.FieldConfigArgument{
		"device": arg("UDID, EnrollmentID or serial number.", must(graphql.ID)), "profile": arg("Its PayloadIdentifier.", must(graphql.ID)),
		"version": {Type: graphql.String, DefaultValue: profile.Latest, Description: "A number, or latest."},
	}
	for rule, f := range waiting() {
		install[rule] = &graphql.ArgumentConfig{Type: f.Type, DefaultValue: f.DefaultValue, Description: f.Description}
	}
	return graphql.Fields{
		"putProfile": root("Puts a configuration profile into the library, new or in another version; its PayloadIdentifier names it.", must(t.libraryProfile), graphql.FieldConfigArgument{
			"payload": arg("A .mobileconfig in base64: XML or binary, signed or not.", must(graphql.String)),
			"force":   {Type: graphql.Boolean, DefaultValue: false, Description: "Although Apple's keys have something against it; the log says what."},
		}, putProfile),
		"withdrawProfile": root("Takes a profile out of the library; its history stays. True when it is done.", must(graphql.Boolean),
			with(name, graphql.FieldConfigArgument{"reason": arg("", must(graphql.String))}), withdrawProfile),
		"installLibraryProfile": root("Orders InstallProfile for a device, with a profile of the library whose variables are filled.", must(t.command), install, installLibraryProfile),
		"putWantedLibraryProfile": root("Wants a profile of the library.", must(t.wanted), graphql.FieldConfigArgument{
			"profile": arg("Its PayloadIdentifier.", must(graphql.ID)),
			"version": {Type: graphql.String, DefaultValue: profile.Latest, Description: "A number; or latest, which follows: devices get each new version."},
		}, putWantedLibraryProfile),
	}
}

func payloadOf(a args) ([]byte, error) {
	payload, err := base64.StdEncoding.DecodeString(a.text("payload"))
	if err != nil {
		return nil, domain.Refusef(domain.Invalid, "the payload is no base64")
	}
	return payload, nil
}

func checkProfile(_ context.Context, _ *run, a args) (any, error) {
	payload, err := payloadOf(a)
	if err != nil {
		return nil, err
	}
	draft, err := handlers.ReadDraft(payload)
	if err != nil {
		return nil, err
	}
	return append([]profile.Finding{}, profile.Lint(draft.Values)...), nil
}

func putProfile(ctx context.Context, r *run, a args) (any, error) {
	payload, err := payloadOf(a)
	if err != nil {
		return nil, err
	}
	force, _ := a["force"].(bool)
	identifier, at, err := r.Library.Put(ctx, r.caller, payload, force)
	if err != nil {
		return nil, err
	}
	return r.kept(ctx, identifier, at)
}

// kept returns a profile as it is after the event at the position.
func (r *run) kept(ctx context.Context, identifier string, at eventstore.Position) (any, error) {
	if err := r.shows(ctx, at); err != nil {
		return nil, err
	}
	p, found, err := r.Views.Profile(ctx, identifier, projections.Now)
	if err != nil || !found {
		return nil, err
	}
	return libraryProfile{p, present}, nil
}

func withdrawProfile(ctx context.Context, r *run, a args) (any, error) {
	at, err := r.Library.Withdraw(ctx, r.caller, a.text("identifier"), a.text("reason"))
	if err != nil {
		return nil, err
	}
	return true, r.shows(ctx, at)
}

func installLibraryProfile(ctx context.Context, r *run, a args) (any, error) {
	if err := r.caughtUp(ctx); err != nil { // variables are filled from what views know
		return nil, err
	}
	v, err := r.Library.Version(ctx, a.text("profile"), a.text("version"))
	if err != nil {
		return nil, err
	}
	d, err := r.target(ctx, a.text("device"))
	if err != nil {
		return nil, err
	}
	channel, err := r.channel(ctx, d, a.text("userId"))
	if err != nil {
		return nil, err
	}
	payload, err := r.Library.Fill(ctx, v, d, channel)
	if err != nil {
		return nil, err
	}
	out, err := r.send(ctx, a, "InstallProfile", map[string]any{"Payload": base64.StdEncoding.EncodeToString(payload)}, []string{a.text("device")})
	return onlyCommand(out, err)
}

func putWantedLibraryProfile(ctx context.Context, r *run, a args) (any, error) {
	id, at, err := r.Wanted.PutVersion(ctx, r.caller, a.text("profile"), a.text("version"))
	return r.wanted(ctx, id, at, err)
}
