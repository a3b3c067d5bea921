// Package wanted decides which profiles and apps devices are to have, and what they are to be asked for and how often.
//
// One stream is one wanted thing: profile/ and a PayloadIdentifier, app/ and a bundle identifier, or inventory/ and a name;
// so no two things can want the same place on a device. It is put with a content, assigned to groups, and withdrawn.
package wanted

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
)

// Kind is the kind of the streams.
const Kind = "wanted"

// The kinds of wanted things, as their ids begin.
const (
	Profile   = "profile"
	App       = "app"
	Inventory = "inventory"
)

// Latest is the Version that follows the library: a new one there is wanted at once.
const Latest = "latest"

// What a thing may be at most.
const (
	maxID     = 255
	maxSteps  = 900 << 10 // bytes of JSON
	maxGroups = 1000
)

// minEvery is the shortest distance of two inventories.
const minEvery = 5 * time.Minute

// A Step is a command that brings a device there.
type Step struct {
	RequestType string
	Parameters  map[string]any `json:",omitempty"` // in JSON's shape
}

// A Content is what a thing is.
type Content struct {
	UUID     string          // PayloadUUID of a profile
	Version  string          // of the library's profile of that name: a number, or latest, which follows; empty if Steps say what it is
	Revision string          // that the library gave this version
	Every    time.Duration   // of an inventory
	Shown    json.RawMessage // for people, secrets masked
	Steps    []Step
}

// A Thing is a wanted thing as its events tell it.
type Thing struct {
	Revision  string // of Version, if it is latest: as it was when the thing was put
	Version   string // see Content
	Every     time.Duration
	Payload   json.RawMessage // its steps as they were put
	Steps     []Step
	Assigned  []Assignment // sorted
	Withdrawn bool
}

// An Assignment says who is to have a thing: the devices of a group, or their users.
type Assignment struct {
	Group string
	Users bool `json:",omitempty"`
	First bool `json:",omitempty"` // before all that is not first, and before Setup Assistant goes on
}

// A Put says that a thing is this from now on.
type Put struct {
	Revision string          // 64 hex digits that change with the content alone; who has no key learns nothing of it (a plain SHA-256 in old logs)
	Base     string          `json:",omitempty"` // of an app: the same for all of its configurations
	UUID     string          `json:",omitempty"`
	Version  string          `json:",omitempty"` // of the library's profile of that name, a number or latest; the content is there
	Every    time.Duration   `json:",omitempty"`
	Shown    json.RawMessage `seal:"personal" json:",omitempty"`
	Payload  json.RawMessage `seal:"secret" json:",omitempty"` // its steps
}

// An Assigned says that a group is to have the thing.
type Assigned struct{ Assignment Assignment }

// An Unassigned says that it is no longer to have it.
type Unassigned struct{ Assignment Assignment }

// A Withdrawn says that nobody is to have the thing any more.
type Withdrawn struct {
	Reason string `json:",omitempty"`
}

// EventType returns the stored name.
func (Put) EventType() string { return "wanted.put" }

// EventType returns the stored name.
func (Assigned) EventType() string { return "wanted.assigned" }

// EventType returns the stored name.
func (Unassigned) EventType() string { return "wanted.unassigned" }

// EventType returns the stored name.
func (Withdrawn) EventType() string { return "wanted.withdrawn" }

// Events lists every event of a wanted thing by its zero value.
func Events() []domain.Event { return []domain.Event{Put{}, Assigned{}, Unassigned{}, Withdrawn{}} }

// Split cuts an id into its kind and what it names.
func Split(id string) (kind, identifier string) {
	kind, identifier, _ = strings.Cut(id, "/")
	return kind, identifier
}

// CheckID refuses what cannot name a thing.
func CheckID(id string) error {
	kind, identifier := Split(id)
	odd := func(r rune) bool { return r < ' ' || r == 0x7f }
	if !slices.Contains([]string{Profile, App, Inventory}, kind) || identifier == "" || len(id) > maxID || strings.ContainsFunc(id, odd) {
		return domain.Refusef(domain.Invalid, "a wanted thing is named profile/, app/ or inventory/ and an identifier, together at most %d bytes", maxID)
	}
	return nil
}

// Put decides what follows when somebody gives the thing its content. The same content again is no news. stamp
// makes the revision of the content.
func (t Thing) Put(id string, c Content, stamp domain.Stamp) ([]domain.Event, error) {
	if err := CheckID(id); err != nil {
		return nil, err
	}
	text, err := json.Marshal(c.Steps)
	kind, _ := Split(id)
	switch {
	case c.Version != "" && kind == Profile:
		return t.putVersion(c), nil
	case err != nil || len(c.Steps) == 0:
		return nil, domain.Refusef(domain.Invalid, "a wanted thing has a content")
	case len(text) > maxSteps:
		return nil, domain.Refusef(domain.Invalid, "the content has at most %d bytes", maxSteps)
	case kind == Inventory && c.Every < minEvery:
		return nil, domain.Refusef(domain.Invalid, "an inventory is asked for every %d minutes at most", int(minEvery/time.Minute))
	}
	if t.exists() && t.Every == c.Every && bytes.Equal(t.Payload, text) {
		return nil, nil
	}
	base, err := baseOf(id, c, stamp)
	if err != nil {
		return nil, err
	}
	return []domain.Event{Put{Revision: stamp(c.Every.String(), string(text)), Base: base, UUID: c.UUID, Every: c.Every, Shown: c.Shown, Payload: text}}, nil
}

// putVersion wants a profile of the library. Of latest the library knows which it is.
func (t Thing) putVersion(c Content) []domain.Event {
	if t.exists() && t.Version == c.Version && (t.Revision == c.Revision || c.Version == Latest) {
		return nil
	}
	return []domain.Event{Put{Revision: c.Revision, UUID: c.UUID, Version: c.Version, Shown: c.Shown}}
}

// Assign decides what follows when a group is to have the thing.
func (t Thing) Assign(a Assignment) ([]domain.Event, error) {
	at, has := slices.BinarySearchFunc(t.Assigned, a, order)
	switch {
	case !t.exists():
		return nil, errUnknown()
	case a.Group == "":
		return nil, domain.Refusef(domain.Invalid, "an assignment names a group")
	case has && t.Assigned[at] == a:
		return nil, nil
	case !has && len(t.Assigned) >= maxGroups:
		return nil, domain.Refusef(domain.Conflict, "a thing is assigned to at most %d groups", maxGroups)
	}
	return []domain.Event{Assigned{a}}, nil
}

// Unassign decides what follows when a group is no longer to have the thing.
func (t Thing) Unassign(a Assignment) ([]domain.Event, error) {
	if !t.exists() {
		return nil, errUnknown()
	}
	at, has := slices.BinarySearchFunc(t.Assigned, a, order)
	if !has {
		return nil, nil
	}
	return []domain.Event{Unassigned{t.Assigned[at]}}, nil
}

// Withdraw decides what follows when nobody is to have the thing any more.
func (t Thing) Withdraw(reason string) ([]domain.Event, error) {
	if !t.exists() {
		return nil, errUnknown()
	}
	return []domain.Event{Withdrawn{reason}}, nil
}

func errUnknown() error {
	return domain.WithHint(domain.Refusef(domain.NotFound, "nothing of that name is wanted"), "wanted lists what is")
}

func (t Thing) exists() bool { return t.Revision != "" && !t.Withdrawn }

// order sorts assignments by whom they speak of.
func order(a, b Assignment) int {
	if c := cmp.Compare(a.Group, b.Group); c != 0 || a.Users == b.Users {
		return c
	}
	if b.Users {
		return -1
	}
	return 1
}

// Evolve returns the thing after e.
func (t Thing) Evolve(e domain.Event, _ time.Time) Thing {
	without := func(a Assignment) []Assignment {
		return slices.DeleteFunc(slices.Clone(t.Assigned), func(b Assignment) bool { return order(a, b) == 0 })
	}
	switch e := e.(type) {
	case Put:
		if t.Withdrawn {
			t = Thing{}
		}
		t.Revision, t.Version, t.Every, t.Payload, t.Steps = e.Revision, e.Version, e.Every, e.Payload, nil
		_ = json.Unmarshal(e.Payload, &t.Steps) // absent if its keys are
	case Assigned:
		t.Assigned = append(without(e.Assignment), e.Assignment)
		slices.SortFunc(t.Assigned, order)
	case Unassigned:
		t.Assigned = without(e.Assignment)
	case Withdrawn:
		return Thing{Withdrawn: true}
	}
	return t
}
