package projections

import (
	"fmt"

	"pgregory.net/rapid"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/authority"
	"github.com/rollcall-mdm/rollcall/domain/certificate"
	"github.com/rollcall-mdm/rollcall/domain/challenge"
	"github.com/rollcall-mdm/rollcall/domain/enrollment"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

// identities are what a world knows of ways in and of certificates.
type identities struct {
	authority    authority.Authority
	certificates map[string]certificate.Certificate
	invitations  map[string]enrollment.Invitation
	challenges   map[string]challenge.Challenge
}

// certify lets something happen to a way in, to a certificate or to a root.
func (w *world) certify(t *rapid.T) error {
	if w.certificates == nil {
		w.certificates, w.invitations = map[string]certificate.Certificate{}, map[string]enrollment.Invitation{}
		w.challenges = map[string]challenge.Challenge{}
	}
	switch rapid.IntRange(0, 4).Draw(t, "about") {
	case 0:
		return w.invite(t)
	case 4:
		return w.vouch(t)
	case 1:
		return w.root(t)
	}
	fingerprint := rapid.SampledFrom([]string{"c1d1", "c2d1", "c1d2", "c3d3"}).Draw(t, "of which")
	if rapid.IntRange(0, 3).Draw(t, "revoke") == 0 {
		return w.rule(w.authority.Revoke(authority.CertificateRevoked{Fingerprint: fingerprint, Serial: "4711", Issuer: "root1", NotAfter: noon.AddDate(1, 0, 0), Because: "superseded", Reason: "old"}))
	}
	c := w.certificates[fingerprint]
	issued := certificate.Issued{Issuer: "root1", Serial: "4711", NotBefore: noon, NotAfter: noon.AddDate(1, 0, 0), PublicKey: "k", Session: "s", Road: "profile", Invitation: "i1"}
	if rapid.Bool().Draw(t, "follows") {
		issued.Follows, issued.Device, issued.Order = "c1d1", "d1", "O"
	}
	if rapid.Bool().Draw(t, "attested") {
		issued.Requester, issued.Attested = "account", &domain.Attestation{Root: rapid.SampledFrom([]string{"", "r1"}).Draw(t, "root"), SerialMark: "m", OSVersion: "18.2"}
	}
	events, err := c.Issue(issued)
	if rapid.IntRange(0, 3).Draw(t, "is late") == 0 {
		events = c.Miss(certificate.RenewalOverdue{Device: c.Device, NotAfter: issued.NotAfter, Tries: 6})
	}
	if rapid.Bool().Draw(t, "bind") {
		events, err = c.Bind("d1")
	}
	return happen(w, certificate.Kind, w.certificates, fingerprint, events, err)
}

// root lets somebody roll over, or retire a root.
func (w *world) root(t *rapid.T) error {
	name := fmt.Sprintf("root%d", rapid.IntRange(1, 3).Draw(t, "root"))
	if rapid.IntRange(0, 3).Draw(t, "look how long it is good") == 0 {
		return w.rule(w.authority.Warn(365, noon.AddDate(9, 3, 0)), nil)
	}
	if rapid.IntRange(0, 2).Draw(t, "retire") == 0 {
		return w.rule(w.authority.Retire(name, "old"))
	}
	return w.rule(w.authority.Install(authority.RootInstalled{Fingerprint: name, Subject: "CN=" + name, NotBefore: noon, NotAfter: noon.AddDate(10, 0, 0), Source: authority.Made, Certificate: []byte(name)}))
}

// vouch lets somebody sign in, or use what he got.
func (w *world) vouch(t *rapid.T) error {
	ticket := rapid.SampledFrom([]string{"t1", "t2", "t3"}).Draw(t, "ticket")
	c := w.challenges[ticket]
	answers, err := c.Answer(challenge.Answered{Order: rapid.SampledFrom([]string{"o1", "o2"}).Draw(t, "order"), Requester: "account", PublicKey: "k", Attested: &domain.Attestation{OSVersion: "18"}}, true)
	if err == nil && rapid.Bool().Draw(t, "answers") {
		if err := happen(w, challenge.Kind, w.challenges, ticket, answers, nil); err != nil {
			return err
		}
		c = w.challenges[ticket]
	}
	events, err := c.Vouch(challenge.Vouched{Invitation: "i1", Road: "profile", Person: domain.Person{Account: "ada", Issuer: "https://login"}})
	if rapid.Bool().Draw(t, "use") {
		events, err = c.Use("k")
	}
	return happen(w, challenge.Kind, w.challenges, ticket, events, err)
}

// rule records what the authority decided.
func (w *world) rule(events []domain.Event, err error) error {
	if err != nil {
		return err
	}
	w.by(ada, eventstore.Stream{Kind: authority.Kind, ID: authority.Devices}, w.clock, events...)
	for _, e := range events {
		w.authority = w.authority.Evolve(e, w.clock)
	}
	return nil
}

// invite lets somebody open or close a way in, or come in by it.
func (w *world) invite(t *rapid.T) error {
	id := rapid.SampledFrom([]string{"i1", "i2"}).Draw(t, "invitation")
	i := w.invitations[id]
	acts := []func() ([]domain.Event, error){
		func() ([]domain.Event, error) {
			return i.Invite(enrollment.Terms{Name: "Way", Roads: []string{"profile", "ota"}, Uses: 3, Group: "labs", Note: "n"}, w.clock)
		},
		func() ([]domain.Event, error) {
			key := rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "key")
			return i.Admit(enrollment.Admitted{Road: "profile", Ticket: "t", PublicKey: key}, w.clock)
		},
		func() ([]domain.Event, error) { return i.Withdraw("enough") },
		func() ([]domain.Event, error) {
			return []domain.Event{enrollment.Mailed{By: enrollment.BySMTP, Recipient: "ada@example.com"}, enrollment.MailFailed{By: enrollment.BySMTP, Recipient: "eve@example.com"}}, i.MayMail(w.clock)
		},
	}
	events, err := acts[rapid.SampledFrom([]int{0, 0, 1, 1, 1, 2, 3}).Draw(t, "with the invitation")]()
	return happen(w, enrollment.Kind, w.invitations, id, events, err)
}
