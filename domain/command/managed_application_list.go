package command

// A ManagedApplicationList asks how the managed apps are. A device tells of a failed installation once and then
// forgets it.
//
// iOS 5, macOS 11, tvOS 10.2, visionOS 1.1, watchOS 10. It needs the App Management right. Source: Apple,
// ManagedApplicationListCommand.
type ManagedApplicationList struct {
	Identifiers []string `json:",omitempty"` // iOS 7
}

// RequestType is ManagedApplicationList.
func (ManagedApplicationList) RequestType() string { return "ManagedApplicationList" }
