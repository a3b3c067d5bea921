package projections

import (
	"encoding/json"
	"math"
	"time"

	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

// Now, as a moment, is the present: the newest that the views know. Every other moment is a position, which
// PositionAt finds for a time; position 0 is before everything.
const Now eventstore.Position = math.MaxInt64

// A Platform is an operating system of Apple's.
type Platform string

// The platforms.
const (
	IOS      Platform = "IOS"
	IPadOS   Platform = "IPADOS"
	MacOS    Platform = "MACOS"
	TVOS     Platform = "TVOS"
	WatchOS  Platform = "WATCHOS"
	VisionOS Platform = "VISIONOS"
)

// A Device is a device as it was at a moment. What is not known is empty.
type Device struct {
	ID             string // pseudonym: the id of its stream
	UDID           string
	EnrollmentID   string // instead of the UDID in a User Enrolment
	SerialNumber   string
	IMEI, MEID     string
	Name           string // as the device calls itself
	ProductName    string // Apple's identifier, e.g. iPad13,4
	Model          string // Apple's order number
	ModelName      string // for people, e.g. iPad Pro
	Platform       Platform
	OSVersion      string
	BuildVersion   string
	Topic          string
	Status         device.Status
	StatusReason   string // in words; empty while it is enrolled
	EnrollmentType string // "device", "automated", or "user"
	Generation     int
	Supervised     *bool
	UserApproved   *bool
	Awaiting       *bool // for DeviceConfigured, in Setup Assistant
	EnrolledAt     time.Time
	LastSeenAt     time.Time
	LastPushAt     time.Time // that Apple accepted
	QueueLength    int       // commands that wait for it and its users
}

// Label returns what people call the device: its name, else its model, serial number or pseudonym.
func (d Device) Label() string {
	switch {
	case d.Name != "":
		return d.Name
	case d.ModelName != "" && d.SerialNumber != "":
		return d.ModelName + " " + d.SerialNumber
	case d.SerialNumber != "":
		return d.SerialNumber
	case d.ModelName != "":
		return d.ModelName
	case len(d.ID) > 8:
		return "device " + d.ID[:8]
	}
	return "device " + d.ID
}

// A UserChannel is a user of a device who is managed there.
type UserChannel struct {
	ID               device.ChannelID
	UserID           string
	EnrollmentUserID string
	ShortName        string
	LongName         string
	Status           device.Status
	LastSeenAt       time.Time
}

// A DeviceFilter chooses devices. Each field that is set narrows the choice; within a list any will do.
type DeviceFilter struct {
	IDs          []string // pseudonyms
	Search       string   // part of name, serial number, UDID, EnrollmentID, model; any case
	Status       []device.Status
	Platform     []Platform
	OSVersion    string // exactly, or as far as it goes: 17 chooses 17.2.1
	Supervised   *bool  // false chooses those that are known not to be
	SeenBefore   time.Time
	SeenAfter    time.Time
	EnrolledFrom time.Time
	Facts        []FactFilter // all of them must hold
	Application  string       // bundle identifier of an installed app, or identifier@version
	Group        string       // id of a group: those that belonged to it at the moment that is asked for
}

// A FactFilter is a predicate over one fact. All but Missing hold only where the fact is known.
type FactFilter struct {
	Key   string
	Op    FactOp
	Value json.RawMessage
}

// A FactOp compares a fact with a value. Numbers compare as numbers, versions (14.2.1) part by part, other
// texts byte by byte. Contains: part of a text (any case), element of an array, key of an object.
type FactOp string

// The operators.
const (
	EQ       FactOp = "EQ"
	NE       FactOp = "NE"
	LT       FactOp = "LT"
	LE       FactOp = "LE"
	GT       FactOp = "GT"
	GE       FactOp = "GE"
	Contains FactOp = "CONTAINS"
	Exists   FactOp = "EXISTS"
	Missing  FactOp = "MISSING"
)

// A DeviceOrder says how devices are sorted; ties are broken by the order of their first appearance.
type DeviceOrder struct {
	By         DeviceKey // ByAppearance if empty
	Descending bool
}

// A DeviceKey is what devices can be sorted by.
type DeviceKey string

// The keys.
const (
	ByAppearance DeviceKey = "APPEARANCE"
	ByName       DeviceKey = "NAME"
	BySerial     DeviceKey = "SERIAL_NUMBER"
	ByOSVersion  DeviceKey = "OS_VERSION"
	ByEnrolled   DeviceKey = "ENROLLED_AT"
	ByLastSeen   DeviceKey = "LAST_SEEN_AT" // as of a moment in the past: costs a look at every device
)

// A DeviceQuery asks for devices as they were AsOf a moment: give Now for the present.
type DeviceQuery struct {
	Filter DeviceFilter
	Order  DeviceOrder
	Page   Page
	AsOf   eventstore.Position
}

// A Fleet is the numbers of a fleet at a moment.
type Fleet struct {
	Position     eventstore.Position // the moment; the newest known position for Now
	Time         time.Time           // of that position
	Devices      int                 // that ever authenticated until then
	Supervised   int                 // of those enrolled
	Awaiting     int                 // of those enrolled
	ByStatus     map[device.Status]int
	ByPlatform   map[Platform]int // of those enrolled; "" for unknown
	ByOS         []OSCount        // of those enrolled, most first
	WaitingTotal int              // commands that wait; for a moment in the past this reads every earlier command
}

// An OSCount is how many enrolled devices run a version.
type OSCount struct {
	Platform Platform
	Version  string
	Devices  int
}

// A Fact is what was known of a device under a key for a while. Until and UntilPosition are zero while it holds.
type Fact struct {
	Key           string
	Value         json.RawMessage
	Since         time.Time
	SincePosition eventstore.Position
	Until         time.Time
	UntilPosition eventstore.Position
}

// A FactChange is a difference between two moments. Before or After is nil where nothing was known.
type FactChange struct {
	Key           string
	Before, After json.RawMessage
	At            time.Time // of the last event that made the difference
	Position      eventstore.Position
}
