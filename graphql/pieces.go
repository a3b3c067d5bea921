package graphql

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/graphql-go/graphql"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// Under which keys the facts view keeps what devices have told in lists.
const (
	securityFacts    = "security."
	applicationFacts = "application."
	profileFacts     = "profile."
	certificateFacts = "certificate."
)

// A piece is one entry of a list that a device told: an app, a profile, a certificate.
type piece struct {
	ident string
	since time.Time
	at    eventstore.Position
	value json.RawMessage
	keys  map[string]json.RawMessage // Apple's
}

// pieces returns the entries of one of a device's lists as they were at its moment.
func (r *run) pieces(ctx context.Context, s seen, prefix string) ([]piece, error) {
	facts, err := r.Views.Facts(ctx, s.ID, prefix, s.when.at)
	if err != nil {
		return nil, err
	}
	all := make([]piece, len(facts))
	for i, f := range facts {
		all[i] = piece{ident: strings.TrimPrefix(f.Key, prefix), since: f.Since, at: f.SincePosition, value: f.Value}
		if err := json.Unmarshal(f.Value, &all[i].keys); err != nil {
			return nil, fmt.Errorf("read the fact %s: %w", f.Key, err)
		}
	}
	return all, nil
}

// told is a field that shows one of Apple's keys, null if the device did not tell it, or told something else.
func told[T any](about, key string, t graphql.Output) *graphql.Field {
	return get(about, t, func(p piece) any {
		var v *T
		if err := json.Unmarshal(p.keys[key], &v); err != nil || v == nil {
			return nil
		}
		return *v
	})
}

// pieceFields are what all entries have in common.
func pieceFields(ident string) graphql.Fields {
	return graphql.Fields{
		ident:           get("", must(graphql.ID), func(p piece) any { return p.ident }),
		"since":         get("When the device first told it so.", must(timeScalar), func(p piece) any { return p.since }),
		"sincePosition": get("", must(graphql.ID), func(p piece) any { return position(p.at) }),
		"details":       get("All that the device told, under Apple's keys.", must(jsonScalar), func(p piece) any { return p.value }),
	}
}

func (t *types) applicationFields() graphql.Fields {
	fields := pieceFields("identifier")
	fields["name"] = told[string]("", "Name", graphql.String)
	fields["version"] = told[string]("", "Version", graphql.String)
	fields["shortVersion"] = told[string]("The one that people see.", "ShortVersion", graphql.String)
	fields["bundleSize"] = told[float64]("In bytes.", "BundleSize", graphql.Float)
	fields["installing"] = told[bool]("", "Installing", graphql.Boolean)
	fields["isValidated"] = told[bool]("", "IsValidated", graphql.Boolean)
	return fields
}

func (t *types) profileFields() graphql.Fields {
	fields := pieceFields("identifier")
	fields["uuid"] = told[string]("", "PayloadUUID", graphql.String)
	fields["displayName"] = told[string]("", "PayloadDisplayName", graphql.String)
	fields["organization"] = told[string]("", "PayloadOrganization", graphql.String)
	fields["isManaged"] = told[bool]("Installed by this server.", "IsManaged", graphql.Boolean)
	fields["isEncrypted"] = told[bool]("", "IsEncrypted", graphql.Boolean)
	fields["removalDisallowed"] = told[bool]("", "PayloadRemovalDisallowed", graphql.Boolean)
	return fields
}

func (t *types) certificateFields() graphql.Fields {
	fields := pieceFields("fingerprint")
	fields["commonName"] = told[string]("", "CommonName", graphql.String)
	fields["isIdentity"] = told[bool]("The device holds its key.", "IsIdentity", graphql.Boolean)
	fields["serial"] = told[string]("Hex.", "Serial", graphql.String)
	fields["issuer"] = told[string]("", "Issuer", graphql.String)
	fields["notBefore"] = toldTime("NotBefore")
	fields["notAfter"] = toldTime("NotAfter")
	return fields
}

func toldTime(key string) *graphql.Field {
	return get("", timeScalar, func(p piece) any {
		var t time.Time
		_ = json.Unmarshal(p.keys[key], &t) // what is no time is null
		return t
	})
}
