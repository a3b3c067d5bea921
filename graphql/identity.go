package graphql

import (
	"context"
	"encoding/pem"
	"maps"
	"slices"
	"strings"

	"github.com/graphql-go/graphql"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/authority"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/handlers"
	"github.com/rollcall-mdm/rollcall/projections"
)

// Authority has certificates believed no longer, and roots changed. *handlers.Authority does, and cmd makes new roots.
type Authority interface {
	Revoke(ctx context.Context, c handlers.Caller, r authority.CertificateRevoked) (eventstore.Position, error)
	Retire(ctx context.Context, c handlers.Caller, fingerprint, reason string) (eventstore.Position, error)
	RollOver(ctx context.Context, c handlers.Caller) (eventstore.Position, error)
	Import(ctx context.Context, c handlers.Caller, text []byte) (eventstore.Position, error)
	RevocationList(fingerprint string) ([]byte, error)
}

// An identity is a certificate by which a device speaks, and the moment at which it is looked at.
type identity struct {
	projections.Certificate
	when moment
}

// A rootAt is a root, and the moment at which it is looked at.
type rootAt struct {
	projections.Root
	when moment
}

func (t *types) makeIdentity() {
	t.revocation = enum("RevocationReason", "Why a certificate is believed no longer, as revocation lists tell it.", becauses()...)
	t.identityCertificate = t.object("IdentityCertificate", "A certificate by which a device speaks, or may speak: issued here, or pinned whoever issued it.", t.identityFields)
	t.identityCertificates = t.connection(t.identityCertificate)
	t.root = t.object("Root", "A certificate that issues those of devices.", func() graphql.Fields {
		return graphql.Fields{
			"fingerprint": get("SHA-256, hex.", must(graphql.ID), func(x rootAt) any { return x.Fingerprint }),
			"subject":     get("", must(graphql.String), func(x rootAt) any { return x.Subject }),
			"notBefore":   get("", must(timeScalar), func(x rootAt) any { return x.NotBefore }),
			"notAfter":    get("", must(timeScalar), func(x rootAt) any { return x.NotAfter }),
			"source":      get("made, found or imported.", must(graphql.String), func(x rootAt) any { return x.Source }),
			"since":       get("When it came into force.", must(timeScalar), func(x rootAt) any { return x.Since }),
			"issues":      get("New certificates are of this one.", must(graphql.Boolean), func(x rootAt) any { return x.Issues }),
			"algorithm":   get("Of its key, such as RSA 2048.", must(graphql.String), func(x rootAt) any { return x.Algorithm }),
			"issued":      get("How many certificates it has issued.", must(graphql.Int), func(x rootAt) any { return x.Issued }),
			"good":        get("How many of them have not ended, and were not revoked.", must(graphql.Int), func(x rootAt) any { return x.Good }),
			"speaking":    get("How many devices speak by one of them: they would be refused if the root were retired.", must(graphql.Int), func(x rootAt) any { return x.Speaking }),
		}
	})
}

// becauses are the reasons as GraphQL spells them.
func becauses() (names []string) {
	for _, name := range slices.Sorted(maps.Keys(authority.Reasons())) {
		names = append(names, strings.ReplaceAll(name, "-", "_"))
	}
	return names
}

func (t *types) identityFields() graphql.Fields {
	text := func(about string, f func(identity) string) *graphql.Field {
		return get(about, graphql.String, func(c identity) any { return orNull(f(c)) })
	}
	device := func(about string, f func(identity) string) *graphql.Field {
		return field(about, t.device, nil, func(ctx context.Context, r *run, c identity, _ args) (any, error) {
			if f(c) == "" {
				return nil, nil
			}
			return r.device(ctx, f(c), c.when)
		})
	}
	return graphql.Fields{
		"fingerprint": get("SHA-256, hex.", must(graphql.ID), func(c identity) any { return c.Fingerprint }),
		"serial":      text("Hex.", func(c identity) string { return c.Serial }),
		"notBefore":   get("Null if it was issued elsewhere.", timeScalar, func(c identity) any { return c.NotBefore }),
		"notAfter":    get("", timeScalar, func(c identity) any { return c.NotAfter }),
		"issuedAt":    get("Null if it was issued elsewhere.", timeScalar, func(c identity) any { return c.IssuedAt }),
		"issuer":      text("Fingerprint of the root.", func(c identity) string { return c.Issuer }),
		"session":     text("The name in its subject.", func(c identity) string { return c.Session }),
		"road":        text("On which its holder came in.", func(c identity) string { return c.Road }),
		"invitation":  text("By which its holder came in.", func(c identity) string { return c.Invitation }),
		"follows":     text("Fingerprint of the certificate in whose place it came.", func(c identity) string { return c.Follows }),
		"followedBy":  text("Fingerprint of the newest one that came in its place.", func(c identity) string { return c.FollowedBy }),
		"order":       text("CommandUUID of the InstallProfile that brought it.", func(c identity) string { return c.Command }),
		"device":      device("For which it speaks at this moment.", func(c identity) string { return c.Certificate.Device }),
		"intendedFor": device("For which it was issued.", func(c identity) string { return c.IntendedFor }),
		"since":       get("When it began to speak for the device.", timeScalar, func(c identity) any { return c.Since }),
		"clones":      get("How often it spoke for another device than its own: somebody has a copy of the key.", must(graphql.Int), func(c identity) any { return c.Clones }),
		"revokedAt":   get("", timeScalar, func(c identity) any { return c.RevokedAt }),
		"because":     get("", t.revocation, func(c identity) any { return orNull(strings.ReplaceAll(c.Because, "-", "_")) }),
		"reason":      text("Why it was revoked, in words.", func(c identity) string { return c.Reason }),
		"overdueAt":   get("When somebody was told that it ends soon and no other one has come in its place.", timeScalar, func(c identity) any { return c.OverdueAt }),
		"attestation": get("What the maker of its holder's device vouches for; null if nothing was attested.", t.attestation, func(c identity) any { return orNone(c.Attested) }),
	}
}

func (t *types) identityQueries() graphql.Fields {
	return graphql.Fields{
		"identityCertificates": root("Certificates by which devices speak, or may speak; those that end first come first.", must(t.identityCertificates), bothWays(with(asOf(), graphql.FieldConfigArgument{
			"device":        arg("Those that it speaks by, spoke by, or that were issued for it.", graphql.ID),
			"expiresBefore": arg("", timeScalar),
			"serial":        arg("Hex; colons and leading zeros do not count.", graphql.String),
			"revoked":       arg("", graphql.Boolean),
			"speaks":        arg("Whether a device speaks by it.", graphql.Boolean),
			"overdue":       arg("Whether another one should have come in its place by now, and has not.", graphql.Boolean),
		})), listIdentities),
		"identityCertificate": oneAsOf(t.identityCertificate, "fingerprint", (*projections.Views).Certificate, func(c projections.Certificate, when moment) any { return identity{c, when} }),
		"roots": root("Roots in force, the issuing one first.", many(t.root), asOf(), func(ctx context.Context, r *run, a args) (any, error) {
			when, err := r.moment(ctx, a)
			if err != nil {
				return nil, err
			}
			return r.rootsAt(ctx, when)
		}),
		"revocationList": root("The revocation list of a root, of the issuing one if none is named: PEM.", must(graphql.String), graphql.FieldConfigArgument{
			"root": arg("Fingerprint.", graphql.ID),
		}, func(_ context.Context, r *run, a args) (any, error) {
			der, err := r.Authority.RevocationList(strings.ToLower(a.text("root")))
			return string(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der})), err
		}),
	}
}

func listIdentities(ctx context.Context, r *run, a args) (any, error) {
	when, err := r.moment(ctx, a)
	if err != nil {
		return nil, err
	}
	f := projections.CertificateFilter{ExpiresBefore: a.moment("expiresBefore"), Serial: plainSerial(a.text("serial")), Revoked: a.flag("revoked"), Speaks: a.flag("speaks"), Overdue: a.flag("overdue"), AsOf: when.at}
	if id := a.text("device"); id != "" {
		d, err := r.target(ctx, id)
		if err != nil {
			return nil, err
		}
		f.Device = d.ID
	}
	p, err := a.page()
	if err != nil {
		return nil, err
	}
	page, err := r.Views.Certificates(ctx, f, p)
	return connect(page, func(c projections.Certificate) any { return identity{c, when} }), err
}

// plainSerial returns a serial number as views have it.
func plainSerial(text string) string {
	text = strings.ToLower(strings.NewReplacer(":", "", " ", "").Replace(text))
	if plain := strings.TrimLeft(text, "0"); plain != "" {
		return plain
	}
	return text
}

func (t *types) identityMutations() graphql.Fields {
	return graphql.Fields{
		"importRoot": root("Has a root of your own issue from now on; the ones before it are believed until they are retired. Administrators only.", many(t.root), graphql.FieldConfigArgument{
			"pem": arg("Its certificate and its key, without a password.", must(graphql.String)),
		}, func(ctx context.Context, r *run, a args) (any, error) {
			at, err := r.Authority.Import(ctx, r.caller, []byte(a.text("pem")))
			return r.roots(ctx, at, err)
		}),
		"revokeCertificate": root("Has a certificate believed no longer, at once and for ever; administrators only. A device that speaks by it is refused and stays enrolled: it needs another certificate.", must(t.identityCertificate), graphql.FieldConfigArgument{
			"fingerprint": arg("SHA-256, hex.", must(graphql.ID)), "because": arg("", must(t.revocation)), "reason": arg("In words; it names nobody.", must(graphql.String)),
		}, revokeCertificate),
		"rollOverRoot": root("Makes another root, which issues from now on; the ones before it are believed until they are retired. Administrators only.", many(t.root), nil, func(ctx context.Context, r *run, _ args) (any, error) {
			at, err := r.Authority.RollOver(ctx, r.caller)
			return r.roots(ctx, at, err)
		}),
		"retireRoot": root("Has a root believed no longer, with all that it has issued. Administrators only.", many(t.root), graphql.FieldConfigArgument{
			"fingerprint": arg("", must(graphql.ID)), "reason": arg("", must(graphql.String)),
		}, func(ctx context.Context, r *run, a args) (any, error) {
			at, err := r.Authority.Retire(ctx, r.caller, a.text("fingerprint"), a.text("reason"))
			return r.roots(ctx, at, err)
		}),
	}
}

// roots returns the roots as they are after a change.
func (r *run) roots(ctx context.Context, at eventstore.Position, err error) (any, error) {
	if err == nil {
		err = r.shows(ctx, at)
	}
	if err != nil {
		return nil, err
	}
	return r.rootsAt(ctx, present)
}

func (r *run) rootsAt(ctx context.Context, when moment) (any, error) {
	clock := when.time
	if !when.past() {
		clock = r.Now()
	}
	list, err := r.Views.Roots(ctx, when.at, clock)
	all := make([]rootAt, len(list))
	for i, one := range list {
		all[i] = rootAt{one, when}
	}
	return all, err
}

func revokeCertificate(ctx context.Context, r *run, a args) (any, error) {
	if err := r.caughtUp(ctx); err != nil {
		return nil, err
	}
	c, found, err := r.Views.Certificate(ctx, strings.ToLower(a.text("fingerprint")), projections.Now)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, domain.WithHint(domain.Refusef(domain.NotFound, "no such certificate is known"), "identityCertificates lists them")
	}
	at, err := r.Authority.Revoke(ctx, r.caller, authority.CertificateRevoked{
		Fingerprint: c.Fingerprint, Serial: c.Serial, Issuer: c.Issuer, NotAfter: c.NotAfter,
		Because: strings.ReplaceAll(strings.ToLower(a.text("because")), "_", "-"), Reason: a.text("reason"),
	})
	if err == nil {
		err = r.shows(ctx, at)
	}
	if err != nil {
		return nil, err
	}
	c, _, err = r.Views.Certificate(ctx, c.Fingerprint, projections.Now)
	return identity{c, present}, err
}
