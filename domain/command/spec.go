package command

import (
	"slices"
	"strings"
)

// A Spec says what Apple says about one command.
type Spec struct {
	Type        string // its RequestType
	Group       string // inspection, profiles, apps, media, security, settings, updates, users, power-remote, diagnostics
	Destructive bool   // it changes or destroys what a user can see
	Support     []Support
	Needs       []Need
	Request     []Key // what stands beside RequestType
	Response    []Key // what a result holds at its top level
	Errors      []int // error codes that are this command's own

	takes  *shape  // Request as a tree
	places *secret // keys of Request and Response, and which of them are secret
	secret bool    // whether any is
}

// Support says what a command, a key or a value asks for on one platform. For a key or value it tells only what
// differs from the command or the key around it.
type Support struct {
	Platform        Platform
	Absent          bool   // a key or a value does not exist here
	Introduced      string // the first version
	Deprecated      string // since this version; empty if not
	Removed         string // gone in this version; empty if not
	Rights          int    // the access rights it needs, as Apple's bits; 0 if none, or none are stated
	RightsPerQuery  bool   // the rights depend on what is queried
	Supervised      bool
	SupervisedLater bool     // macOS: newer pages ask for supervision, which a Mac's enrolment brings since macOS 11
	Automated       bool     // enrolled by Automated Device Enrolment
	UserApproved    bool     // macOS: a user approved the enrolment
	Channels        []string // of commands on macOS alone: device, user
	SharedIPad      string   // allowed, required, forbidden or ignored; empty if not stated
	SharedChannels  []string // of a Shared iPad: device, user
	UserEnrolment   string   // allowed, required, forbidden or ignored; empty if not stated
	Enrolments      []string // of declarations: supervised, device (not supervised), user, local; any will do; all if empty
}

// A Need says that some keys belong together.
type Need struct {
	Exactly bool // one of them and no more; otherwise one or more
	Keys    []string
}

// A Key is one key that a command takes or gives.
type Key struct {
	Path     string  // with . for members, [] for elements, [Label] for one of several shapes, * for any key
	Type     string  // string, integer, real, boolean, data, date, array, dict, any
	Required bool    // if its parent is there
	Secret   bool    // it goes to the sealed part of the log alone
	Shape    bool    // it is one of several shapes of an element, told apart by Item
	Allowed  []Value // all values, if there are only some
	Min, Max *float64
	Pattern  string // a regular expression
	Default  string // what Apple takes when the key is absent, as text
	Limits   []Support
}

// A Value is one that a key may have.
type Value struct {
	Text   string
	Limits []Support
}

// Catalog returns all commands that are known, sorted by type. It must not be changed.
func Catalog() []Spec { return catalog() }

// Lookup returns the command of that type. Apple's spelling counts.
func Lookup(requestType string) (*Spec, bool) {
	all := catalog()
	i, found := slices.BinarySearchFunc(all, requestType, func(s Spec, t string) int { return strings.Compare(s.Type, t) })
	if !found {
		return nil, false
	}
	return &all[i], true
}

// On returns what the command asks for on a platform, and whether it exists there at all.
func (s *Spec) On(p Platform) (Support, bool) { return on(s.Support, p) }

func on(all []Support, p Platform) (Support, bool) {
	for _, support := range all {
		if support.Platform == p {
			return support, true
		}
	}
	return Support{}, false
}
