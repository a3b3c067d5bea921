package device

import (
	"encoding/json"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
)

// Events lists every event of a device by its zero value.
//
// A field's tag says who may read it in the log: none, everybody; seal:"personal", views and the device's door;
// seal:"secret", only the delivery to the device or a reveal. A json tag of omitempty keeps absent what is zero.
func Events() []domain.Event {
	return []domain.Event{
		Authenticated{}, TokenUpdated{}, CheckedOut{}, UserAuthenticated{},
		BootstrapTokenEscrowed{}, BootstrapTokenDeleted{}, BootstrapTokenReleased{},
		DeclarationsFetched{}, DeclarationStatusReported{}, DeclarationsAnnounced{},
		UserChallenged{}, TokenIssued{}, ReturnedToService{},
		IdentityPinned{}, IdentityAttested{}, IdentityReplaced{}, IdentityRefused{}, IdentityCloneSuspected{},
		CommandQueued{}, CommandDelivered{}, CommandAcknowledged{}, CommandFailed{}, CommandFormatRejected{},
		CommandDeferred{}, CommandCancelled{}, CommandSuperseded{}, CommandExpired{}, ResultUnmatched{},
		QueueHeld{}, QueueReleased{}, CommandHeld{}, CommandReleased{},
		UnenrolmentOrdered{}, UnenrolmentWithdrawn{}, TurnedAway{}, Quarantined{}, QuarantineLifted{},
		PushRequested{}, PushAccepted{}, PushRefused{}, PresumedUnmanaged{}, Seen{}, MessageUnrecognised{},
		WantedOrdered{}, WantedRefused{}, WantedRetried{},
		SubjectErased{}, SecretRevealed{}, Disclosed{}, RecoveryKeyEscrowed{},
		Located{}, LocationsForgotten{},
	}
}

// An Identity is what names a device. Each part may be absent: a User Enrolment has an EnrollmentID alone.
type Identity struct {
	UDID         string `json:",omitempty"`
	EnrollmentID string `json:",omitempty"`
	SerialNumber string `json:",omitempty"`
	IMEI         string `json:",omitempty"`
	MEID         string `json:",omitempty"`
	DeviceName   string `json:",omitempty"`
}

// A User is what names the user of a channel.
type User struct {
	UserID           string `json:",omitempty"`
	EnrollmentUserID string `json:",omitempty"`
	UserShortName    string `json:",omitempty"`
	UserLongName     string `json:",omitempty"`
}

// An Authenticated says that a device has asked to be managed and was let in. Only a TokenUpdated proves
// that it is. It ends the queues and push data of the generation before, unless it is a Renewal.
type Authenticated struct {
	Generation   int
	Renewal      bool `json:",omitempty"` // the server itself replaced the enrolment profile
	Topic        string
	Certificate  string          `json:",omitempty"` // SHA-256 of the identity's DER, hex
	OSVersion    string          `json:",omitempty"`
	BuildVersion string          `json:",omitempty"`
	ProductName  string          `json:",omitempty"`
	Model        string          `json:",omitempty"`
	ModelName    string          `json:",omitempty"`
	AccessRights int             `json:",omitempty"` // of the enrolment profile, as far as it told; Apple's bits
	Road         string          `json:",omitempty"` // by which it got the certificate that it comes with, if this server issued it
	Invitation   string          `json:",omitempty"` // and the invitation's id
	Identity     Identity        `seal:"personal" json:",omitzero"`
	Person       domain.Person   `seal:"personal" json:",omitzero"`  // who signed in to bring it, if somebody did
	Rest         json.RawMessage `seal:"personal" json:",omitempty"` // keys that nobody knows today
	// Secrets is what was cut out of Rest, by path, for it calls itself a secret.
	Secrets map[string]json.RawMessage `seal:"secret" json:",omitempty"`
}

// A TokenUpdated says that a channel has given, or renewed, its push data.
type TokenUpdated struct {
	Channel               ChannelID `json:",omitempty"`
	Topic                 string
	Enrolled              bool            `json:",omitempty"` // the first of this channel since Authenticate
	AwaitingConfiguration *bool           `json:",omitempty"` // nil: the message said nothing about it
	NotOnConsole          *bool           `json:",omitempty"`
	Token                 []byte          `seal:"personal" json:",omitempty"`
	PushMagic             string          `seal:"personal" json:",omitempty"`
	Identity              Identity        `seal:"personal" json:",omitzero"`
	User                  User            `seal:"personal" json:",omitzero"`
	UnlockToken           []byte          `seal:"secret" json:",omitempty"`   // absent: the one before stays good
	Rest                  json.RawMessage `seal:"personal" json:",omitempty"` // keys that nobody knows today
	// Secrets is what was cut out of Rest, by path, for it calls itself a secret.
	Secrets map[string]json.RawMessage `seal:"secret" json:",omitempty"`
}

// A CheckedOut says that a device has told of its leaving.
type CheckedOut struct{}

// A UserAuthenticated says that a network user asked whether this server manages him, or proved his password, and
// the answer.
type UserAuthenticated struct {
	Channel   ChannelID
	Accepted  bool
	Because   string `json:",omitempty"` // what was wrong with his proof; empty if none was asked for
	User      User   `seal:"personal" json:",omitzero"`
	TokenHash []byte `seal:"secret" json:",omitempty"` // SHA-256 of the AuthToken that he was given; empty if none was
}

// A BootstrapTokenEscrowed says that a device has left its bootstrap token.
type BootstrapTokenEscrowed struct {
	AwaitingConfiguration *bool  `json:",omitempty"` // nil: the message said nothing about it
	BootstrapToken        []byte `seal:"secret" json:",omitempty"`
}

// A BootstrapTokenDeleted says that a device has asked to forget its bootstrap token.
type BootstrapTokenDeleted struct {
	AwaitingConfiguration *bool `json:",omitempty"`
}

// A BootstrapTokenReleased says that a device has fetched its bootstrap token. Found is false if there was none.
type BootstrapTokenReleased struct {
	Found                 bool
	AwaitingConfiguration *bool `json:",omitempty"`
}

// A DeclarationsFetched says that a channel has asked for declarative management data.
type DeclarationsFetched struct {
	Channel  ChannelID `json:",omitempty"`
	Endpoint string    // tokens, declaration-items, declaration/kind/identifier, or data/identifier: what the server gives out for one
	Found    bool
}

// A DeclarationStatusReported keeps a status report as it came: a JSON document.
type DeclarationStatusReported struct {
	Channel ChannelID       `json:",omitempty"`
	Report  json.RawMessage `seal:"personal" json:",omitempty"`

	Secrets map[string]json.RawMessage `seal:"secret" json:",omitempty"` // what was cut out of Report, by path
}

// An IdentityPinned says that from now on only this certificate speaks for the device.
type IdentityPinned struct {
	Certificate string // SHA-256 of the DER, hex
	NotAfter    time.Time
	Serial      string `json:",omitempty"` // the certificate's serial number, hex
}

// An IdentityAttested says that the key of the certificate with which the device authenticated was attested: it was made in
// hardware. SerialNumber and UDID are those that the device tells and that were attested too.
type IdentityAttested struct {
	Certificate  string // SHA-256 of the DER, hex
	Attested     domain.Attestation
	SerialNumber string `seal:"personal" json:",omitempty"`
	UDID         string `seal:"personal" json:",omitempty"`
}

// An IdentityReplaced says that a new certificate, claimed at an Authenticate and confirmed by its TokenUpdate,
// speaks for the device.
type IdentityReplaced struct {
	Before, Certificate string
	NotAfter            time.Time
	Serial              string `json:",omitempty"`
}

// An IdentityRefused says that somebody with a certificate that is not the device's spoke in its name, or somebody
// without a user's AuthToken in his. The message itself is the event's evidence.
type IdentityRefused struct {
	Channel     ChannelID `json:",omitempty"`
	Certificate string    // of the one who spoke; empty if there was none
	MessageType string    `json:",omitempty"`
	Reason      string
}

// An Order is a command for one channel: what is to be done, and the rules of its waiting.
type Order struct {
	UUID         string
	RequestType  string
	Body         Document        `json:",omitempty"` // the property list as it will be delivered
	Parameters   json.RawMessage `json:",omitempty"` // for people: the command's keys, secrets masked
	Priority     int             `json:",omitempty"` // higher goes first
	NotBefore    time.Time       `json:",omitzero"`
	ExpiresAt    time.Time       `json:",omitzero"`
	SupersedeKey string          `json:",omitempty"` // a later order with the same key takes this one's place
	Reason       string          `json:",omitempty"` // why, in the words of whoever ordered it
	Key          string          `json:",omitempty"` // idempotency key
	Renews       bool            `json:",omitempty"` // it replaces the enrolment profile
	Raw          bool            `json:",omitempty"` // a property list that somebody wrote himself: the catalogue refuses nothing of it
	Against      string          `json:",omitempty"` // what the catalogue would have refused of it
	PassesHold   bool            `json:",omitempty"` // it is delivered even while the queue is held
	Password     string          `json:",omitempty"` // that it sets or verifies; a secret
	Clears       bool            `json:",omitempty"` // it takes a password away, and sets none
	Brings       Thing           `json:",omitzero"`  // what its payload brings
	Bulk         string          `json:",omitempty"` // the order to many devices that it is part of: the body stands there
}

// A CommandQueued says that a command waits for a channel.
type CommandQueued struct {
	Channel      ChannelID `json:",omitempty"`
	UUID         string
	RequestType  string
	Priority     int             `json:",omitempty"`
	NotBefore    time.Time       `json:",omitzero"`
	ExpiresAt    time.Time       `json:",omitzero"`
	SupersedeKey string          `json:",omitempty"`
	Reason       string          `seal:"personal" json:",omitempty"` // a person's own words
	Key          string          `json:",omitempty"`
	NoPush       bool            `json:",omitempty"` // the channel is not to be woken for it
	Renews       bool            `json:",omitempty"` // it replaces the enrolment profile: what waits stays
	Raw          bool            `json:",omitempty"` // a property list that somebody wrote himself
	Against      string          `json:",omitempty"` // what the catalogue would have refused of it
	PassesHold   bool            `json:",omitempty"` // it is delivered even while the queue is held
	Clears       bool            `json:",omitempty"` // it takes a password away, and sets none
	Bulk         string          `json:",omitempty"` // the order to many devices that it is part of: the body stands there, and not here
	Parameters   json.RawMessage `seal:"personal" json:",omitempty"`
	Brings       Thing           `seal:"personal" json:",omitzero"` // what its payload brings
	Body         Document        `seal:"secret" json:",omitempty"`
	Password     string          `seal:"secret" json:",omitempty"` // that it sets or verifies
}

// A CommandDelivered says that a command was handed to its channel. It waits on until an answer comes.
type CommandDelivered struct {
	Channel     ChannelID `json:",omitempty"`
	UUID        string
	RequestType string
	Attempt     int  // from 1
	NewSession  bool `json:",omitempty"` // the channel had said Idle: what it deferred may be offered again
}

// A CommandAcknowledged says that a device has done a command. Done is not verified: see Apple's pages. A list that the
// channel told in the same words before is not told again: SameAs says where it stands, and Digest that it is the same.
type CommandAcknowledged struct {
	Channel     ChannelID `json:",omitempty"`
	UUID        string
	RequestType string
	SameAs      int64                      `json:",omitempty"`                 // version, in the stream, of the event whose Result this one repeats
	Digest      []byte                     `seal:"personal" json:",omitempty"` // SHA-256 of the Result, its own or the repeated one; absent if it is not said once
	Result      json.RawMessage            `seal:"personal" json:",omitempty"` // the answer's own keys
	Secrets     map[string]json.RawMessage `seal:"secret" json:",omitempty"`   // what was cut out of it, by path
}

// A CommandFailed says that a device could not do a command. Codes change between OS releases: they inform, and
// decide nothing.
type CommandFailed struct {
	Channel     ChannelID `json:",omitempty"`
	UUID        string
	RequestType string
	ErrorChain  json.RawMessage            `seal:"personal" json:",omitempty"`
	Result      json.RawMessage            `seal:"personal" json:",omitempty"`
	Secrets     map[string]json.RawMessage `seal:"secret" json:",omitempty"` // what was cut out of it, by path
}

// A CommandFormatRejected says that a device did not understand a command; it never will.
type CommandFormatRejected struct {
	Channel     ChannelID `json:",omitempty"`
	UUID        string
	RequestType string
	ErrorChain  json.RawMessage            `seal:"personal" json:",omitempty"`
	Result      json.RawMessage            `seal:"personal" json:",omitempty"`
	Secrets     map[string]json.RawMessage `seal:"secret" json:",omitempty"` // what was cut out of it, by path
}

// A CommandDeferred says that a device answered NotNow. The command waits on and is sent again, whole.
type CommandDeferred struct {
	Channel     ChannelID `json:",omitempty"`
	UUID        string
	RequestType string
	Deferrals   int // how often by now
}

// A CommandCancelled says that a waiting command was taken back, by a person or by the end of its enrolment.
type CommandCancelled struct {
	Channel     ChannelID `json:",omitempty"`
	UUID        string
	RequestType string
	Reason      string `seal:"personal"` // a person's own words
}

// A CommandSuperseded says that a later command took a waiting one's place, or that what is known of the device by
// now says that it cannot work.
type CommandSuperseded struct {
	Channel     ChannelID `json:",omitempty"`
	UUID        string
	RequestType string
	By          string // UUID of the later one; empty if there is none
	Reason      string `json:",omitempty"` // why it cannot work any more
}

// A CommandExpired says that nobody fetched a command in its time.
type CommandExpired struct {
	Channel     ChannelID `json:",omitempty"`
	UUID        string
	RequestType string
}

// A ResultUnmatched keeps an answer that belongs to no waiting command of its channel.
type ResultUnmatched struct {
	Channel   ChannelID `json:",omitempty"`
	UUID      string    `json:",omitempty"`
	Status    string
	Because   string                     // unknown, settled, foreign (another channel's), undelivered, status (not one we know)
	Result    json.RawMessage            `seal:"personal" json:",omitempty"`
	Secrets   map[string]json.RawMessage `seal:"secret" json:",omitempty"`
	ErrorText json.RawMessage            `seal:"personal" json:",omitempty"` // its ErrorChain
}

// A PushRequested says that a channel is to be woken.
type PushRequested struct {
	Channel ChannelID `json:",omitempty"`
	Because string    // ordered, deferred, asked, retry, silent
}

// A PushAccepted says that Apple took a push. It says nothing about the device.
type PushAccepted struct {
	Channel ChannelID `json:",omitempty"`
	APNsID  string    `json:",omitempty"`
	Attempt int       `json:",omitempty"` // since the channel last spoke
}

// A PushRefused says that Apple did not take a push.
type PushRefused struct {
	Channel      ChannelID `json:",omitempty"`
	Status       int       `json:",omitempty"` // of HTTP; 0 if there was no answer
	Reason       string    // Apple's, or what happened instead
	Final        bool      `json:",omitempty"` // pushes end until the next TokenUpdate
	Unregistered bool      `json:",omitempty"` // Apple calls the newest token dead
}

// A PresumedUnmanaged says why the server no longer believes that the device is managed.
type PresumedUnmanaged struct{ Reason string }

// A Seen says that a channel has polled without having anything to tell or to fetch.
type Seen struct {
	Channel ChannelID `json:",omitempty"`
	Polls   int       // since the last event of the device
}

// A MessageUnrecognised says that an enrolled device sent what the server does not understand. The message
// itself is the event's evidence.
type MessageUnrecognised struct {
	Channel     ChannelID `json:",omitempty"`
	MessageType string    `json:",omitempty"`
	Reason      string
	Size        int // in bytes
}

// A SubjectErased says that all personal data and all secrets of the device and its users were forgotten, for good:
// the keys of every event up to this one are destroyed right after it. What is left is the pseudonym, and what is
// technical. The device is not managed until it enrols anew. With a Channel it is one user who was forgotten: what was
// sealed for him, and nothing else.
type SubjectErased struct {
	Channel ChannelID `json:",omitempty"`
	Reason  string    // why, told to whoever reads the timeline: it must name nobody
}
