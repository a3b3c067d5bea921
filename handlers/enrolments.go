package handlers

import (
	"context"
	"crypto/x509"
	"net/url"
	"slices"
	"strings"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/enrollment"
	"github.com/rollcall-mdm/rollcall/domain/profile"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

// Enrolments make the profiles that bring devices under management.
type Enrolments struct {
	Invitations  *eventstore.Repository[enrollment.Invitation, domain.Event]
	Challenges   *Challenges
	Topic        func(context.Context) (string, error) // of the push certificate that devices are woken with
	Root         func() (*x509.Certificate, error)     // that issues identities; devices are told its fingerprint where SCEP is plain
	URL          string                                // of the server, as devices reach it
	CheckIn      string                                // of the server where devices check in; URL if empty
	PlainHTTP    bool                                  // profiles may name http addresses
	SCEP, ACME   string                                // another issuer's addresses, or this server's ACME; this server's SCEP if empty
	Attest       bool                                  // what asks by ACME attests its key
	Organization string                                // shown to users; may be empty
	Authority    *Authority                            // issues identities that profiles bring with them; nobody if nil
	Stamp        domain.Stamp                          // keys the UUIDs of profiles, so that none betrays a challenge; not keyed if nil
	Trusted      [][]byte                              // roots of the server's own certificate, DER: for devices that do not know them
}

// A Wish is what an enrolment profile is made for.
type Wish struct {
	Pass
	Topic   string       // another than that of the newest push certificate
	Given   bool         // the profile brings key and certificate (PKCS #12), and no challenge
	Mode    profile.Mode // of account-driven enrolment
	Account string       // the Managed Apple Account of whoever signed in

	// Of a profile that takes the place of another, and is made for no invitation:
	Rights     int    // that the one before granted; all if 0
	Identifier string // its PayloadIdentifier; this server's own if empty
}

// Head names this server's enrolment profile: one takes the place of another.
func (e *Enrolments) Head() profile.Head {
	return profile.Head{
		Server: e.URL, Identifier: reversed(e.URL) + ".rollcall.enrolment", DisplayName: "Device management",
		Description: "Lets " + e.host() + " manage this device.", Organization: e.Organization, Stamp: e.Stamp,
	}
}

// reversed returns the host of an address, its last label first, as identifiers of profiles begin.
func reversed(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" {
		return "local"
	}
	labels := strings.Split(strings.Trim(u.Hostname(), "."), ".")
	slices.Reverse(labels)
	return strings.Map(func(r rune) rune {
		if r == ':' || r == '%' {
			return '-'
		}
		return r
	}, strings.Join(labels, "."))
}

func (e *Enrolments) host() string {
	if u, err := url.Parse(e.URL); err == nil && u.Host != "" {
		return u.Host
	}
	return e.URL
}

// Profile makes an enrolment profile, which holds a challenge: it is a secret until it is installed. Refused if the
// invitation is not open on this road, or nothing could wake the device.
func (e *Enrolments) Profile(ctx context.Context, w Wish) (profile.Values, error) {
	rights, err := e.rights(ctx, w)
	if err != nil {
		return nil, err
	}
	topic := w.Topic
	if topic == "" {
		if topic, err = e.Topic(ctx); err != nil {
			return nil, err
		}
	}
	ask := e.Identity
	if w.Given {
		ask = e.given
	}
	identity, err := ask(ctx, w.Pass)
	if err != nil {
		return nil, err
	}
	mdm := profile.MDM{
		Topic: topic, ServerURL: e.ConnectURL(), CheckInURL: e.CheckInURL(), Renewal: w.Order,
		AccessRights: rights, Capabilities: []string{profile.PerUser, profile.BootstrapToken}, Mode: w.Mode, AssignedManagedAppleID: w.Account,
	}
	switch {
	case w.Mode == profile.BYOD: // Apple fixes what a person's own device grants
		mdm.AccessRights = 0
	case mdm.AccessRights == 0:
		mdm.AccessRights = profile.AllRights
	}
	head := e.Head()
	head.Identifier = or(w.Identifier, head.Identifier)
	return profile.Enrolment{Head: head, Roots: e.Trusted, Identity: identity, MDM: mdm, PlainHTTP: e.PlainHTTP}.Profile()
}

// ConnectURL is where devices fetch commands.
func (e *Enrolments) ConnectURL() string { return join(e.URL, "/mdm/connect") }

// CheckInURL is where devices check in.
func (e *Enrolments) CheckInURL() string { return join(or(e.CheckIn, e.URL), "/mdm/checkin") }

// rights are what a profile asks for, if its invitation is open on this road.
func (e *Enrolments) rights(ctx context.Context, w Wish) (int, error) {
	if w.Invitation == "" {
		return w.Rights, nil
	}
	terms, _, err := e.Invitations.Load(ctx, w.Invitation)
	if err == nil {
		err = terms.OpenFor(w.Device, w.Road, e.Challenges.now())
	}
	return terms.AccessRights, err
}

// Identity makes the payload by which a device gets its identity. The name in it is a wish; the server gives its own.
func (e *Enrolments) Identity(ctx context.Context, p Pass) (profile.Identity, error) {
	challenge, err := e.Challenges.New(ctx, p)
	if err != nil {
		return nil, err
	}
	if e.ACME != "" {
		return profile.ACME{DirectoryURL: e.ACME, ClientIdentifier: challenge, Subject: e.subject(), Attest: e.Attest}, nil
	}
	return e.scep(challenge)
}

// FirstIdentity makes the payload by which a device on the over-the-air road gets the identity with which it asks for the rest.
// Apple's protocol knows SCEP there, and nothing else.
func (e *Enrolments) FirstIdentity(ctx context.Context, p Pass) (profile.Identity, error) {
	challenge, err := e.Challenges.New(ctx, p)
	if err != nil {
		return nil, err
	}
	return e.scep(challenge)
}

func (e *Enrolments) subject() profile.Subject {
	return profile.Subject{{"O", or(e.Organization, "Rollcall")}, {"CN", "device"}}
}

func (e *Enrolments) scep(challenge string) (profile.Identity, error) {
	scep := profile.SCEP{URL: or(e.SCEP, join(e.URL, "/scep")), Subject: e.subject(), Challenge: challenge}
	if e.SCEP == "" && strings.HasPrefix(scep.URL, "http://") {
		root, err := e.Root()
		if err != nil {
			return nil, err
		}
		scep.CA = root.Raw
	}
	return scep, nil
}

func join(base, path string) string { return strings.TrimRight(base, "/") + path }

func or(text, otherwise string) string {
	if text != "" {
		return text
	}
	return otherwise
}
