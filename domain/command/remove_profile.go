package command

// A RemoveProfile removes a profile that this server installed. That of the enrolment profile ends the enrolment.
//
// iOS 4, macOS 10.7, tvOS 9, visionOS 1.1, watchOS 10. It needs the Profile Installation and Removal right. Source:
// Apple, RemoveProfileCommand.
type RemoveProfile struct {
	Identifier string // its PayloadIdentifier
}

// RequestType is RemoveProfile.
func (RemoveProfile) RequestType() string { return "RemoveProfile" }
