package command

// A SecurityInfo asks how a device is secured: passcode, encryption, firewall, secure boot, kind of enrolment.
//
// iOS 4, macOS 10.7, tvOS 9, visionOS 1.1, watchOS 10. It needs the Security Inspection right. Source: Apple,
// SecurityInfoCommand.
type SecurityInfo struct{}

// RequestType is SecurityInfo.
func (SecurityInfo) RequestType() string { return "SecurityInfo" }
