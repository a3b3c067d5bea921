// Package bulk decides what becomes of an order to many devices at once.
//
// One stream is one order. What is ordered stands in it once, its secret part sealed by the stream's own keys: it is no
// single device's. The devices are those that belonged to the group when it was ordered, named in the same append. A worker
// passes the order on, some devices at a time; each device takes it as a command that refers to the order, or refuses it for
// itself, and the order keeps why. How far the commands have come, the devices' own streams tell.
package bulk

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
)

// Kind is the kind of the streams. A stream's id is the order's, a UUID.
const Kind = "bulk"

// MaxDevices is the most that one order can go to: all of them are named in one append.
const MaxDevices = 20_000

// maxAtOnce is how many devices one event names.
const maxAtOnce = 1000

// An Order is an order to many devices as its events tell it.
type Order struct {
	Ordered   Ordered
	Targets   []string // pseudonyms, sorted
	Reached   int      // so many of them have taken it, or refused it
	Cancelled bool
	Reason    string // why it was cancelled
}

// An Ordered says what was ordered for a group.
type Ordered struct {
	Group        string // its id
	Devices      int    // how many belonged to it
	RequestType  string
	Priority     int             `json:",omitempty"`
	NotBefore    time.Time       `json:",omitzero"`
	ExpiresAt    time.Time       `json:",omitzero"`
	SupersedeKey string          `json:",omitempty"`
	NoPush       bool            `json:",omitempty"`
	PassesHold   bool            `json:",omitempty"`
	Renews       bool            `json:",omitempty"`
	Clears       bool            `json:",omitempty"` // it takes a password away, and sets none
	Mark         string          // stands in Body where each device's CommandUUID will
	Reason       string          `seal:"personal" json:",omitempty"` // a person's own words
	Parameters   json.RawMessage `seal:"personal" json:",omitempty"`
	Brings       json.RawMessage `seal:"personal" json:",omitempty"` // what its payload brings, as a device.Thing
	Body         string          `seal:"secret" json:",omitempty"`   // the property list, in XML
	Password     string          `seal:"secret" json:",omitempty"`   // that it sets or verifies; see device.Order
}

// A MembersNamed says for which devices it was ordered: all that belonged to the group at that moment, whoever joins or
// leaves it later.
type MembersNamed struct{ Devices []string }

// A PassedOn says that devices have been passed the order: those from one place in the list of all up to another.
type PassedOn struct {
	Before, Reached int       // how many had been reached before, and have been now
	Refused         []Refused `json:",omitempty"`
}

// A Refused is a device that did not take the order, and why.
type Refused struct{ Device, Code, Reason string }

// A Cancelled says that the order was taken back: whoever has not been reached is not, and what waits is cancelled.
type Cancelled struct {
	Reason string `seal:"personal" json:",omitempty"` // a person's own words
}

// EventType returns the stored name.
func (Ordered) EventType() string { return "bulk.ordered" }

// EventType returns the stored name.
func (MembersNamed) EventType() string { return "bulk.members-named" }

// EventType returns the stored name.
func (PassedOn) EventType() string { return "bulk.passed-on" }

// EventType returns the stored name.
func (Cancelled) EventType() string { return "bulk.cancelled" }

// Events lists every event of an order by its zero value.
func Events() []domain.Event {
	return []domain.Event{Ordered{}, MembersNamed{}, PassedOn{}, Cancelled{}}
}

// Order decides what follows when something is ordered for devices, named by pseudonym. The same order again is no news.
func (o Order) Order(what Ordered, devices []string, at time.Time) ([]domain.Event, error) {
	devices = slices.Compact(slices.Sorted(slices.Values(devices)))
	switch {
	case o.Ordered.RequestType != "":
		return nil, nil
	case what.RequestType == "" || what.Mark == "" || strings.Count(what.Body, what.Mark) != 1:
		return nil, domain.Refusef(domain.Invalid, "an order needs RequestType, and one place for CommandUUID")
	case len(devices) == 0:
		return nil, domain.WithHint(domain.Refusef(domain.Conflict, "no device belongs to the group now"), "an order is for those who belong to it when it is given")
	case len(devices) > MaxDevices:
		return nil, domain.WithHint(domain.Refusef(domain.Invalid, "an order goes to at most %d devices; these are %d", MaxDevices, len(devices)), "split the group")
	case !what.ExpiresAt.IsZero() && !at.Before(what.ExpiresAt):
		return nil, domain.Refusef(domain.Invalid, "the command would have expired before it was queued")
	case !what.ExpiresAt.IsZero() && !what.NotBefore.Before(what.ExpiresAt):
		return nil, domain.Refusef(domain.Invalid, "the command would expire before it may be delivered")
	}
	what.Devices = len(devices)
	events := []domain.Event{what}
	for some := range slices.Chunk(devices, maxAtOnce) {
		events = append(events, MembersNamed{some})
	}
	return events, nil
}

// Next returns the devices that are to be passed the order next, at most n; none if it has reached all or was cancelled.
func (o Order) Next(n int) []string {
	if o.Cancelled {
		return nil
	}
	return o.Targets[o.Reached:min(o.Reached+n, len(o.Targets))]
}

// PassOn decides what follows when some devices have been passed the order, after as many as before. If somebody else has
// told the same, nothing does.
func (o Order) PassOn(before, n int, refused []Refused) ([]domain.Event, error) {
	if o.Cancelled || before != o.Reached || n <= 0 || before+n > len(o.Targets) {
		return nil, nil
	}
	return []domain.Event{PassedOn{before, before + n, refused}}, nil
}

// Cancel decides what follows when somebody takes the order back.
func (o Order) Cancel(reason string) ([]domain.Event, error) {
	switch {
	case o.Ordered.RequestType == "":
		return nil, domain.Refusef(domain.NotFound, "there is no such order")
	case o.Cancelled:
		return nil, nil
	}
	return []domain.Event{Cancelled{reason}}, nil
}

// Body returns the property list as the device with this CommandUUID gets it.
func (o Order) Body(commandUUID string) []byte {
	return []byte(strings.Replace(o.Ordered.Body, o.Ordered.Mark, commandUUID, 1))
}

// CommandUUID returns the CommandUUID of an order's command for a device. It is always the same, so that whoever passes the
// order on twice orders nothing twice.
func CommandUUID(order, device string) string {
	sum := sha256.Sum256([]byte("rollcall bulk\n" + order + "\n" + device))
	sum[6], sum[8] = sum[6]&0x0f|0x80, sum[8]&0x3f|0x80 // version 8 of RFC 9562: the maker's own way
	h := strings.ToUpper(hex.EncodeToString(sum[:16]))
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// Evolve returns the order after e.
func (o Order) Evolve(e domain.Event, _ time.Time) Order {
	switch e := e.(type) {
	case Ordered:
		o.Ordered = e
	case MembersNamed:
		o.Targets = slices.Concat(o.Targets, e.Devices)
	case PassedOn:
		o.Reached = e.Reached
	case Cancelled:
		o.Cancelled, o.Reason = true, e.Reason
	}
	return o
}

// Size returns the order's approximate size in memory, in bytes.
func Size(o Order) int {
	return 400 + len(o.Ordered.Body) + len(o.Ordered.Parameters) + 48*len(o.Targets)
}
