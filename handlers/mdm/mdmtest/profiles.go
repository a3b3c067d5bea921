package mdmtest

import (
	"errors"
	"fmt"
	mathrand "math/rand/v2"

	"github.com/smallstep/pkcs7"
	"howett.net/plist"
)

// A Profile is a configuration profile on a device.
type Profile struct {
	Identifier   string
	UUID         string
	DisplayName  string
	Organization string
	Description  string
	Version      int
	Locked       bool // PayloadRemovalDisallowed
	Managed      bool // it came over MDM, or it is the enrolment itself
	Payloads     []Payload
}

// A Payload is one part of a profile.
type Payload struct {
	Type        string `plist:"PayloadType"`
	Identifier  string `plist:"PayloadIdentifier"`
	UUID        string `plist:"PayloadUUID"`
	DisplayName string `plist:"PayloadDisplayName"`
	Version     int    `plist:"PayloadVersion"`
}

// EnrolmentProfile is the identifier of the profile that holds the MDM payload. Its removal ends management.
const EnrolmentProfile = "com.example.mdm.enrolment"

// newProfiles returns what a new device has: its enrolment, and what somebody installed by hand.
func newProfiles(p Platform, rng *mathrand.Rand) []Profile {
	profiles := []Profile{newProfile(rng, EnrolmentProfile, "Remote Management", true, "com.apple.mdm", "com.apple.security.scep")}
	if rng.IntN(3) == 0 {
		profiles = append(profiles, newProfile(rng, "com.example.guest-wifi", "Guest Wi-Fi", false, "com.apple.wifi.managed"))
	}
	if p == MacOS {
		profiles = append(profiles, newProfile(rng, "com.example.printers", "Printers", false, "com.apple.mcxprinting"))
	}
	return profiles
}

func newProfile(rng *mathrand.Rand, identifier, name string, managed bool, types ...string) Profile {
	p := Profile{
		Identifier: identifier, UUID: newUUID(rng), DisplayName: name, Organization: "Example Inc.",
		Description: name + " of Example Inc.", Version: 1, Managed: managed, Locked: managed,
	}
	for _, t := range types {
		id := newUUID(rng)
		p.Payloads = append(p.Payloads, Payload{t, identifier + "." + id, id, name, 1})
	}
	return p
}

// parseProfile reads what InstallProfile brings: a property list, plain or signed.
func parseProfile(data []byte) (Profile, error) {
	if signed, err := pkcs7.Parse(data); err == nil {
		data = signed.Content
	}
	var p struct {
		PayloadIdentifier, PayloadUUID, PayloadDisplayName, PayloadOrganization, PayloadDescription, PayloadType string
		PayloadVersion                                                                                           int
		PayloadRemovalDisallowed                                                                                 bool
		PayloadContent                                                                                           []Payload
	}
	if _, err := plist.Unmarshal(data, &p); err != nil {
		return Profile{}, fmt.Errorf("the profile is no property list: %w", err)
	}
	if p.PayloadIdentifier == "" || p.PayloadUUID == "" || p.PayloadType != "Configuration" {
		return Profile{}, errors.New("the profile lacks PayloadIdentifier, PayloadUUID or the type Configuration")
	}
	return Profile{
		p.PayloadIdentifier, p.PayloadUUID, p.PayloadDisplayName, p.PayloadOrganization, p.PayloadDescription,
		p.PayloadVersion, p.PayloadRemovalDisallowed, true, p.PayloadContent,
	}, nil
}

// listed returns the profile as ProfileList shows it.
func (p Profile) listed(platform Platform) dict {
	payloads := []dict{}
	for _, c := range p.Payloads {
		payloads = append(payloads, dict{
			"PayloadType": c.Type, "PayloadIdentifier": c.Identifier, "PayloadUUID": c.UUID,
			"PayloadDisplayName": c.DisplayName, "PayloadVersion": c.Version,
		})
	}
	d := dict{
		"PayloadIdentifier": p.Identifier, "PayloadUUID": p.UUID, "PayloadDisplayName": p.DisplayName,
		"PayloadOrganization": p.Organization, "PayloadDescription": p.Description, "PayloadVersion": p.Version,
		"PayloadRemovalDisallowed": p.Locked, "HasRemovalPasscode": false, "IsEncrypted": false, "PayloadContent": payloads,
	}
	if platform != MacOS {
		d["IsManaged"] = p.Managed
	}
	return d
}
