// Package profile decides what Apple's configuration profiles say, and keeps a library of them.
//
// A Kept is a profile of the library: an aggregate, one stream for each PayloadIdentifier, with all the versions that it
// ever had. What is put there is held to Apple's keys by Lint; its variables are filled for each device by Fill.
//
// An Enrolment is what brings a device under management: a value from which Profile makes the property list, with trust
// roots, one identity and one MDM payload, and nothing else. CheckEnrolment holds any such list to Apple's rules, and
// CheckReplacement one that is to take the place of the one that a device has. A Service is the first step of the over-the-air road, and
// OnlyIdentity the second.
//
// Nothing is signed, encrypted or written here: a Values goes to handlers/plist, and what comes of it to handlers/cms.
package profile

import (
	"maps"

	"github.com/rollcall-mdm/rollcall/domain"
)

// Values are a property list's dictionary: []byte for data, time.Time for a date, int, bool, string, []any and
// map[string]any.
type Values = map[string]any

// Apple's payload types that this package makes or looks for.
const (
	TypeMDM    = "com.apple.mdm"
	TypeSCEP   = "com.apple.security.scep"
	TypeACME   = "com.apple.security.acme"
	TypePKCS12 = "com.apple.security.pkcs12"
	TypeRoot   = "com.apple.security.root"

	typeConfiguration = "Configuration"
	typeService       = "Profile Service"
)

// MediaType is the Content-Type of a profile, signed or not. Source: Apple.
const MediaType = "application/x-apple-aspen-config"

// A Head names a profile to devices and their users.
type Head struct {
	Server       string // the server's URL: no two servers make the same UUIDs
	Identifier   string // PayloadIdentifier, in reverse DNS. A profile of the same identifier takes the place of the old one
	DisplayName  string
	Description  string // may be empty
	Organization string // may be empty

	// Stamp makes the UUIDs of contents, so that whoever sees one in a list of profiles cannot try what a challenge or a
	// password in the content might be. Without it they follow from the content alone.
	Stamp domain.Stamp
}

// profile returns a profile of these payloads. Its UUID follows from all it says: the same content has the same UUID,
// for a Mac takes another UUID for another profile.
func (h Head) profile(payloadType string, content any) Values {
	v := h.payload(payloadType, "", Values{"PayloadContent": content})
	put(v, "PayloadDisplayName", h.DisplayName)
	put(v, "PayloadDescription", h.Description)
	put(v, "PayloadOrganization", h.Organization)
	v["PayloadScope"] = "System"
	v["PayloadUUID"] = h.uuid(v)
	return v
}

// payload returns a payload: what all have, and its own keys. The name tells it apart from its siblings.
func (h Head) payload(payloadType, name string, keys Values) Values {
	v := maps.Clone(keys)
	v["PayloadType"], v["PayloadVersion"] = payloadType, 1
	v["PayloadIdentifier"] = h.Identifier
	if name != "" {
		v["PayloadIdentifier"] = h.Identifier + "." + name
	}
	v["PayloadUUID"] = h.uuid(v)
	return v
}

// put sets a key unless its value is empty.
func put[T comparable](v Values, key string, value T) {
	var none T
	if value != none {
		v[key] = value
	}
}
