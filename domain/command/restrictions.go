package command

// A Restrictions asks which restrictions are in force. A Mac's answer is empty.
//
// iOS 4, tvOS 9, visionOS 1.1, watchOS 10. It needs the Restriction Inspection right. Source: Apple,
// RestrictionsCommand.
type Restrictions struct {
	ProfileRestrictions bool `json:",omitempty"`
}

// RequestType is Restrictions.
func (Restrictions) RequestType() string { return "Restrictions" }
