// Package enrollment decides who may come in. One stream is one way in, an invitation: how often it may be used, until
// when, on which roads, and what an enrolment by it grants. A challenge or a link that was given out for an invitation is
// worth what the invitation is worth at the moment at which it is used.
package enrollment

import (
	"slices"
	"strings"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
)

// Kind is the kind of the streams. A stream's id is the invitation's id, which its maker chose or was given.
const Kind = "enrollment"

// Default is the id of the invitation that is there from the first start on.
const Default = "default"

// The roads on which a device can come in.
const (
	Profile = "profile" // a profile that somebody downloads
	OTA     = "ota"     // Apple's over-the-air profile service
	ADE     = "ade"     // Automated Device Enrollment
	Account = "account" // a Managed Apple Account in Settings
)

// Roads lists the roads.
func Roads() []string { return []string{Profile, OTA, ADE, Account} }

// What an invitation may be at most, in bytes.
const (
	maxID   = 64
	maxName = 128
	maxNote = 1000
)

// AllRights are all of Apple's access rights.
const AllRights = 8191

// Terms are what an invitation grants, and within which limits.
type Terms struct {
	Name         string
	Roads        []string  `json:",omitempty"` // on which it may be used; on all if empty
	AccessRights int       `json:",omitempty"` // that the enrolment profile asks for, Apple's bits; all if zero
	Uses         int       `json:",omitempty"` // how many keys may come in by it; any number if zero
	Expires      time.Time `json:",omitzero"`  // never if zero
	Group        string    `json:",omitempty"` // that the device is to join
	Note         string    `json:",omitempty"` // what its maker thinks fit to remember
}

// An Invited says that there is a way in.
type Invited struct {
	Name         string
	Roads        []string  `json:",omitempty"`
	AccessRights int       `json:",omitempty"`
	Uses         int       `json:",omitempty"`
	Expires      time.Time `json:",omitzero"`
	Group        string    `json:",omitempty"`
	Note         string    `seal:"personal" json:",omitempty"`
}

// A Withdrawn says that a way in is closed. Who came in by it stays.
type Withdrawn struct {
	Reason string `json:",omitempty"`
}

// An Admitted says that a key was let in: it gets a certificate. Only a device's TokenUpdate proves that it enrolled.
type Admitted struct {
	Road      string
	Ticket    string   // hash of the challenge by which it came
	PublicKey string   // SHA-256 of its SubjectPublicKeyInfo, hex
	Device    string   `json:",omitempty"`                // pseudonym of the device for which the challenge was made; empty if for any
	Again     bool     `json:",omitempty"`                // the device was let in lately: this uses up nothing
	Identity  Identity `seal:"personal" json:",omitzero"` // what the device told of itself on its way, if it did
}

// An Identity is what a device tells of itself before it is managed.
type Identity struct {
	UDID         string `json:",omitempty"`
	SerialNumber string `json:",omitempty"`
}

// EventType returns the stored name.
func (Invited) EventType() string { return "enrollment.invited" }

// EventType returns the stored name.
func (Withdrawn) EventType() string { return "enrollment.withdrawn" }

// EventType returns the stored name.
func (Admitted) EventType() string { return "enrollment.admitted" }

// Events lists every event of an invitation by its zero value.
func Events() []domain.Event {
	return []domain.Event{Invited{}, Withdrawn{}, Admitted{}, Mailed{}, MailFailed{}}
}

// An Invitation is a way in as its events tell it.
type Invitation struct {
	Terms
	Closed bool
	Used   int // how many keys were let in
	last   []entry
}

// An entry is a key that was let in by a challenge.
type entry struct{ ticket, key, device string }

// remembered is how many keys an invitation keeps in mind, so that one that asks again is not counted twice.
const remembered = 64

// CheckID refuses what cannot name an invitation: it stands in addresses, and in the mouths of people.
func CheckID(id string) error {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_", r)
	}
	if id == "" || len(id) > maxID || strings.ContainsFunc(id, func(r rune) bool { return !plain(r) }) {
		return domain.Refusef(domain.Invalid, "an invitation's id has 1 to %d letters, digits, hyphens and underscores", maxID)
	}
	return nil
}

// Invite decides what follows when somebody wants a way in. The same again is no news; an id is never used twice, for
// what was given out under it would open the new one.
func (i Invitation) Invite(t Terms, at time.Time) ([]domain.Event, error) {
	if err := t.check(at); err != nil {
		return nil, err
	}
	switch {
	case i.Name == "":
		return []domain.Event{Invited(t)}, nil
	case !i.Closed && i.is(t):
		return nil, nil
	}
	return nil, domain.WithHint(domain.Refusef(domain.Conflict, "there is, or was, another invitation with this id"), "take another id")
}

func (i Invitation) is(t Terms) bool {
	same := slices.Equal(i.Roads, t.Roads) && i.Expires.Equal(t.Expires)
	return same && i.Name == t.Name && i.AccessRights == t.AccessRights && i.Uses == t.Uses && i.Group == t.Group && i.Note == t.Note
}

func (t Terms) check(at time.Time) error {
	switch {
	case strings.TrimSpace(t.Name) == "" || len(t.Name) > maxName:
		return domain.Refusef(domain.Invalid, "an invitation's name has 1 to %d bytes", maxName)
	case len(t.Note) > maxNote:
		return domain.Refusef(domain.Invalid, "an invitation's note has at most %d bytes", maxNote)
	case t.Uses < 0:
		return domain.Refusef(domain.Invalid, "an invitation cannot be used a negative number of times")
	case t.AccessRights < 0 || t.AccessRights > AllRights:
		return domain.Refusef(domain.Invalid, "access rights are bits between 1 and %d; 0 stands for all", AllRights)
	case !t.Expires.IsZero() && !at.Before(t.Expires):
		return domain.Refusef(domain.Invalid, "the invitation would have expired before it was made")
	}
	for _, road := range t.Roads {
		if !slices.Contains(Roads(), road) {
			return domain.WithHint(domain.Refusef(domain.Invalid, "no road is called %q", road), "take some of "+strings.Join(Roads(), ", "))
		}
	}
	return nil
}

// Withdraw decides what follows when a way in is to be closed.
func (i Invitation) Withdraw(reason string) ([]domain.Event, error) {
	switch {
	case i.Name == "":
		return nil, errUnknown()
	case i.Closed:
		return nil, nil
	}
	return []domain.Event{Withdrawn{reason}}, nil
}

// Open refuses whoever wants to come in on a road by an invitation that is not open at the time at. Whoever makes a
// profile or a challenge asks before.
func (i Invitation) Open(road string, at time.Time) error { return i.OpenFor("", road, at) }

// OpenFor is Open for a device, by its pseudonym. One that was let in lately uses up nothing more: on the over-the-air road
// it needs two keys.
func (i Invitation) OpenFor(device, road string, at time.Time) error {
	switch {
	case i.Name == "":
		return errUnknown()
	case i.Closed:
		return domain.WithHint(domain.Refusef(domain.Forbidden, "the invitation was withdrawn"), askForAnother)
	case !i.Expires.IsZero() && !at.Before(i.Expires):
		return domain.WithHint(domain.Refusef(domain.Forbidden, "the invitation has expired"), askForAnother)
	case len(i.Roads) > 0 && !slices.Contains(i.Roads, road):
		return domain.Refusef(domain.Forbidden, "the invitation is not for the road %q", road)
	case i.Uses > 0 && i.Used >= i.Uses && !i.let(device):
		return domain.WithHint(domain.Refusef(domain.Forbidden, "the invitation is used up"), askForAnother)
	}
	return nil
}

// let reports whether the device was let in lately.
func (i Invitation) let(device string) bool {
	return device != "" && slices.ContainsFunc(i.last, func(e entry) bool { return e.device == device })
}

const askForAnother = "ask whoever invited you for another one"

func errUnknown() error { return domain.Refusef(domain.NotFound, "there is no such invitation") }

// Admit decides what follows when a key comes in. The same key by the same challenge is no news, even if the invitation
// is used up or closed meanwhile.
func (i Invitation) Admit(a Admitted, at time.Time) ([]domain.Event, error) {
	if slices.ContainsFunc(i.last, func(e entry) bool { return e.ticket == a.Ticket && e.key == a.PublicKey }) {
		return nil, nil
	}
	if err := i.OpenFor(a.Device, a.Road, at); err != nil {
		return nil, err
	}
	a.Again = i.let(a.Device)
	return []domain.Event{a}, nil
}

// Evolve returns the invitation after e.
func (i Invitation) Evolve(e domain.Event, _ time.Time) Invitation {
	switch e := e.(type) {
	case Invited:
		return Invitation{Terms: Terms(e)}
	case Withdrawn:
		i.Closed = true
	case Admitted:
		if !e.Again {
			i.Used++
		}
		kept := i.last[max(0, len(i.last)-remembered+1):]
		i.last = append(slices.Clone(kept), entry{e.Ticket, e.PublicKey, e.Device})
	}
	return i
}
