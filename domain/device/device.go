// Package device decides what may happen to a managed device.
//
// A Device is a value: the fold of its events. A decision (Authenticate, UpdateToken, Order, Connect …) looks
// at the device and returns the events that follow, or a refusal; it changes nothing. Evolve takes one event
// and returns the device after it; it refuses nothing, for what has happened has happened.
//
// One stream holds everything about a device, its user channels included. A Channel is one way on which Apple's
// protocol speaks: the device's own, or that of one user. Each has its own push data, queue and sessions.
package device

import (
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
)

// Kind is the kind of the streams.
const Kind = "device"

// Fold is the version of Evolve and of the Device's shape. Snapshots of another version are not used: count
// it up with every change of either.
const Fold = 11

// A Status says where an enrolment stands.
type Status string

// The statuses. A device of which nothing is known has none.
const (
	StatusAuthenticated     Status = "AUTHENTICATED" // Authenticate was accepted; only TokenUpdate proves the enrolment
	StatusEnrolled          Status = "ENROLLED"
	StatusCheckedOut        Status = "CHECKED_OUT"
	StatusPresumedUnmanaged Status = "PRESUMED_UNMANAGED"
)

// A ChannelID names a channel within its device: empty for the device channel, else a pseudonym of the user.
type ChannelID string

// A Device is a managed device as its events tell it.
type Device struct {
	Status      Status
	Generation  int    // of the enrolment: counted up at each Authenticate that is not a renewal
	Topic       string // of pushes
	Known       Identity
	Bringer     *domain.Person // who signed in to bring it; nobody if nil. It is never changed
	Certificate string         // SHA-256 of the identity's DER, hex: who may speak for this device
	Claimed     string         // the identity of an Authenticate that no TokenUpdate has confirmed yet
	Renewing    bool           // that Authenticate was the effect of a new enrolment profile of ours

	ProductName, OSVersion string // as its Authenticate told

	Facts    Facts
	Things   Things
	Revision int // of Facts and Things: counted up when they change

	Awaiting bool // the device waits in Setup Assistant for DeviceConfigured
	Erased   bool // its personal data was, and it has not enrolled since: nothing that it says is kept

	UnlockToken    []byte
	BootstrapToken []byte
	Recovery       Password // the lock of macOS Recovery
	Firmware       Password
	LocationDay    string    // the last on which it told where it is
	LocationsGone  string    // the last whose locations nobody can open any more
	BypassKnown    bool      // it has given a bypass code of its activation lock
	RecoveryKey    []byte    // SHA-256 of the encrypted FileVault recovery key that it gave last
	Pairings       []Pairing // watches that may enrol beside the device; at most maxPairings
	Clones         []string  // whom its certificate spoke as, oldest first; at most maxClones

	Held []ChannelID // queues that somebody holds; an empty one is the device's, and its users' with it

	Leaving  bool      // it is told so whenever it speaks
	Isolated Isolation // in quarantine

	LastSeen time.Time // the last event that the device itself caused
	Channels []Channel // the device channel first
	Settled  []string  // command UUIDs that ended lately, oldest first; at most rememberedUUIDs
	Keys     []Key     // idempotency keys used lately, oldest first; at most rememberedKeys
	Events   int64     // how many there were: the version that the next one will have
}

// A Channel is one way to speak with a device.
type Channel struct {
	ID        ChannelID
	Token     []byte // opaque; Apple promises no length
	PushMagic string
	Enrolled  bool      // a TokenUpdate has come in this generation
	Since     time.Time // of the newest push data
	Unmanaged time.Time // APNs called the newest token unregistered; zero if not
	Announced string    // token of the set of declarations that the channel was last told of
	Queue     []*Item   // in the order in which they came; an Item is never written to once it stands here
	Told      []Told    // the last answers that are said once, by request type

	Login      Login // of a network user; empty for all others
	Nonce      string
	NonceSince time.Time
	TokenHash  []byte // SHA-256 of the AuthToken of his messages
}

// An Item is a command in a queue.
type Item struct {
	Order
	Deliveries int
	Deferrals  int
	Out        bool // handed out, and neither answered nor put off since: the device may be at it
	OutSince   time.Time
	Judged     int  // the Revision at which it was found to suit
	Deferred   bool // NotNow was said in the session that still goes on: not offered again before the next
	Held       bool // somebody holds it
}

// A Key is an idempotency key and the command that it stood for.
type Key struct{ Key, UUID string }

// How much of its past a device remembers to recognise repeats.
const (
	rememberedUUIDs = 64
	rememberedKeys  = 256
)

// Channel returns the channel and whether it is known.
func (d Device) Channel(id ChannelID) (Channel, bool) {
	for _, c := range d.Channels {
		if c.ID == id {
			return c, true
		}
	}
	return Channel{ID: id}, false
}

// Item returns the waiting command with the UUID and the channel it waits in.
func (d Device) Item(uuid string) (Item, ChannelID, bool) {
	for _, c := range d.Channels {
		if item := c.item(uuid); item != nil {
			return *item, c.ID, true
		}
	}
	return Item{}, "", false
}

func (c Channel) item(uuid string) *Item {
	for _, item := range c.Queue {
		if item.UUID == uuid {
			return item
		}
	}
	return nil
}

// Reachable reports whether a push could reach the channel.
func (c Channel) Reachable() bool { return c.Enrolled && len(c.Token) > 0 && c.PushMagic != "" }

// Size returns the device's approximate size in memory, in bytes.
func Size(d Device) int {
	n := 810 + len(d.UnlockToken) + len(d.BootstrapToken) + 40*len(d.Settled) + 64*len(d.Keys) + 160*len(d.Pairings) + 40*len(d.Clones) +
		48*len(d.Things.Foreign) + 48*len(d.Things.Apps)
	for _, c := range d.Channels {
		n += 260 + len(c.Token) + len(c.PushMagic) + 180*len(c.Told)
		for _, item := range c.Queue {
			n += 290 + len(item.Password) + len(item.Body) + len(item.Parameters)
		}
	}
	return n
}

// Managed reports whether the device has authenticated and has not left since.
func (d Device) Managed() bool { return d.managed() == nil }
