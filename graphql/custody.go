package graphql

import (
	"context"

	"github.com/graphql-go/graphql"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/handlers"
	"github.com/rollcall-mdm/rollcall/projections"
)

// A Custody keeps the keys: what can be forgotten, changed and given out of them.
type Custody interface {
	// Erase destroys the keys of all that is personal or secret about a device, or about one of its users, and
	// returns when no view shows it any more.
	Erase(ctx context.Context, c handlers.Caller, deviceID string, channel device.ChannelID, reason string) error

	// Rotate changes the master key. to says where the next one comes from; only this machine may say so.
	Rotate(ctx context.Context, c handlers.Caller, to, reason string) (handlers.MasterKey, error)
	MasterKey() handlers.MasterKey

	// Disclose records what is disclosed to whom, and returns the keys, and the position of the event.
	Disclose(ctx context.Context, c handlers.Caller, d handlers.Disclosure) ([]handlers.PartKey, eventstore.Position, error)
}

// A disclosed is what a disclosure gave.
type disclosed struct {
	at   eventstore.Position
	keys []handlers.PartKey
}

func (t *types) makeCustody() {
	t.secretKind = enum("SecretKind", "A kind of secret that the log knows of devices.", device.SecretKinds()...)
	t.part = enum("SealedPart", "A sealed part of an event.", "personal", "secret", "evidence")
	t.secret = t.object("Secret", "A secret that the log holds of a device. revealSecret shows it.", secretFields(t.secretKind))
	t.masterKey = t.object("MasterKey", "The key that wraps all data keys.", masterKeyFields)
	t.disclosure = t.object("Disclosure", "What was given out.", func() graphql.Fields {
		return graphql.Fields{
			"position": get("Of the event that says so.", must(graphql.ID), func(d disclosed) any { return position(d.at) }),
			"keys": get("A list of {position, part, key}: each key opens that part of that event, and nothing else.", must(jsonScalar),
				func(d disclosed) any { return d.keys }),
		}
	})
}

func secretFields(kind *graphql.Enum) func() graphql.Fields {
	type secret = projections.Secret
	return func() graphql.Fields {
		return graphql.Fields{
			"kind":           get("", must(kind), func(s secret) any { return string(s.Kind) }),
			"counts":         get("It is the newest of its kind.", must(graphql.Boolean), func(s secret) any { return s.Counts }),
			"until":          get("When another took its place, or it became worthless; null if nothing tells that it did.", timeScalar, func(s secret) any { return s.Until }),
			"pending":        get("Of passwords: the Mac has not acknowledged it yet.", must(graphql.Boolean), func(s secret) any { return s.Pending }),
			"since":          get("When it came, or was ordered.", must(timeScalar), func(s secret) any { return s.Since }),
			"position":       get("Of the event that holds it.", must(graphql.ID), func(s secret) any { return position(s.Position) }),
			"commandUuid":    get("Of the command that it is part of, or whose answer it is.", graphql.ID, func(s secret) any { return orNull(s.UUID) }),
			"revealed":       get("How often secrets of this kind were revealed of the device.", must(graphql.Int), func(s secret) any { return s.Revealed }),
			"lastRevealedAt": get("", timeScalar, func(s secret) any { return s.LastRevealed }),
		}
	}
}

func masterKeyFields() graphql.Fields {
	type key = handlers.MasterKey
	return graphql.Fields{
		"name":     get("It tells nothing about the key.", must(graphql.String), func(k key) any { return k.Name }),
		"source":   get("What keeps it: file, env, exec, https.", must(graphql.String), func(k key) any { return k.Source }),
		"rotating": get("It is being changed.", must(graphql.Boolean), func(k key) any { return k.Rotating }),
		"done":     get("So many data keys are wrapped by the next one.", must(graphql.Int), func(k key) any { return k.Done }),
		"failed":   get("Why the last change did not come to its end.", graphql.String, func(k key) any { return orNull(k.Failed) }),
	}
}

func (t *types) custodyQueries() graphql.Fields {
	return graphql.Fields{
		"masterKey": root("The key that wraps all data keys; administrators only.", must(t.masterKey), nil, func(_ context.Context, r *run, _ args) (any, error) {
			return r.Custody.MasterKey(), nil
		}),
	}
}

func (t *types) custodyMutations() graphql.Fields {
	return graphql.Fields{
		"revealSecret": root("Shows a secret of a device: text as it is, data in base64. The log keeps who saw it, and why.", must(graphql.String), graphql.FieldConfigArgument{
			"device": arg("", must(graphql.ID)), "kind": arg("", must(t.secretKind)), "reason": arg("", must(graphql.String)),
			"position": arg("Of the event that holds it, as secrets(history: true) tells; if left out, the newest is shown.", graphql.ID),
		}, revealSecret),
		"eraseSubject": root("Forgets all that is personal or secret about a device, or about one of its users, for good; administrators only.", must(t.device), graphql.FieldConfigArgument{
			"device": arg("", must(graphql.ID)), "user": arg("UserID, short name or pseudonym: this user alone.", graphql.ID),
			"reason": arg("It stays in the log for everybody to read: name nobody in it.", must(graphql.String)),
		}, eraseSubject),
		"rotateMasterKey": root("Wraps all data keys with another master key; administrators only.", must(t.masterKey), graphql.FieldConfigArgument{
			"to":     arg("Where the next one comes from; only the command line on the server's machine may say so.", graphql.String),
			"reason": arg("", must(graphql.String)),
		}, func(ctx context.Context, r *run, a args) (any, error) {
			return r.Custody.Rotate(ctx, r.caller, a.text("to"), a.text("reason"))
		}),
		"disclose": root("Gives out the keys of sealed parts of events, for an auditor. The log keeps who gave them to whom, and why.", must(t.disclosure), graphql.FieldConfigArgument{
			"device": arg("Its events only.", graphql.ID), "from": arg("Events at this moment or later.", timeScalar), "to": arg("Events before this moment.", timeScalar),
			"position":  arg("As if the log ended there.", graphql.ID),
			"parts":     arg("Secrets: administrators only.", must(graphql.NewList(must(t.part)))),
			"recipient": arg("To whom.", must(graphql.String)), "reason": arg("", must(graphql.String)),
		}, disclose),
	}
}

func revealSecret(ctx context.Context, r *run, a args) (any, error) {
	d, err := r.target(ctx, a.text("device"))
	if err != nil {
		return nil, err
	}
	w := handlers.Wanted{Device: d.ID, Kind: device.SecretKind(a.text("kind")), Reason: a.text("reason")}
	if text := a.text("position"); text != "" {
		if w.Position, err = parsePosition(text); err != nil {
			return nil, err
		}
	}
	return r.Secrets.Reveal(ctx, r.caller, w)
}

func eraseSubject(ctx context.Context, r *run, a args) (any, error) {
	d, err := r.target(ctx, a.text("device"))
	if err != nil {
		return nil, err
	}
	channel, err := r.everKnown(ctx, d, a.text("device"), a.text("user"))
	if err != nil {
		return nil, err
	}
	if err := r.Custody.Erase(ctx, r.caller, d.ID, channel, a.text("reason")); err != nil {
		return nil, err
	}
	after, found, err := r.Views.Device(ctx, d.ID, projections.Now)
	if err == nil && !found {
		err = domain.Refusef(domain.NotFound, "no such device is known")
	}
	return seen{after, present}, err
}

// everKnown finds the user that a caller means, also one of an earlier enrolment: he may give the pseudonym, or the
// names by which Apple's protocol knows the device and the user.
func (r *run) everKnown(ctx context.Context, d projections.Device, deviceName, user string) (device.ChannelID, error) {
	channel, err := r.channel(ctx, d, user)
	if refusal, refused := domain.Refused(err); !refused || refusal.Reason != domain.NotFound {
		return channel, err
	}
	for _, id := range []string{d.UDID, d.EnrollmentID, deviceName} {
		if channel := r.Pseudonyms.Channel(id, user); id != "" && r.spokeOf(ctx, d, channel) {
			return device.ChannelID(channel), nil
		}
	}
	if r.spokeOf(ctx, d, user) {
		return device.ChannelID(user), nil
	}
	return "", err
}

// spokeOf reports whether the device's events speak of the channel.
func (r *run) spokeOf(ctx context.Context, d projections.Device, channel string) bool {
	known, err := r.Views.HasChannel(ctx, d.ID, device.ChannelID(channel))
	return err == nil && known
}

func disclose(ctx context.Context, r *run, a args) (any, error) {
	d := handlers.Disclosure{
		From: a.moment("from"), To: a.moment("to"), Parts: texts[string](a, "parts"), Recipient: a.text("recipient"), Reason: a.text("reason"),
	}
	if name := a.text("device"); name != "" {
		one, err := r.target(ctx, name)
		if err != nil {
			return nil, err
		}
		d.Device = one.ID
	}
	if text := a.text("position"); text != "" {
		at, err := parsePosition(text)
		if err != nil {
			return nil, err
		}
		d.Position = at
	}
	keys, at, err := r.Custody.Disclose(ctx, r.caller, d)
	if keys == nil {
		keys = []handlers.PartKey{}
	}
	return disclosed{at, keys}, err
}
