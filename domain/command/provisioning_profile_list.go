package command

// A ProvisioningProfileList asks for the installed provisioning profiles.
//
// iOS 4, macOS 11, tvOS 10.2, visionOS 1.1, watchOS 10. It needs the Provisioning Profile Inspection right on iOS,
// tvOS, visionOS and watchOS. Source: Apple, ProvisioningProfileListCommand.
type ProvisioningProfileList struct {
	ManagedOnly bool `json:",omitempty"` // iOS 13, tvOS 13
}

// RequestType is ProvisioningProfileList.
func (ProvisioningProfileList) RequestType() string { return "ProvisioningProfileList" }
