package command

import (
	"strings"
	"sync"
)

// A secret is a place in JSON, and says what is secret there. Arrays are no places of their own; what holds for an
// element holds for a value that stands there alone.
type secret struct {
	cut        bool // what stands here is secret
	plain      bool // nothing is, at any depth
	suspected  bool // nobody knows; its name says so. true, false and null betray nothing
	members    map[string]*secret
	other      *secret             // any member; may be nil
	items      map[string]*secret  // dictionaries by their Item
	everywhere map[string]struct{} // names, in lower case, of members that are secret here and at any depth
}

var (
	cutting = &secret{cut: true}                  // the place of a secret
	suspect = &secret{cut: true, suspected: true} // of what is named like one
	foreign = &secret{}                           // of what the catalogue does not know
	nothing = &secret{plain: true}                // of what is known to hold none
)

// places returns what is known of a command's keys, and whether any of them is secret.
func places(lists ...[]Key) (root *secret, some bool) {
	root = &secret{}
	for _, keys := range lists {
		for _, k := range keys {
			if k.Type == "any" && strings.HasSuffix(k.Path, "*") {
				continue // whoever made the app chose the names
			}
			at := root
			for segment := range strings.SplitSeq(k.Path, ".") {
				at = at.add(segment)
			}
			at.cut = at.cut || k.Secret
			some = some || k.Secret
		}
	}
	return root, some
}

// add returns the place to which a segment of a path leads, new if need be.
func (s *secret) add(segment string) *secret {
	name, label, _ := strings.Cut(segment, "[")
	if name == "*" {
		if s.other == nil {
			s.other = &secret{}
		}
		return s.other
	}
	next := entry(&s.members, name)
	if label = strings.TrimSuffix(label, "]"); label != "" {
		next = entry(&next.items, label)
	}
	return next
}

func entry(places *map[string]*secret, name string) *secret {
	if *places == nil {
		*places = map[string]*secret{}
	}
	if (*places)[name] == nil {
		(*places)[name] = &secret{}
	}
	return (*places)[name]
}

// at returns the place of a member.
func (s *secret) at(name string) *secret {
	if next := s.members[name]; next != nil {
		return next
	}
	if s.other != nil {
		return s.other
	}
	_, cut := s.everywhere[strings.ToLower(name)]
	switch {
	case cut:
		return cutting
	case suspicious(name):
		return suspect
	case s.everywhere != nil:
		return s
	}
	return foreign
}

// profileKeys are keys of configuration profiles that are secret.
const profileKeys = "Password UserPassword AuthPassword XAuthPassword SharedSecret HTTPProxyPassword ProxyPassword " +
	"IncomingPassword OutgoingPassword CalDAVPassword CardDAVPassword SubCalAccountPassword LDAPAccountPassword " +
	"JabberPassword AIMPassword AutologinPassword RemovalPassword CertificatePassword Challenge ClientIdentifier " +
	"RegistrationToken"

// messageKeys are secret keys of messages that are no commands.
const messageKeys = "BootstrapToken UnlockToken DigestResponse DigestChallenge AuthToken TokenData SecurityToken"

// suspects returns the place for what is not in the catalogue: every name that is secret anywhere.
var suspects = sync.OnceValue(func() *secret {
	names := map[string]struct{}{}
	for _, name := range strings.Fields(profileKeys + " " + messageKeys) {
		names[strings.ToLower(name)] = struct{}{}
	}
	for _, s := range catalog() {
		for _, k := range append(append([]Key(nil), s.Request...), s.Response...) {
			if k.Secret {
				names[strings.ToLower(k.Path[strings.LastIndexByte(k.Path, '.')+1:])] = struct{}{}
			}
		}
	}
	return &secret{everywhere: names}
})
