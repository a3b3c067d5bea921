package graphql

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/authority"
	"github.com/rollcall-mdm/rollcall/domain/certificate"
	"github.com/rollcall-mdm/rollcall/domain/challenge"
	"github.com/rollcall-mdm/rollcall/domain/enrollment"
	"github.com/rollcall-mdm/rollcall/domain/issuance"
	"github.com/rollcall-mdm/rollcall/domain/operator"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/seal"
	"github.com/rollcall-mdm/rollcall/handlers"
	"github.com/rollcall-mdm/rollcall/projections"
)

// A mint is an authority that can make roots.
type mint struct {
	*handlers.Authority
	h *house
}

func repositoryOf[S any](h *house, kind string, fold func(S, domain.Event, time.Time) S) *eventstore.Repository[S, domain.Event] {
	codec, ok := h.door.Evidence.(*seal.Codec[domain.Event])
	if !ok {
		h.t.Fatal("the house has another codec")
	}
	return &eventstore.Repository[S, domain.Event]{Log: h.log, Codec: codec, Kind: kind, Fold: fold, Now: h.clock}
}

// certifies gives the house an authority with a root.
func (h *house) certifies() mint {
	h.t.Helper()
	invitations := repositoryOf(h, enrollment.Kind, enrollment.Invitation.Evolve)
	m := mint{&handlers.Authority{
		Log: h.log, Now: h.clock, Invitations: invitations,
		Streams: repositoryOf(h, authority.Kind, authority.Authority.Evolve), Issuances: repositoryOf(h, issuance.Kind, issuance.Issuance.Evolve),
		Certificates: repositoryOf(h, certificate.Kind, certificate.Certificate.Evolve), Challenges: repositoryOf(h, challenge.Kind, challenge.Challenge.Evolve),
	}, h}
	h.door.Invitations, h.door.Authority = &handlers.Invitations{Invitations: invitations}, m
	h.ok(m.Open(h.t.Context()))
	at, err := m.RollOver(h.t.Context(), handlers.Caller{Role: operator.Administrator})
	h.ok(err)
	h.ok(h.views.Wait(h.t.Context(), at))
	return m
}

// RollOver fulfils Authority.
func (m mint) RollOver(ctx context.Context, c handlers.Caller) (eventstore.Position, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	m.h.ok(err)
	now := m.h.clock()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.Unix()), Subject: pkix.Name{CommonName: now.Format("Root of 15:04")}, NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(10, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	m.h.ok(err)
	root, err := x509.ParseCertificate(der)
	m.h.ok(err)
	return m.Install(ctx, c, handlers.Root{Certificate: root, Key: key}, authority.Made)
}

// Import fulfils Authority.
func (m mint) Import(ctx context.Context, c handlers.Caller, _ []byte) (eventstore.Position, error) {
	return m.RollOver(ctx, c)
}

// issues gives a key a certificate by the invitation, and returns its fingerprint.
func (m mint) issues(invitation string) string {
	m.h.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	m.h.ok(err)
	c, err := m.Issue(m.h.t.Context(), key.Public(), handlers.Grant{By: "ticket", Invitation: invitation, Road: enrollment.Profile, Device: m.h.names.Device("U1")}, eventstore.Meta{})
	m.h.ok(err)
	head, err := m.h.log.Head(m.h.t.Context())
	m.h.ok(err)
	m.h.ok(m.h.views.Wait(m.h.t.Context(), head))
	return handlers.Fingerprint(c)
}

func TestInvitations(t *testing.T) {
	h := newHouse(t)
	m := h.certifies()
	h.expect(h.asks(operator.Operator, `mutation{invite(id:"school", name:"School", roads:[PROFILE, OTA], limit:2, accessRights:3, expiresAt:"2026-03-01T00:00:00Z", group:"pupils", note:"3b"){
		id name roads limit used accessRights expiresAt group note createdBy withdrawnAt}}`, nil), map[string]string{
		"invite.id": `"school"`, "invite.roads": `["PROFILE","OTA"]`, "invite.limit": "2", "invite.used": "0", "invite.accessRights": "3", "invite.group": `"pupils"`,
		"invite.note": `"3b"`, "invite.createdBy": `"Ada the operator"`, "invite.withdrawnAt": "null",
	})
	h.expect(h.asks(operator.Operator, `mutation{invite(name:"Any"){roads limit expiresAt}}`, nil), map[string]string{"invite.roads": "[]", "invite.limit": "null", "invite.expiresAt": "null"})
	h.pass(time.Hour)
	m.issues("school")
	h.pass(time.Hour)
	h.expect(h.asks(operator.Operator, `mutation{withdrawInvitation(id:"school", reason:"holidays"){used reason withdrawnAt}}`, nil),
		map[string]string{"withdrawInvitation.used": "1", "withdrawInvitation.reason": `"holidays"`, "withdrawInvitation.withdrawnAt": `"2026-02-03T14:00:00Z"`})
	h.expect(h.asks(operator.Viewer, `{invitation(id:"school"){used} then:invitation(id:"school", asOf:"2026-02-03T12:30:00Z"){used withdrawnAt} before:invitation(id:"school", asOf:"2026-02-03T11:00:00Z"){id} invitations{nodes{name}}}`, nil),
		map[string]string{"invitation.used": "1", "then.used": "0", "then.withdrawnAt": "null", "before": "null"})
	for query, code := range map[string]string{
		`mutation{invite(id:"school", name:"Other"){id}}`:         "conflict",
		`mutation{invite(id:"a b", name:"Other"){id}}`:            "invalid",
		`mutation{withdrawInvitation(id:"none", reason:"x"){id}}`: "not-found",
		`mutation{invite(name:"X", accessRights:9000){id}}`:       "invalid",
	} {
		h.refuses(operator.Operator, query, code)
	}
	h.refuses(operator.Viewer, `mutation{invite(name:"X"){id}}`, "forbidden")
}

// refuses wants a request refused with this code.
func (h *house) refuses(role operator.Role, query, code string) {
	h.t.Helper()
	_, out := h.post(role, query, nil)
	if len(out.Errors) == 0 || out.Errors[0].Extensions["code"] != code {
		h.t.Errorf("%s: %+v, want %s", query, out.Errors, code)
	}
}

// listed wants the revocation list to be that of the root that issues.
func (h *house) listed(m mint) {
	h.t.Helper()
	block, _ := pem.Decode([]byte(h.asks(operator.Viewer, `{revocationList}`, nil).text("revocationList")))
	list, err := x509.ParseRevocationList(block.Bytes)
	h.ok(err)
	root, err := x509.ParseCertificate(m.Standing().Roots[len(m.Standing().Roots)-1].Certificate)
	h.ok(err)
	h.ok(list.CheckSignatureFrom(root))
	h.refuses(operator.Viewer, `{revocationList(root:"ffff")}`, "not-found")
}

func TestCertificatesAndRoots(t *testing.T) {
	h := newHouse(t)
	m := h.certifies()
	h.enrols("U1", "S1", "iPad13,4", "17.2")
	_, _, err := h.door.Invitations.Invite(t.Context(), handlers.Caller{Role: operator.Operator}, "i", enrollment.Terms{Name: "I"})
	h.ok(err)
	fingerprint := m.issues("i")
	h.pass(time.Hour)
	h.expect(h.asks(operator.Viewer, `query($f:ID!){identityCertificate(fingerprint:$f){issuer road invitation notAfter intendedFor{serialNumber} device{id} revokedAt clones}
		identityCertificates(device:"U1"){nodes{fingerprint}} soon:identityCertificates(expiresBefore:"2026-06-01T00:00:00Z", speaks:false){nodes{fingerprint}} roots{subject issues issued good speaking algorithm source}}`, map[string]any{"f": fingerprint}),
		map[string]string{
			"identityCertificate.road": `"profile"`, "identityCertificate.invitation": `"i"`, "identityCertificate.notAfter": `"2027-02-03T12:00:00Z"`,
			"identityCertificate.intendedFor.serialNumber": `"S1"`, "identityCertificate.device": "null", "identityCertificate.revokedAt": "null", "identityCertificate.clones": "0",
			"soon.nodes": "[]", "roots.0.issues": "true", "roots.0.issued": "1", "roots.0.good": "1", "roots.0.speaking": "0", "roots.0.algorithm": `"ECDSA P-256"`, "roots.0.source": `"made"`, "roots.0.subject": `"CN=Root of 12:00"`,
		})
	h.expect(h.asks(operator.Administrator, `mutation($f:ID!){revokeCertificate(fingerprint:$f, because:KEY_COMPROMISE, reason:"stolen"){because reason revokedAt}}`, map[string]any{"f": fingerprint}),
		map[string]string{"revokeCertificate.because": `"KEY_COMPROMISE"`, "revokeCertificate.reason": `"stolen"`, "revokeCertificate.revokedAt": `"2026-02-03T13:00:00Z"`})
	known, _, err := h.views.Certificate(t.Context(), fingerprint, projections.Now)
	h.ok(err)
	h.expect(h.asks(operator.Viewer, `query($s:String!){identityCertificates(serial:$s){nodes{fingerprint}} none:identityCertificates(serial:"0:0"){nodes{fingerprint}} roots{issued good}}`, map[string]any{"s": "00:" + strings.ToUpper(known.Serial)}),
		map[string]string{"identityCertificates.nodes.0.fingerprint": `"` + fingerprint + `"`, "none.nodes": "[]", "roots.0.issued": "1", "roots.0.good": "0"})
	if !m.Revoked(fingerprint) {
		t.Error("devices may speak by it on")
	}
	h.expect(h.asks(operator.Viewer, `query($f:ID!){identityCertificate(fingerprint:$f, asOf:"2026-02-03T12:30:00Z"){revokedAt because} identityCertificates(revoked:true){nodes{fingerprint}}}`, map[string]any{"f": fingerprint}),
		map[string]string{"identityCertificate.revokedAt": "null", "identityCertificate.because": "null", "identityCertificates.nodes.0.fingerprint": `"` + fingerprint + `"`})
	h.expect(h.asks(operator.Administrator, `mutation{rollOverRoot{subject issues}}`, nil),
		map[string]string{"rollOverRoot": `[{"issues":true,"subject":"CN=Root of 13:00"},{"issues":false,"subject":"CN=Root of 12:00"}]`})
	old := m.Standing().Roots[0].Fingerprint
	h.expect(h.asks(operator.Administrator, `mutation($f:ID!){retireRoot(fingerprint:$f, reason:"all came over"){subject}}`, map[string]any{"f": old}),
		map[string]string{"retireRoot": `[{"subject":"CN=Root of 13:00"}]`})
	h.expect(h.asks(operator.Viewer, `{then:roots(asOf:"2026-02-03T12:30:00Z"){subject issues}}`, nil), map[string]string{"then": `[{"issues":true,"subject":"CN=Root of 12:00"}]`})
	h.expect(h.asks(operator.Administrator, `mutation{importRoot(pem:"own"){subject issues}}`, nil), map[string]string{"importRoot.0.issues": "true"})
	h.listed(m)
	h.refuses(operator.Operator, `mutation{rollOverRoot{subject}}`, "forbidden")
	h.refuses(operator.Administrator, `mutation{revokeCertificate(fingerprint:"00", because:SUPERSEDED, reason:"x"){serial}}`, "not-found")
}
