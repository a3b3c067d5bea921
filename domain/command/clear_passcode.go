package command

// A ClearPasscode removes the passcode of a device. It is nothing for a device that is lost.
//
// iOS 4, visionOS 1.1, watchOS 10. It needs the Device Lock and Passcode Removal right. Source: Apple,
// ClearPasscodeCommand.
type ClearPasscode struct {
	UnlockToken []byte `json:",omitempty"` // the newest that the device gave; the server adds it if it is absent
}

// RequestType is ClearPasscode.
func (ClearPasscode) RequestType() string { return "ClearPasscode" }
