package command

import (
	"regexp"
	"strings"
)

// A shape is what a value must look like: the keys of a command as a tree.
type shape struct {
	Key
	pattern *regexp.Regexp    // of Key.Pattern; may be nil
	names   []string          // of members, in Apple's order
	members map[string]*shape // of a dictionary
	other   *shape            // of a dictionary's members with names of their own; may be nil
	element *shape            // of an array; may be nil
	items   map[string]*shape // of an array whose elements are told apart by Item
	labels  []string          // of items, in Apple's order
}

// shapeOf returns the tree of some keys.
func shapeOf(keys []Key) *shape {
	root := &shape{Key: Key{Type: "dict"}}
	for _, k := range keys {
		at := root
		for segment := range strings.SplitSeq(k.Path, ".") {
			at = at.below(segment)
		}
		at.Key = k
		if k.Pattern != "" {
			at.pattern = regexp.MustCompile(k.Pattern)
		}
	}
	return root
}

// below returns what a segment of a path leads to from s: Name, Name[], Name[Label] or *.
func (s *shape) below(segment string) *shape {
	name, label, indexed := strings.Cut(segment, "[")
	next := s.member(name)
	for ; indexed; _, label, indexed = strings.Cut(label, "[") {
		next = next.item(strings.TrimSuffix(label, "]"))
	}
	return next
}

func (s *shape) member(name string) *shape {
	if name == "*" {
		if s.other == nil {
			s.other = &shape{Key: Key{Type: "dict"}}
		}
		return s.other
	}
	if s.members[name] == nil {
		if s.members == nil {
			s.members = map[string]*shape{}
		}
		s.members[name] = &shape{Key: Key{Type: "dict"}}
		s.names = append(s.names, name)
	}
	return s.members[name]
}

func (s *shape) item(label string) *shape {
	if label == "" {
		if s.element == nil {
			s.element = &shape{Key: Key{Type: "dict"}}
		}
		return s.element
	}
	if s.items[label] == nil {
		if s.items == nil {
			s.items = map[string]*shape{}
		}
		s.items[label] = &shape{Key: Key{Type: "dict"}}
		s.labels = append(s.labels, label)
	}
	return s.items[label]
}

// free reports whether a dictionary or an array may hold anything.
func (s *shape) free() bool {
	return s.members == nil && s.element == nil && s.items == nil && (s.other == nil || s.other.Type == "any")
}

// demanded reports whether a parent must have the key. One that Apple requires on some platforms alone is not
// demanded, for Check knows of no platform.
func (s *shape) demanded() bool {
	for _, l := range s.Limits {
		if l.Absent {
			return false
		}
	}
	return s.Required
}
