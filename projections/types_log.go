package projections

import (
	"time"

	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/domain/operator"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

// A CommandState says how far a command has come.
type CommandState string

// The states. Queued, Delivered and Deferred wait; the others have ended.
const (
	Queued         CommandState = "QUEUED"
	Delivered      CommandState = "DELIVERED"
	Deferred       CommandState = "DEFERRED"
	Acknowledged   CommandState = "ACKNOWLEDGED"
	Failed         CommandState = "FAILED"
	FormatRejected CommandState = "FORMAT_REJECTED"
	Cancelled      CommandState = "CANCELLED"
	Superseded     CommandState = "SUPERSEDED"
	Expired        CommandState = "EXPIRED"
)

// Waits reports whether the command is still in its queue.
func (s CommandState) Waits() bool { return s == Queued || s == Delivered || s == Deferred }

// A Command is a command for one channel. Its parameters stand in the log at Position, its result at
// SettledPosition: whoever wants to show them reads them there.
type Command struct {
	UUID         string
	Device       string // pseudonym
	Channel      device.ChannelID
	RequestType  string
	State        CommandState
	Position     eventstore.Position // of its CommandQueued; it identifies the command even if UUIDs repeat
	Priority     int
	NotBefore    time.Time
	ExpiresAt    time.Time
	SupersedeKey string
	Reason       string // why it was ordered, in the words of whoever did
	NoPush       bool   // nobody was to be woken for it
	QueuedAt     time.Time
	QueuedBy     eventstore.Actor // without address
	Deliveries   int
	Deferrals    int       // NotNow so far
	DeliveredAt  time.Time // the first time
	DeferredAt   time.Time // the last NotNow
	SettledAt    time.Time
	Because      string // why it ended, if it was cancelled; by which UUID, if superseded

	DeliveredPosition eventstore.Position // of the first delivery
	SettledPosition   eventstore.Position
}

// An Attempt is one delivery of a command and what came back.
type Attempt struct {
	DeliveredAt time.Time
	Position    eventstore.Position // of the CommandDelivered
	AnsweredAt  time.Time           // zero if nothing came back
	Answer      eventstore.Position // of the event that holds what came back; 0 if nothing did
	Status      string              // Apple's: Acknowledged, Error, CommandFormatError, NotNow; empty if nothing came back
}

// A CommandFilter chooses commands. Each field that is set narrows the choice; within a list any will do.
type CommandFilter struct {
	States       []CommandState
	RequestTypes []string
	Device       string // pseudonym, UDID, EnrollmentID or serial number
	Channel      *device.ChannelID
	UUIDs        []string
	Actor        string    // id or name of who ordered it
	Bulk         string    // id of an order to many devices
	From, To     time.Time // of the order, both inclusive
}

// An EventFilter chooses events. Each field that is set narrows the choice; within a list any will do.
type EventFilter struct {
	Device     string // pseudonym, UDID, EnrollmentID or serial number
	Kind       string // of the stream: device, operator, pushcert, certificate, stranger
	Types      []string
	Actor      string                 // id or name
	ActorKind  []eventstore.ActorKind // as the log spells them, in lower case
	From, To   time.Time              // both inclusive
	Command    string                 // CommandUUID
	Search     string                 // part of an event's type, a command's UUID or type, an actor's name or id, a device's name or serial number
	AfterEvent eventstore.Position    // only what came later
}

// An Entry is an event as the timeline knows it. What it says stands in the log: at Version of Stream, or at
// Position.
type Entry struct {
	Position eventstore.Position
	Time     time.Time // never before that of an earlier position, even if the clock was set back
	Type     string
	Stream   eventstore.Stream
	Version  int64
	Device   string           // pseudonym; empty if the stream is no device's
	Channel  device.ChannelID // of a user; empty for the device's own
	Command  string           // CommandUUID; empty if it speaks of none
	Actor    eventstore.Actor // without address
}

// A Wakeup is a push that should be sent now.
type Wakeup struct {
	Device  string // pseudonym
	Channel device.ChannelID
	Reason  string // ordered, again, deferred, asked, unanswered, retry, scheduled
	Attempt int    // from 1, counted since the channel last spoke
	DueAt   time.Time
}

// An OperatorToken is an API token. Its hash is no secret: it opens nothing.
type OperatorToken struct {
	ID        string
	Name      string
	Role      operator.Role
	CreatedAt time.Time
	CreatedBy eventstore.Actor
	Expires   time.Time // zero: never
	RevokedAt time.Time // zero: it is good until it expires
}

// A PushCertificate is the newest push certificate of a topic. Its key is in the log alone.
type PushCertificate struct {
	Topic       string
	Fingerprint string // SHA-256 of the DER, hex
	NotBefore   time.Time
	NotAfter    time.Time
	StoredAt    time.Time
	StoredBy    eventstore.Actor
	Renewals    int
	Devices     int // enrolled with this topic
}

// A PushCertificateRequest is a key that was made to be certified by Apple. It is in the log alone.
type PushCertificateRequest struct {
	ID         string // SHA-256 of the public key, hex
	Topic      string // that is to be renewed; empty for a new one
	CommonName string
	MadeAt     time.Time
	MadeBy     eventstore.Actor
	AnsweredAt time.Time // when its certificate was stored; zero if it was not
}

// A View is how one view stands.
type View struct {
	Name         string
	Version      int
	Position     eventstore.Position
	Lag          int64               // how many events it is behind
	Rebuilding   bool                // it is being folded anew, beside the one that is served
	Rebuilt      eventstore.Position // how far that has come; 0 if it is not under way
	RebuildError string              // why the last rebuild did not come to its end; empty if it did
	Parked       []ParkedStream
}

// A ParkedStream is a stream that a view could not digest, and leaves alone from there on.
type ParkedStream struct {
	Stream   eventstore.Stream
	Position eventstore.Position // of the event that it could not digest
	Error    string
	Since    time.Time
}
