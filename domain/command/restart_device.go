package command

// A RestartDevice restarts a device. An iPhone or iPad with a passcode is not back on Wi-Fi until somebody unlocks it.
//
// iOS 10.3, macOS 10.13, tvOS 10.2. It needs the Device Lock and Passcode Removal right. It needs supervision on iOS
// and tvOS. Source: Apple, RestartDeviceCommand.
type RestartDevice struct {
	RebuildKernelCache bool     `json:",omitempty"` // macOS 11
	KextPaths          []string `json:",omitempty"` // macOS 11
	NotifyUser         bool     `json:",omitempty"` // macOS 11.4
}

// RequestType is RestartDevice.
func (RestartDevice) RequestType() string { return "RestartDevice" }
