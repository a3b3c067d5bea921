package profile

import (
	_ "embed"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/rollcall-mdm/rollcall/domain/command"
)

//go:embed payloads.txt
var payloadsText string

// The names under which payloads.txt tells of the profile itself, and of what all payloads have.
const (
	topLevel = "TopLevel"
	common   = "CommonPayloadKeys"
)

// A payloadType is what Apple says about one type of payload.
type payloadType struct {
	single  bool // a profile has one of them at most
	support []command.Support
	keys    *key // the dictionary
}

// A key is what a value must look like.
type key struct {
	command.Key
	pattern *regexp.Regexp
	members map[string]*key // of a dictionary
	other   *key            // of its members that have names of their own; may be nil
	element *key            // of an array; may be nil
}

// table returns the types of payloads.txt. A fault in it is a programmer's slip, and panics.
var table = sync.OnceValue(func() map[string]payloadType {
	specs, err := command.ReadTable(payloadsText)
	if err != nil {
		panic(err)
	}
	all := make(map[string]payloadType, len(specs))
	for _, s := range specs {
		t := payloadType{single: s.Group == "single", support: s.Support, keys: &key{Key: command.Key{Type: "dict"}}}
		for _, k := range s.Request {
			t.keys.add(k)
		}
		all[s.Type] = t
	}
	for name, t := range all {
		if name == topLevel || name == common {
			continue
		}
		for member, k := range all[common].keys.members {
			if t.keys.members[member] == nil {
				t.keys.child(member).Key, t.keys.child(member).pattern = k.Key, k.pattern
			}
		}
	}
	return all
})

// Types lists the types of payloads whose keys are known.
func Types() []string {
	names := slices.Sorted(maps.Keys(table()))
	return slices.DeleteFunc(names, func(n string) bool { return n == topLevel || n == common })
}

// add puts one key of the table where its path says.
func (k *key) add(spec command.Key) {
	at := k
	for segment := range strings.SplitSeq(spec.Path, ".") {
		name, elements, _ := strings.Cut(segment, "[")
		if name != "" {
			at = at.child(strings.ReplaceAll(name, "~", "."))
		}
		for range strings.Count(elements, "]") {
			if at.element == nil {
				at.element = &key{Key: command.Key{Type: "dict"}}
			}
			at = at.element
		}
	}
	at.Key = spec
	if spec.Pattern != "" {
		at.pattern = regexp.MustCompile(spec.Pattern)
	}
}

func (k *key) child(name string) *key {
	if name == "*" {
		if k.other == nil {
			k.other = &key{Key: command.Key{Type: "dict"}}
		}
		return k.other
	}
	if k.members == nil {
		k.members = map[string]*key{}
	}
	if k.members[name] == nil {
		k.members[name] = &key{Key: command.Key{Type: "dict"}}
	}
	return k.members[name]
}

// free reports whether a dictionary or an array may hold anything.
func (k *key) free() bool { return k.members == nil && k.other == nil && k.element == nil }

// demanded reports whether a dictionary must have the key. One that does not exist on some platform is not demanded, for whom
// the profile is for is not known.
func (k *key) demanded() bool {
	return k.Required && !slices.ContainsFunc(k.Limits, func(l command.Support) bool { return l.Absent })
}

// absent reports whether something does not exist on a platform.
func absent(limits []command.Support, p command.Platform) bool {
	for _, l := range limits {
		if l.Platform == p {
			return l.Absent
		}
	}
	return false
}
