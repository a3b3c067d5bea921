package command

// An InstalledApplicationList asks for the installed apps. Name only the Items that are needed: some are costly for
// the device; Identifier always comes.
//
// iOS 5, macOS 10.7, tvOS 10.2, visionOS 1.1, watchOS 10. It needs the App Inspection right. Source: Apple,
// InstalledApplicationListCommand.
type InstalledApplicationList struct {
	Identifiers     []string `json:",omitempty"` // iOS 7, macOS 10.15
	ManagedAppsOnly bool     `json:",omitempty"` // iOS 7, macOS 10.15
	Items           []string `json:",omitempty"` // iOS 14, tvOS 14, visionOS, watchOS
}

// RequestType is InstalledApplicationList.
func (InstalledApplicationList) RequestType() string { return "InstalledApplicationList" }
