package command

// An EraseDevice erases a device, even a locked one, without a warning. The device answers once and does not ask
// whether the answer arrived. Fetch the bypass code of Activation Lock before.
//
// iOS 4, macOS 10.7, tvOS 10.2, visionOS 1.1, watchOS 10. It needs the Device Erase right. Source: Apple,
// EraseDeviceCommand.
type EraseDevice struct {
	PreserveDataPlan       bool                        `json:",omitempty"` // iOS 11, watchOS
	DisallowProximitySetup bool                        `json:",omitempty"` // iOS 11.3
	PIN                    string                      `json:",omitempty"` // six characters; for Macs with neither T2 nor Apple silicon; macOS 10.8
	ObliterationBehavior   string                      `json:",omitempty"` // Default, DoNotObliterate, ObliterateWithWarning or Always; macOS 12
	ReturnToService        *EraseDeviceReturnToService `json:",omitempty"` // iOS 17, tvOS 18, visionOS 26
}

// RequestType is EraseDevice.
func (EraseDevice) RequestType() string { return "EraseDevice" }

// An EraseDeviceReturnToService lets a device enrol by itself after it was erased.
type EraseDeviceReturnToService struct {
	Enabled               bool
	WiFiProfileData       []byte `json:",omitempty"`
	MDMProfileData        []byte `json:",omitempty"`
	BootstrapToken        []byte `json:",omitempty"` // iOS 26, visionOS
	ShouldRetryEnrollment bool   `json:",omitempty"` // iOS 27
}
