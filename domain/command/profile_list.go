package command

// A ProfileList asks for the installed configuration profiles. In a User Enrolment the device tells of managed ones
// alone.
//
// iOS 4, macOS 10.7, tvOS 9, visionOS 1.1, watchOS 10. It needs the Profile and Certificate Inspection right. Source:
// Apple, ProfileListCommand.
type ProfileList struct {
	ManagedOnly bool `json:",omitempty"` // iOS 13, macOS 10.15, tvOS 13
}

// RequestType is ProfileList.
func (ProfileList) RequestType() string { return "ProfileList" }
