package command

// A DeviceConfigured lets Setup Assistant go on, on a device that awaits its configuration. Without it the device
// stays where it is.
//
// iOS 9, macOS 10.11, tvOS 10.2, visionOS 2. It needs supervision on iOS, tvOS and visionOS. It needs Automated Device
// Enrolment on iOS, macOS and visionOS. Source: Apple, DeviceConfiguredCommand.
type DeviceConfigured struct{}

// RequestType is DeviceConfigured.
func (DeviceConfigured) RequestType() string { return "DeviceConfigured" }
