package profile

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
)

// Kind is the kind of the streams of the library. A stream's id is the profile's PayloadIdentifier.
const Kind = "profile"

// What a profile of the library may be at most.
const (
	maxIdentifier = 200
	maxContent    = 600 << 10 // bytes: with its event it fits into one append of any log
	maxFindings   = 100
)

// Latest names the newest version of a profile, whichever it is.
const Latest = "latest"

// A Kept is a profile of the library as its events tell it.
type Kept struct {
	Versions  []Version // all there ever were, from the first
	Withdrawn bool
}

// A Version is one content of a profile.
type Version struct {
	Number    int // from 1
	UUID      string
	Revision  string
	Name      string
	Variables []string
	Content   []byte // as it was put; empty if its keys are gone
}

// A Draft is what somebody wants to put into the library.
type Draft struct {
	Values   Values // what the content says
	Content  []byte
	Signer   string // SHA-256 of its signer's certificate, hex; empty if it is not signed
	SignedBy string
}

// Store decides what follows when somebody puts a profile into the library. The content of the newest version again is no
// news. What Apple's keys have against it is refused, unless force is given.
func (k Kept) Store(d Draft, force bool, stamp domain.Stamp) ([]domain.Event, error) {
	if err := d.check(); err != nil {
		return nil, err
	}
	variables, err := VariablesOf(d.Values)
	if err != nil {
		return nil, err
	}
	latest, any := k.latest()
	if any && !k.Withdrawn && bytes.Equal(latest.Content, d.Content) {
		return nil, nil
	}
	found := Lint(d.Values)
	uuid := text(d.Values, "PayloadUUID")
	if any && latest.UUID == uuid && !bytes.Equal(latest.Content, d.Content) {
		found = append(found, Finding{Path: "PayloadUUID", Text: "is that of version " + strconv.Itoa(latest.Number) +
			": another content needs another one, or nobody can tell which of them a device has"})
	}
	if wrong := Errors(found); len(wrong) > 0 && !force {
		return nil, refusal(wrong)
	}
	revision := stamp(string(d.Content))
	return []domain.Event{Stored{
		Version: latest.Number + 1, UUID: uuid, Revision: revision, Types: d.types(), Variables: variables, Findings: found[:min(len(found), maxFindings)],
		Signer: d.Signer, Name: text(d.Values, "PayloadDisplayName"), Description: text(d.Values, "PayloadDescription"), SignedBy: d.SignedBy, Content: d.Content,
	}}, nil
}

// refusal says what is wrong, the first things in full.
func refusal(wrong []Finding) error {
	var said []string
	for _, f := range wrong[:min(len(wrong), 5)] {
		said = append(said, f.String())
	}
	text := strings.Join(said, "; ")
	if more := len(wrong) - 5; more > 0 {
		text += "; and " + strconv.Itoa(more) + " more"
	}
	return domain.WithHint(invalid("%s", text), "mend it; an administrator may store it all the same with force: true")
}

// check refuses what is no profile for the library, however much somebody wants it there.
func (d Draft) check() error {
	identifier := text(d.Values, "PayloadIdentifier")
	odd := func(r rune) bool { return r < ' ' || r == 0x7f }
	switch {
	case text(d.Values, "PayloadType") != typeConfiguration:
		return invalid("a profile has the PayloadType Configuration")
	case identifier == "" || len(identifier) > maxIdentifier || strings.ContainsFunc(identifier, odd):
		return invalid("a profile has a PayloadIdentifier of 1 to %d bytes", maxIdentifier)
	case text(d.Values, "PayloadUUID") == "":
		return invalid("a profile has a PayloadUUID")
	case len(d.Content) == 0 || len(d.Content) > maxContent:
		return domain.WithHint(invalid("a profile of the library has at most %d bytes", maxContent), "make several of it: small ones can be changed one by one")
	case slices.Contains(d.types(), TypeMDM):
		return domain.WithHint(invalid("an enrolment profile is made by the server, and is not kept in the library"), "devices get it when they enrol")
	}
	return nil
}

// types lists the types of the payloads, sorted, each once.
func (d Draft) types() (names []string) {
	content, _ := d.Values["PayloadContent"].([]any)
	for _, one := range content {
		v, _ := one.(map[string]any)
		if name := text(v, "PayloadType"); name != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Withdraw decides what follows when the library is no longer to offer the profile.
func (k Kept) Withdraw(reason string) ([]domain.Event, error) {
	if !k.exists() {
		return nil, errUnknown()
	}
	return []domain.Event{Withdrawn{reason}}, nil
}

// Version returns one version of a profile that is offered: a number, or Latest.
func (k Kept) Version(which string) (Version, error) {
	if !k.exists() {
		return Version{}, errUnknown()
	}
	latest, _ := k.latest()
	if which == "" || which == Latest {
		return latest, nil
	}
	n, err := strconv.Atoi(which)
	if err != nil || n < 1 || n > len(k.Versions) {
		return Version{}, domain.WithHint(domain.Refusef(domain.NotFound, "the library has no such version of the profile"),
			"it has 1 to "+strconv.Itoa(len(k.Versions))+", or latest")
	}
	return k.Versions[n-1], nil
}

func errUnknown() error {
	return domain.WithHint(domain.Refusef(domain.NotFound, "the library has no profile of that name"), "profiles lists those that it has, putProfile adds one")
}

func (k Kept) exists() bool { return len(k.Versions) > 0 && !k.Withdrawn }

func (k Kept) latest() (v Version, any bool) {
	if len(k.Versions) == 0 {
		return v, false
	}
	return k.Versions[len(k.Versions)-1], true
}

// Evolve returns the profile after e.
func (k Kept) Evolve(e domain.Event, _ time.Time) Kept {
	switch e := e.(type) {
	case Stored:
		v := Version{e.Version, e.UUID, e.Revision, e.Name, e.Variables, e.Content}
		return Kept{Versions: append(slices.Clip(k.Versions), v)}
	case Withdrawn:
		k.Withdrawn = true
	}
	return k
}

// Size estimates how much memory a profile takes, in bytes.
func Size(k Kept) int {
	n := 200
	for _, v := range k.Versions {
		n += len(v.Content) + 500
	}
	return n
}
