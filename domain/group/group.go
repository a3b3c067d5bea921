// Package group decides which devices belong together.
//
// One stream is one group. A static group has members, who are named one by one; a dynamic one has a rule, a choice of
// devices by what is known of them, and whoever fits it belongs to it at that moment. No group is both.
package group

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
)

// Kind is the kind of the streams. A stream's id is the group's id, which its maker chose or was given.
const Kind = "group"

// What a group may be at most.
const (
	maxID      = 64  // bytes
	maxName    = 128 // bytes
	maxMembers = 1_000_000
	maxAtOnce  = 1000 // devices added or removed by one event
)

// A Group is a group as its events tell it.
type Group struct {
	Name        string
	Description string
	Rule        json.RawMessage // nil if the group is static
	Members     []string        // pseudonyms of devices, sorted; none if the group is dynamic
	Deleted     bool
}

// A Definition says what a group is.
type Definition struct {
	Name        string
	Description string          `json:",omitempty"`
	Rule        json.RawMessage `json:",omitempty"` // in the words of the API's DeviceFilter; none makes a static group
}

// A Created says that a group was made.
type Created struct {
	Name        string
	Description string          `json:",omitempty"`
	Rule        json.RawMessage `seal:"personal" json:",omitempty"` // may name people and devices
}

// A Changed says that a group has another name, description or rule from now on: all three as they are now.
type Changed struct {
	Name        string
	Description string          `json:",omitempty"`
	Rule        json.RawMessage `seal:"personal" json:",omitempty"`
}

// A MembersAdded says that devices belong to the group from now on.
type MembersAdded struct{ Devices []string } // pseudonyms, sorted; none that belonged already

// A MembersRemoved says that devices no longer belong to the group.
type MembersRemoved struct {
	Devices []string // pseudonyms, sorted
}

// A Deleted says that the group is no more. Its history stays.
type Deleted struct {
	Reason string `json:",omitempty"`
}

// EventType returns the stored name.
func (Created) EventType() string { return "group.created" }

// EventType returns the stored name.
func (Changed) EventType() string { return "group.changed" }

// EventType returns the stored name.
func (MembersAdded) EventType() string { return "group.members-added" }

// EventType returns the stored name.
func (MembersRemoved) EventType() string { return "group.members-removed" }

// EventType returns the stored name.
func (Deleted) EventType() string { return "group.deleted" }

// Events lists every event of a group by its zero value.
func Events() []domain.Event {
	return []domain.Event{Created{}, Changed{}, MembersAdded{}, MembersRemoved{}, Deleted{}}
}

// CheckID refuses what cannot name a group: an id stands in addresses, and in the mouths of people.
func CheckID(id string) error {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.", r)
	}
	if id == "" || len(id) > maxID || strings.ContainsFunc(id, func(r rune) bool { return !plain(r) }) {
		return domain.Refusef(domain.Invalid, "a group's id has 1 to %d letters, digits, dots, hyphens and underscores", maxID)
	}
	return nil
}

// Create decides what follows when somebody wants a group. The same group again is no news; an id that was used by a
// deleted group is free.
func (g Group) Create(d Definition) ([]domain.Event, error) {
	if err := d.check(); err != nil {
		return nil, err
	}
	switch {
	case !g.exists():
		return []domain.Event{Created(d)}, nil
	case g.is(d):
		return nil, nil
	}
	return nil, domain.WithHint(domain.Refusef(domain.Conflict, "there is another group with this id already"),
		"change that one, or take another id")
}

// Change decides what follows when somebody gives the group another definition. A static group stays static and keeps
// its members; a dynamic one stays dynamic.
func (g Group) Change(d Definition) ([]domain.Event, error) {
	if err := d.check(); err != nil {
		return nil, err
	}
	switch {
	case !g.exists():
		return nil, errUnknown()
	case g.is(d):
		return nil, nil
	case (g.Rule == nil) != (d.Rule == nil):
		return nil, domain.WithHint(domain.Refusef(domain.Conflict, "a group with members takes no rule, and one with a rule no members"),
			"make another group")
	}
	return []domain.Event{Changed(d)}, nil
}

func (d Definition) check() error {
	if strings.TrimSpace(d.Name) == "" || len(d.Name) > maxName {
		return domain.Refusef(domain.Invalid, "a group's name has 1 to %d bytes", maxName)
	}
	return nil
}

// Add decides what follows when devices are put into the group: one event for each thousand that did not belong yet.
func (g Group) Add(devices []string) ([]domain.Event, error) {
	if err := g.takesMembers(); err != nil {
		return nil, err
	}
	added := distinct(devices, func(id string) bool { return !g.Has(id) })
	if len(g.Members)+len(added) > maxMembers {
		return nil, domain.Refusef(domain.Conflict, "a group has at most %d members", maxMembers)
	}
	var events []domain.Event
	for some := range slices.Chunk(added, maxAtOnce) {
		events = append(events, MembersAdded{some})
	}
	return events, nil
}

// Remove decides what follows when devices are taken out of the group.
func (g Group) Remove(devices []string) ([]domain.Event, error) {
	if err := g.takesMembers(); err != nil {
		return nil, err
	}
	var events []domain.Event
	for some := range slices.Chunk(distinct(devices, g.Has), maxAtOnce) {
		events = append(events, MembersRemoved{some})
	}
	return events, nil
}

// Delete decides what follows when the group is given up. What was assigned to it is not taken back by this.
func (g Group) Delete(reason string) ([]domain.Event, error) {
	if !g.exists() {
		return nil, errUnknown()
	}
	return []domain.Event{Deleted{reason}}, nil
}

func (g Group) takesMembers() error {
	switch {
	case !g.exists():
		return errUnknown()
	case g.Rule != nil:
		return domain.WithHint(domain.Refusef(domain.Conflict, "the group's members are chosen by its rule"), "change the rule")
	}
	return nil
}

func errUnknown() error { return domain.Refusef(domain.NotFound, "there is no such group") }

func (g Group) exists() bool { return g.Name != "" && !g.Deleted }

func (g Group) is(d Definition) bool {
	return g.Name == d.Name && g.Description == d.Description && string(g.Rule) == string(d.Rule)
}

// Has reports whether a device is a member of the static group.
func (g Group) Has(device string) bool {
	_, found := slices.BinarySearch(g.Members, device)
	return found
}

// distinct returns the devices that are wanted, sorted, each once.
func distinct(devices []string, wanted func(string) bool) []string {
	var some []string
	for _, id := range devices {
		if id != "" && wanted(id) {
			some = append(some, id)
		}
	}
	slices.Sort(some)
	return slices.Compact(some)
}

// Evolve returns the group after e.
func (g Group) Evolve(e domain.Event, _ time.Time) Group {
	switch e := e.(type) {
	case Created:
		return Group{Name: e.Name, Description: e.Description, Rule: e.Rule}
	case Changed:
		g.Name, g.Description, g.Rule = e.Name, e.Description, e.Rule
	case MembersAdded:
		members := slices.Concat(g.Members, e.Devices)
		slices.Sort(members)
		g.Members = slices.Compact(members)
	case MembersRemoved:
		g.Members = distinct(g.Members, func(id string) bool {
			_, gone := slices.BinarySearch(e.Devices, id)
			return !gone
		})
	case Deleted:
		return Group{Deleted: true}
	}
	return g
}

// Size returns the group's approximate size in memory, in bytes.
func Size(g Group) int {
	return 200 + len(g.Name) + len(g.Description) + len(g.Rule) + 48*len(g.Members)
}
