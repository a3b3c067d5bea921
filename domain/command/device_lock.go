package command

// A DeviceLock locks the screen at once. Message and PhoneNumber are shown on it, unless the device is a Shared iPad
// or has no passcode.
//
// iOS 4, macOS 10.7, visionOS 2, watchOS 10. It needs the Device Lock and Passcode Removal right. Source: Apple,
// DeviceLockCommand.
type DeviceLock struct {
	Message     string `json:",omitempty"` // iOS 7, macOS 10.14, watchOS
	PhoneNumber string `json:",omitempty"` // iOS 7, macOS 11.5, watchOS
	PIN         string `json:",omitempty"` // six characters; macOS 10.8
}

// RequestType is DeviceLock.
func (DeviceLock) RequestType() string { return "DeviceLock" }
