package device

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/command"
)

// maxChannels is the most user channels of one device that are told apart.
const maxChannels = 1000

// A Certificate is the identity with which a device speaks.
type Certificate struct {
	Fingerprint string // SHA-256 of the DER, hex
	Serial      string // hex
	NotAfter    time.Time
}

// An Authenticate is the message of that name.
type Authenticate struct {
	Identity
	Topic, OSVersion, BuildVersion, ProductName, Model, ModelName string

	AccessRights int           // of the enrolment profile, if its URL tells; Apple's bits
	Renewal      string        // the order that replaced the enrolment profile, if its URL tells
	Road         string        // by which it got its certificate, if this server issued it
	Invitation   string        // and the invitation's id
	Person       domain.Person // who signed in to bring it

	Certificate Certificate
	Attested    *Attested // what is vouched for about the certificate's key; nil if nothing is
	Rest        json.RawMessage
}

// An Attested is what is vouched for about the key with which a device speaks. Whether it is about this device was looked at.
type Attested struct {
	domain.Attestation
	Serial, UDID bool // it is about a device that tells this serial number, this UDID
}

// Authenticate decides what follows when a device asks to be managed.
//
// A device that was here before starts a new generation: what waited for it is cancelled, and it cannot be
// reached until its TokenUpdate. A new certificate is claimed here, and bound only by that TokenUpdate: when
// the replacement of a profile fails, the old enrolment lives on.
//
// It is no new generation if this server itself has just sent the device a new enrolment profile: then what waits
// goes on waiting.
func (d Device) Authenticate(m Authenticate, at time.Time) ([]domain.Event, error) {
	if m.Topic == "" {
		return nil, domain.Refusef(domain.Invalid, "an Authenticate without a Topic cannot be answered by pushes")
	}
	if d.repeats(m) {
		return nil, nil // the device did not see our answer, and asks again
	}
	rest, secrets, err := command.Split("", m.Rest)
	if err != nil {
		return nil, err
	}
	renewal := d.renews(m, at)
	events, generation := d.doubled(m), d.Generation
	if !renewal {
		events = append(events, d.cancelAll("the device enrolled again")...)
		generation++
	}
	events = append(events, Authenticated{
		Generation: generation, Renewal: renewal, Topic: m.Topic, Certificate: m.Certificate.Fingerprint,
		OSVersion: m.OSVersion, BuildVersion: m.BuildVersion, ProductName: m.ProductName,
		Model: m.Model, ModelName: m.ModelName, AccessRights: m.AccessRights, Road: m.Road, Invitation: m.Invitation,
		Identity: m.Identity, Person: d.brought(m), Rest: rest, Secrets: secrets,
	})
	if d.Certificate == "" {
		events = append(events, IdentityPinned{m.Certificate.Fingerprint, m.Certificate.NotAfter, m.Certificate.Serial})
	}
	if m.Attested != nil {
		events = append(events, m.attested())
	}
	return events, nil
}

// brought returns who brings the device. Whoever did brings it again when it asks again with the same certificate.
func (d Device) brought(m Authenticate) domain.Person {
	if m.Person == (domain.Person{}) && m.Certificate.Fingerprint == d.spokesman() {
		return d.Person()
	}
	return m.Person
}

// Person returns who signed in to bring the device; nobody did if it is empty.
func (d Device) Person() domain.Person {
	if d.Bringer == nil {
		return domain.Person{}
	}
	return *d.Bringer
}

// bringer is a person as a device remembers one: most have none, and pay for none.
func bringer(p domain.Person) *domain.Person {
	if p == (domain.Person{}) {
		return nil
	}
	return &p
}

// attested tells what is vouched for about the device.
func (m Authenticate) attested() IdentityAttested {
	e := IdentityAttested{Certificate: m.Certificate.Fingerprint, Attested: m.Attested.Attestation}
	if m.Attested.Serial {
		e.SerialNumber = m.SerialNumber
	}
	if m.Attested.UDID {
		e.UDID = m.UDID
	}
	return e
}

// repeats reports whether the message is the last Authenticate once more. One that renews is known by the
// certificate that it claims.
func (d Device) repeats(m Authenticate) bool {
	claims := d.Status == StatusAuthenticated && m.Certificate.Fingerprint == d.spokesman() ||
		d.Renewing && m.Certificate.Fingerprint == d.Claimed
	sameSerial := m.SerialNumber == "" || m.SerialNumber == d.Known.SerialNumber
	return claims && sameSerial && m.Topic == d.Topic && m.OSVersion == d.OSVersion && m.ProductName == d.ProductName
}

// spokesman returns the certificate that the newest Authenticate came with.
func (d Device) spokesman() string {
	if d.Claimed != "" {
		return d.Claimed
	}
	return d.Certificate
}

// Admits reports whether the certificate may speak for the device.
func (d Device) Admits(fingerprint string) bool {
	return fingerprint != "" && (fingerprint == d.Certificate || fingerprint == d.Claimed)
}

// A TokenUpdate is the message of that name.
type TokenUpdate struct {
	Channel               ChannelID
	Topic                 string
	Token                 []byte
	PushMagic             string
	UnlockToken           []byte
	AwaitingConfiguration *bool
	NotOnConsole          *bool
	Identity              Identity
	User                  User
	Certificate           Certificate
	Rest                  json.RawMessage
}

// UpdateToken decides what follows when a channel gives its push data. A TokenUpdate may be sent only once in an
// enrolment's life: what it brings must be kept before it is answered.
func (d Device) UpdateToken(m TokenUpdate, at time.Time) ([]domain.Event, error) {
	switch {
	case d.Status == "":
		return nil, domain.Refusef(domain.Conflict, "the device gave a token before it authenticated")
	case d.Status == StatusCheckedOut:
		return nil, domain.Refusef(domain.Conflict, "the device has checked out: it must authenticate first")
	case len(m.Token) == 0 || m.PushMagic == "":
		return nil, domain.Refusef(domain.Invalid, "a TokenUpdate needs Token and PushMagic")
	case m.Topic != "" && d.Topic != "" && m.Topic != d.Topic:
		return nil, domain.Refusef(domain.Invalid, "the TokenUpdate's Topic is not the one that the device authenticated with")
	case m.Channel != "" && d.Status == StatusAuthenticated:
		return nil, domain.Refusef(domain.Conflict, "a user's token came before the device's own")
	}
	if err := d.room(m.Channel); err != nil {
		return nil, err
	}
	c, _ := d.Channel(m.Channel)
	if d.knows(c, m) {
		return nil, nil // no news is no event
	}
	rest, secrets, err := command.Split("", m.Rest)
	if err != nil {
		return nil, err
	}
	events := []domain.Event{TokenUpdated{
		Channel: m.Channel, Topic: m.Topic, Enrolled: !c.Enrolled, Token: m.Token, PushMagic: m.PushMagic,
		UnlockToken: m.UnlockToken, AwaitingConfiguration: m.AwaitingConfiguration, NotOnConsole: m.NotOnConsole,
		Identity: m.Identity, User: m.User, Rest: rest, Secrets: secrets,
	}}
	if m.Channel == "" && d.Claimed != "" && d.Claimed == m.Certificate.Fingerprint {
		events = append(events, IdentityReplaced{d.Certificate, d.Claimed, m.Certificate.NotAfter, m.Certificate.Serial})
	}
	return events, nil
}

// room refuses one more user than can be told apart.
func (d Device) room(channel ChannelID) error {
	if _, known := d.Channel(channel); !known && channel != "" && len(d.Channels) > maxChannels {
		return domain.Refusef(domain.Conflict, "the device has %d user channels already", maxChannels)
	}
	return nil
}

// knows reports whether the message tells nothing new.
func (d Device) knows(c Channel, m TokenUpdate) bool {
	return c.Enrolled && d.Status == StatusEnrolled && c.Unmanaged.IsZero() && m.NotOnConsole == nil &&
		bytes.Equal(c.Token, m.Token) && c.PushMagic == m.PushMagic &&
		(len(m.UnlockToken) == 0 || bytes.Equal(m.UnlockToken, d.UnlockToken)) &&
		(m.AwaitingConfiguration == nil || *m.AwaitingConfiguration == d.Awaiting) &&
		(d.Claimed == "" || d.Claimed != m.Certificate.Fingerprint)
}

// CheckOut decides what follows when a device says that it leaves. It may say so twice.
func (d Device) CheckOut() ([]domain.Event, error) {
	switch d.Status {
	case "":
		return nil, domain.Refusef(domain.Conflict, "a device checked out that never authenticated")
	case StatusCheckedOut:
		return nil, nil
	}
	return append(d.cancelAll("the device checked out"), CheckedOut{}), nil
}

// SetBootstrapToken decides what follows when a device leaves its bootstrap token. An empty one means: forget it.
// awaits is what the message says about AwaitingConfiguration, nil if nothing.
func (d Device) SetBootstrapToken(token []byte, awaits *bool) ([]domain.Event, error) {
	if err := d.managed(); err != nil {
		return nil, err
	}
	switch {
	case bytes.Equal(token, d.BootstrapToken) && (awaits == nil || *awaits == d.Awaiting):
		return nil, nil
	case len(token) == 0:
		return []domain.Event{BootstrapTokenDeleted{awaits}}, nil
	}
	return []domain.Event{BootstrapTokenEscrowed{awaits, token}}, nil
}

// GetBootstrapToken decides what follows when a device fetches its bootstrap token. Having none is no error: an
// error would break the login.
func (d Device) GetBootstrapToken(awaits *bool) ([]domain.Event, error) {
	if err := d.managed(); err != nil {
		return nil, err
	}
	return []domain.Event{BootstrapTokenReleased{len(d.BootstrapToken) > 0, awaits}}, nil
}

// FetchDeclarations records that a channel asked for declarative management data.
func (d Device) FetchDeclarations(channel ChannelID, endpoint string, found bool) ([]domain.Event, error) {
	if err := d.managed(); err != nil {
		return nil, err
	}
	return []domain.Event{DeclarationsFetched{channel, endpoint, found}}, nil
}

// ReportDeclarationStatus keeps a status report as it came: a JSON document, whose secrets are kept apart.
func (d Device) ReportDeclarationStatus(channel ChannelID, report json.RawMessage) ([]domain.Event, error) {
	if err := d.managed(); err != nil {
		return nil, err
	}
	shown, secrets := command.SplitStatus(report)
	return []domain.Event{DeclarationStatusReported{channel, shown, secrets}}, nil
}

// RefuseIdentity records that somebody else's certificate spoke in the device's name, or one without a user's
// AuthToken in his.
func (d Device) RefuseIdentity(channel ChannelID, fingerprint, messageType, reason string) ([]domain.Event, error) {
	if d.Status == "" || d.Erased {
		return nil, nil
	}
	return []domain.Event{IdentityRefused{channel, fingerprint, messageType, reason}}, nil
}

// KeepUnrecognised records a message that the server does not understand.
func (d Device) KeepUnrecognised(channel ChannelID, messageType, reason string, size int) ([]domain.Event, error) {
	if d.Status == "" || d.Erased {
		return nil, nil
	}
	return []domain.Event{MessageUnrecognised{channel, messageType, reason, size}}, nil
}

// managed refuses what only an enrolled device may ask.
func (d Device) managed() error {
	switch d.Status {
	case "":
		return domain.Refusef(domain.Unmanaged, "the device never authenticated")
	case StatusCheckedOut:
		return domain.Refusef(domain.Unmanaged, "the device has checked out: it must authenticate first")
	}
	return nil
}
