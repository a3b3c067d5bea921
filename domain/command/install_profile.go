package command

// An InstallProfile installs a configuration profile, or replaces the one with the same identifier.
//
// iOS 4, macOS 10.7, tvOS 9, visionOS 1.1, watchOS 10. It needs the Profile Installation and Removal right. Source:
// Apple, InstallProfileCommand.
type InstallProfile struct {
	Payload []byte // the profile: XML, signed or encrypted
}

// RequestType is InstallProfile.
func (InstallProfile) RequestType() string { return "InstallProfile" }
