package device

// A Thing is what a command's payload brings to a device, as far as whoever made the order could read it.
type Thing struct {
	Identifier   string   `json:",omitempty"` // PayloadIdentifier of a profile; UUID of a provisioning profile
	UUID         string   `json:",omitempty"` // PayloadUUID: ProfileList tells it again
	Name         string   `json:",omitempty"` // for people
	Revision     string   `json:",omitempty"` // SHA-256 of the payload, hex
	Locked       bool     `json:",omitempty"` // PayloadRemovalDisallowed: the user cannot remove it
	Certificates []string `json:",omitempty"` // SHA-256 of the DER of those in it, hex
}
