package command

// A WallpaperSetting sets the picture behind the icons. iOS 8. Supervised on iOS.
type WallpaperSetting struct {
	Image []byte
	Where int64 // 1 lock screen, 2 home screen, 3 both
}

// A DataRoamingSetting switches data roaming. iOS 5.
type DataRoamingSetting struct {
	Enabled bool
}

// A VoiceRoamingSetting switches voice roaming; not every carrier has it. iOS 5.
type VoiceRoamingSetting struct {
	Enabled bool
}

// A PersonalHotspotSetting switches the personal hotspot. iOS 5.
type PersonalHotspotSetting struct {
	Enabled bool
}

// A BluetoothSetting switches Bluetooth. iOS 11.3, macOS 10.13.4. Supervised on iOS.
type BluetoothSetting struct {
	Enabled bool
}

// An ApplicationConfigurationSetting gives a managed app its configuration. iOS 7, macOS 10.15, tvOS 10.2, visionOS
// 1.1, watchOS 10.
type ApplicationConfigurationSetting struct {
	Identifier    string
	Configuration map[string]any `json:",omitempty"` // nil removes it
}

// An ApplicationAttributesSetting gives a managed app its attributes. iOS 7, tvOS 10.2, visionOS 1.1, watchOS 10.
type ApplicationAttributesSetting struct {
	Identifier string
	Attributes *AppAttributes `json:",omitempty"` // nil removes them
}

// A DeviceNameSetting names the device. iOS 5, macOS 10.10, tvOS 9, visionOS 2. Supervised on iOS and visionOS.
type DeviceNameSetting struct {
	DeviceName string
}

// A HostNameSetting gives a Mac its host name. macOS 10.11.
type HostNameSetting struct {
	HostName string
}

// An OrganizationInfoSetting tells the device who manages it. iOS 5, macOS 10.9, tvOS 9, visionOS 1.1, watchOS 10.
type OrganizationInfoSetting struct {
	OrganizationInfo *OrganizationInfo `json:",omitempty"` // nil removes it
}

// A DefaultApplicationsSetting chooses the apps that open links, calls and messages. iOS 18.2, visionOS 2.2.
type DefaultApplicationsSetting struct {
	WebBrowser string `json:",omitempty"`
	Calling    string `json:",omitempty"` // iOS 26
	Messaging  string `json:",omitempty"` // iOS 26
}

// An MDMOptionsSetting sets options of the enrolment. iOS 7, macOS 10.15, visionOS 2.
type MDMOptionsSetting struct {
	MDMOptions MDMOptions
}

// A MaximumResidentUsersSetting bounds the users of a Shared iPad; SharedDeviceConfiguration took its place. iOS 9.3.
type MaximumResidentUsersSetting struct {
	MaximumResidentUsers int64
}

// A SharedDeviceConfigurationSetting sets up a Shared iPad. iOS 13.4.
type SharedDeviceConfigurationSetting struct {
	QuotaSize                             *int64                  `json:",omitempty"`
	ResidentUsers                         *int64                  `json:",omitempty"`
	UserSessionTimeout                    *int64                  `json:",omitempty"` // iOS 14.5
	TemporarySessionTimeout               *int64                  `json:",omitempty"` // iOS 14.5
	TemporarySessionOnly                  *bool                   `json:",omitempty"` // iOS 14.5
	ManagedAppleIDDefaultDomains          []string                `json:",omitempty"` // iOS 16
	OnlineAuthenticationGracePeriod       *int64                  `json:",omitempty"` // iOS 16
	SkipLanguageAndLocaleSetupForNewUsers *bool                   `json:",omitempty"` // iOS 16.2
	AwaitUserConfiguration                *AwaitUserConfiguration `json:",omitempty"` // iOS 17
	PasscodePolicy                        *SharedPasscodePolicy   `json:",omitempty"` // iOS 17
}

// A DiagnosticSubmissionSetting switches the sending of diagnostics to Apple. iOS 9.3.
type DiagnosticSubmissionSetting struct {
	Enabled bool
}

// An AppAnalyticsSetting switches the sharing of diagnostics with the makers of apps. iOS 9.3.2.
type AppAnalyticsSetting struct {
	Enabled bool
}

// A PasscodeLockGracePeriodSetting sets how long, in seconds, a Shared iPad unlocks without passcode. iOS 9.3.2.
type PasscodeLockGracePeriodSetting struct {
	PasscodeLockGracePeriod int64
}

// A TimeZoneSetting sets the time zone, by its IANA name. iOS 14, tvOS 14, visionOS 2. Supervised on iOS, tvOS and
// visionOS.
type TimeZoneSetting struct {
	TimeZone string
}

// A SoftwareUpdateSettingsSetting says which updates a device offers its user. iOS 14.5. Supervised on iOS.
type SoftwareUpdateSettingsSetting struct {
	RecommendationCadence int64 // 0, 1 or 2
}

// An AccessibilitySettingsSetting sets accessibility options. iOS 16, watchOS 10. Supervised on iOS and watchOS.
type AccessibilitySettingsSetting struct {
	BoldTextEnabled            *bool  `json:",omitempty"`
	IncreaseContrastEnabled    *bool  `json:",omitempty"` // iOS
	ReduceMotionEnabled        *bool  `json:",omitempty"`
	ReduceTransparencyEnabled  *bool  `json:",omitempty"`
	TextSize                   *int64 `json:",omitempty"` // 0 to 11
	TouchAccommodationsEnabled *bool  `json:",omitempty"`
	VoiceOverEnabled           *bool  `json:",omitempty"`
	ZoomEnabled                *bool  `json:",omitempty"`
	GrayscaleEnabled           *bool  `json:",omitempty"`
}

// An OrganizationInfo says who manages a device.
type OrganizationInfo struct {
	OrganizationName      string
	OrganizationShortName string `json:",omitempty"` // iOS 13, macOS 10.15, tvOS 13
	OrganizationAddress   string `json:",omitempty"`
	OrganizationPhone     string `json:",omitempty"`
	OrganizationEmail     string `json:",omitempty"`
	OrganizationMagic     string `json:",omitempty"`
}

// MDMOptions are options of the enrolment itself.
type MDMOptions struct {
	ActivationLockAllowedWhileSupervised             *bool `json:",omitempty"`
	BootstrapTokenAllowed                            *bool `json:",omitempty"` // macOS
	PromptUserToAllowBootstrapTokenForAuthentication *bool `json:",omitempty"` // macOS 11
	IdleRebootAllowed                                *bool `json:",omitempty"` // iOS 18.4
}

// An AwaitUserConfiguration makes a Shared iPad wait for UserConfigured.
type AwaitUserConfiguration struct {
	Enabled bool
}

// A SharedPasscodePolicy is about the passcodes on a Shared iPad.
type SharedPasscodePolicy struct {
	PasscodeLockGracePeriod *int64 `json:",omitempty"`
	AutoLockTime            *int64 `json:",omitempty"`
}

// The names by which Apple tells settings apart.

func (WallpaperSetting) Item() string                 { return "Wallpaper" }
func (DataRoamingSetting) Item() string               { return "DataRoaming" }
func (VoiceRoamingSetting) Item() string              { return "VoiceRoaming" }
func (PersonalHotspotSetting) Item() string           { return "PersonalHotspot" }
func (BluetoothSetting) Item() string                 { return "Bluetooth" }
func (ApplicationConfigurationSetting) Item() string  { return "ApplicationConfiguration" }
func (ApplicationAttributesSetting) Item() string     { return "ApplicationAttributes" }
func (DeviceNameSetting) Item() string                { return "DeviceName" }
func (HostNameSetting) Item() string                  { return "HostName" }
func (OrganizationInfoSetting) Item() string          { return "OrganizationInfo" }
func (DefaultApplicationsSetting) Item() string       { return "DefaultApplications" }
func (MDMOptionsSetting) Item() string                { return "MDMOptions" }
func (MaximumResidentUsersSetting) Item() string      { return "MaximumResidentUsers" }
func (SharedDeviceConfigurationSetting) Item() string { return "SharedDeviceConfiguration" }
func (DiagnosticSubmissionSetting) Item() string      { return "DiagnosticSubmission" }
func (AppAnalyticsSetting) Item() string              { return "AppAnalytics" }
func (PasscodeLockGracePeriodSetting) Item() string   { return "PasscodeLockGracePeriod" }
func (TimeZoneSetting) Item() string                  { return "TimeZone" }
func (SoftwareUpdateSettingsSetting) Item() string    { return "SoftwareUpdateSettings" }
func (AccessibilitySettingsSetting) Item() string     { return "AccessibilitySettings" }
