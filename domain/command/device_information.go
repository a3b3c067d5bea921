package command

// A DeviceInformation asks a device what it is. What it may not tell, or does not know, is missing from the answer
// without an error.
//
// iOS 4, macOS 10.7, tvOS 9, visionOS 1.1, watchOS 10. It needs rights that depend on what is asked. Source: Apple,
// DeviceInformationCommand.
type DeviceInformation struct {
	Queries                []string
	DeviceAttestationNonce []byte `json:",omitempty"` // at most 32 bytes; iOS 16, macOS 14, tvOS 16
}

// RequestType is DeviceInformation.
func (DeviceInformation) RequestType() string { return "DeviceInformation" }
