// Package declaration decides what devices are told to be: Apple's declarative device management.
//
// One stream is one declaration. It is put with a type and a payload, assigned to groups, and withdrawn. A Set is what
// one channel of one device is to have: the declarations that are assigned to its groups, what Rollcall adds so that
// they work, and the tokens by which a device knows whether anything has changed. Source: Apple, "Leveraging the
// declarative management data model to scale devices".
package declaration

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
)

// Kind is the kind of the streams. A stream's id is the declaration's Identifier.
const Kind = "declaration"

// What a declaration may be at most.
const (
	maxIdentifier = 64        // octets, as Apple has it
	maxPayload    = 256 << 10 // bytes of JSON
	maxGroups     = 1000
)

// Own is how the identifiers of those declarations begin that Rollcall adds to a set by itself.
const Own = "rollcall."

// A Declaration is a declaration as its events tell it.
type Declaration struct {
	Type        string
	ServerToken string
	Payload     json.RawMessage
	Data        []byte       // that the server gives out for it
	Assigned    []Assignment // sorted
	Withdrawn   bool
}

// An Assignment says who is to have a declaration: the devices of a group, or the users of these devices.
type Assignment struct {
	Group string
	Users bool `json:",omitempty"`
}

// A Put says that a declaration is this from now on.
type Put struct {
	Type        string
	ServerToken string          // 64 hex digits that change with type and payload alone; who has no key learns nothing of these (a plain SHA-256 in old logs)
	Unchecked   string          `json:",omitempty"`                 // what Apple's keys would have refused of it; an administrator put it all the same
	Activates   []string        `json:",omitempty"`                 // the configurations that an activation names
	Shown       json.RawMessage `seal:"personal" json:",omitempty"` // the payload for people, its secrets masked
	Payload     json.RawMessage `seal:"secret" json:",omitempty"`
	Data        []byte          `seal:"secret" json:",omitempty"` // that the server itself gives out for it: the payload refers to them
}

// An Assigned says that a group's devices, or their users, are to have the declaration.
type Assigned struct{ Assignment Assignment }

// An Unassigned says that they are no longer to have it.
type Unassigned struct{ Assignment Assignment }

// A Withdrawn says that nobody is to have the declaration any more.
type Withdrawn struct {
	Reason string `json:",omitempty"`
}

// EventType returns the stored name.
func (Put) EventType() string { return "declaration.put" }

// EventType returns the stored name.
func (Assigned) EventType() string { return "declaration.assigned" }

// EventType returns the stored name.
func (Unassigned) EventType() string { return "declaration.unassigned" }

// EventType returns the stored name.
func (Withdrawn) EventType() string { return "declaration.withdrawn" }

// Events lists every event of a declaration by its zero value.
func Events() []domain.Event {
	return []domain.Event{Put{}, Assigned{}, Unassigned{}, Withdrawn{}}
}

// CheckIdentifier refuses what cannot name a declaration. Devices ask for it in a path, so it has no slash.
func CheckIdentifier(id string) error {
	odd := func(r rune) bool { return r == '/' || r < ' ' || r == 0x7f }
	switch {
	case id == "" || len(id) > maxIdentifier || strings.ContainsFunc(id, odd):
		return domain.Refusef(domain.Invalid, "a declaration's Identifier has 1 to %d bytes, and no slash", maxIdentifier)
	case strings.HasPrefix(id, Own):
		return domain.Refusef(domain.Invalid, "identifiers that begin with %s are the server's own", Own)
	}
	return nil
}

// KindOf returns the kind of a declaration by its type: activation, asset, configuration or management; empty if Apple
// has no such kind.
func KindOf(declarationType string) string {
	rest, apples := strings.CutPrefix(declarationType, "com.apple.")
	kind, name, _ := strings.Cut(rest, ".")
	if !apples || name == "" || !slices.Contains(Kinds(), kind) {
		return ""
	}
	return kind
}

// Kinds lists the kinds of declarations as endpoints name them.
func Kinds() []string { return []string{"activation", "asset", "configuration", "management"} }

// Put decides what follows when somebody gives a declaration its content. The same content again is no news; another
// type under the same identifier is refused, for devices would take it for a change of the old one.
//
// The payload is checked against Apple's keys; unchecked takes it all the same, and says what was wrong. stamp makes the
// token of the content.
func (d Declaration) Put(declarationType string, payload json.RawMessage, unchecked bool, stamp domain.Stamp) ([]domain.Event, error) {
	if _, here := refersTo(payload); here {
		return nil, domain.WithHint(domain.Refusef(domain.Invalid, "addresses that begin with %s are the server's own", kept), "putDeclarationData gives a declaration data that the server gives out")
	}
	return d.put(declarationType, payload, nil, unchecked, stamp)
}

func (d Declaration) put(declarationType string, payload json.RawMessage, data []byte, unchecked bool, stamp domain.Stamp) ([]domain.Event, error) {
	if KindOf(declarationType) == "" {
		return nil, domain.WithHint(domain.Refusef(domain.Invalid, "%.100q is no type of declaration", declarationType),
			"types look like com.apple.configuration.passcode.settings")
	}
	content, err := canonical(payload)
	switch {
	case err != nil:
		return nil, err
	case len(content) > maxPayload:
		return nil, domain.Refusef(domain.Invalid, "a payload has at most %d bytes", maxPayload)
	case d.exists() && d.Type != declarationType:
		return nil, domain.WithHint(domain.Refusef(domain.Conflict, "the declaration is a %s", d.Type), "withdraw it first, or take another identifier")
	}
	if d.exists() && bytes.Equal(d.Payload, content) {
		return nil, nil
	}
	against := ""
	if refusal, refused := domain.Refused(Check(declarationType, content)); refused {
		if !unchecked {
			return nil, domain.WithHint(refusal, or(refusal.Hint, "mend it")+"; an administrator may put it all the same with unchecked: true")
		}
		against = refusal.Text
	}
	shown, activates, err := forPeople(declarationType, content)
	if err != nil {
		return nil, err
	}
	return []domain.Event{Put{declarationType, stamp(declarationType, string(content)), against, activates, shown, content, data}}, nil
}

// Assign decides what follows when a group is to have the declaration.
func (d Declaration) Assign(a Assignment) ([]domain.Event, error) {
	_, has := slices.BinarySearchFunc(d.Assigned, a, order)
	switch {
	case !d.exists():
		return nil, errUnknown()
	case a.Group == "":
		return nil, domain.Refusef(domain.Invalid, "an assignment names a group")
	case has:
		return nil, nil
	case len(d.Assigned) >= maxGroups:
		return nil, domain.Refusef(domain.Conflict, "a declaration is assigned to at most %d groups", maxGroups)
	}
	return []domain.Event{Assigned{a}}, nil
}

// Unassign decides what follows when a group is no longer to have the declaration.
func (d Declaration) Unassign(a Assignment) ([]domain.Event, error) {
	if !d.exists() {
		return nil, errUnknown()
	}
	if _, has := slices.BinarySearchFunc(d.Assigned, a, order); !has {
		return nil, nil
	}
	return []domain.Event{Unassigned{a}}, nil
}

// Withdraw decides what follows when nobody is to have the declaration any more.
func (d Declaration) Withdraw(reason string) ([]domain.Event, error) {
	if !d.exists() {
		return nil, errUnknown()
	}
	return []domain.Event{Withdrawn{reason}}, nil
}

func errUnknown() error { return domain.Refusef(domain.NotFound, "there is no such declaration") }

func (d Declaration) exists() bool { return d.Type != "" && !d.Withdrawn }

func order(a, b Assignment) int {
	if c := cmp.Compare(a.Group, b.Group); c != 0 || a.Users == b.Users {
		return c
	}
	if b.Users {
		return -1
	}
	return 1
}

// Evolve returns the declaration after e.
func (d Declaration) Evolve(e domain.Event, _ time.Time) Declaration {
	switch e := e.(type) {
	case Put:
		if d.Withdrawn {
			d = Declaration{}
		}
		d.Type, d.ServerToken, d.Payload, d.Data = e.Type, e.ServerToken, e.Payload, e.Data
	case Assigned:
		d.Assigned = slices.Concat(d.Assigned, []Assignment{e.Assignment})
		slices.SortFunc(d.Assigned, order)
	case Unassigned:
		d.Assigned = slices.DeleteFunc(slices.Clone(d.Assigned), func(a Assignment) bool { return a == e.Assignment })
	case Withdrawn:
		return Declaration{Withdrawn: true}
	}
	return d
}
