package command

// A DeclarativeManagement switches declarative management on, which cannot be undone, and tells the device to
// synchronise.
//
// iOS 15, macOS 13, tvOS 16, visionOS 1.1, watchOS 10. Source: Apple, DeclarativeManagementCommand.
type DeclarativeManagement struct {
	Data []byte `json:",omitempty"` // JSON with SyncTokens, or none
}

// RequestType is DeclarativeManagement.
func (DeclarativeManagement) RequestType() string { return "DeclarativeManagement" }
