package command

// A RemoveApplication removes a managed app with its data.
//
// iOS 5, macOS 11, tvOS 10.2, visionOS 1.1, watchOS 10. It needs the App Management right. Source: Apple,
// RemoveApplicationCommand.
type RemoveApplication struct {
	Identifier string
}

// RequestType is RemoveApplication.
func (RemoveApplication) RequestType() string { return "RemoveApplication" }
