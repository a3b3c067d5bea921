package profile

import "github.com/rollcall-mdm/rollcall/domain"

// A Stored says that the library has another version of the profile from now on.
type Stored struct {
	Version     int       // from 1
	UUID        string    // its PayloadUUID
	Revision    string    // 64 hex digits that change with the content alone; who has no key learns nothing of it
	Types       []string  `json:",omitempty"` // of its payloads
	Variables   []string  `json:",omitempty"` // that are filled for each device
	Findings    []Finding `json:",omitempty"` // what was wrong by Apple's keys, as they were known; errors only if an administrator would have it so
	Signer      string    `json:",omitempty"` // SHA-256 of the certificate that it was signed with, hex
	Name        string    `seal:"personal" json:",omitempty"`
	Description string    `seal:"personal" json:",omitempty"`
	SignedBy    string    `seal:"personal" json:",omitempty"` // subject of that certificate
	Content     []byte    `seal:"secret" json:",omitempty"`   // byte by byte as it came
}

// A Withdrawn says that the library no longer offers the profile. Its history stays.
type Withdrawn struct {
	Reason string `json:",omitempty"`
}

// EventType returns the stored name.
func (Stored) EventType() string { return "profile.stored" }

// EventType returns the stored name.
func (Withdrawn) EventType() string { return "profile.withdrawn" }

// Events lists every event of a profile by its zero value.
func Events() []domain.Event { return []domain.Event{Stored{}, Withdrawn{}} }
