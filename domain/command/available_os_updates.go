package command

// An AvailableOSUpdates asks which updates of the system a device could install. Declarations took its place.
//
// iOS 9, macOS 10.11, tvOS 12. It needs the App Management right on iOS and tvOS. It needs supervision on iOS and
// tvOS. It went with version 27. Source: Apple, AvailableOSUpdatesCommand.
type AvailableOSUpdates struct{}

// RequestType is AvailableOSUpdates.
func (AvailableOSUpdates) RequestType() string { return "AvailableOSUpdates" }
