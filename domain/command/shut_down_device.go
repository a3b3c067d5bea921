package command

// A ShutDownDevice switches a device off.
//
// iOS 10.3, macOS 10.13. It needs the Device Lock and Passcode Removal right. It needs supervision on iOS. Source:
// Apple, ShutDownDeviceCommand.
type ShutDownDevice struct{}

// RequestType is ShutDownDevice.
func (ShutDownDevice) RequestType() string { return "ShutDownDevice" }
