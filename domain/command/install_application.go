package command

// An InstallApplication installs an app. That the device acknowledged it means that it accepted the order;
// ManagedApplicationList tells what came of it. It takes exactly one of ITunesStoreID, Identifier and ManifestURL.
//
// iOS 5, macOS 10.9, tvOS 10.2, visionOS 1.1, watchOS 10. It needs the App Management right. Source: Apple,
// InstallApplicationCommand.
type InstallApplication struct {
	ITunesStoreID         *int64                     `json:"iTunesStoreID,omitempty"`
	Identifier            string                     `json:",omitempty"`       // iOS 7
	Options               *InstallApplicationOptions `json:",omitempty"`       // iOS 7
	ManifestURL           string                     `json:",omitempty"`       // https; iOS 7
	ManagementFlags       *int64                     `json:",omitempty"`       // 1: it goes with the enrolment; 4: no backup of its data; macOS 11
	Configuration         map[string]any             `json:",omitempty"`       // iOS 7, macOS 11
	Attributes            *AppAttributes             `json:",omitempty"`       // iOS 7, tvOS, visionOS, watchOS
	ChangeManagementState string                     `json:",omitempty"`       // Managed; iOS 9, macOS 11
	InstallAsManaged      bool                       `json:",omitempty"`       // macOS 11
	IOSApp                bool                       `json:"iOSApp,omitempty"` // macOS 11
}

// RequestType is InstallApplication.
func (InstallApplication) RequestType() string { return "InstallApplication" }

// InstallApplicationOptions say how an app of the store is paid for.
type InstallApplicationOptions struct {
	PurchaseMethod int64 `json:",omitempty"` // 0 or 1
}

// AppAttributes say what a managed app may do. Nil leaves what Apple takes.
type AppAttributes struct {
	VPNUUID                                string   `json:",omitempty"` // iOS, visionOS, watchOS
	ContentFilterUUID                      string   `json:",omitempty"` // iOS 16, visionOS
	DNSProxyUUID                           string   `json:",omitempty"` // iOS 16, visionOS
	RelayUUID                              string   `json:",omitempty"` // iOS 17, visionOS
	AssociatedDomains                      []string `json:",omitempty"` // iOS 13, visionOS, watchOS
	AssociatedDomainsEnableDirectDownloads *bool    `json:",omitempty"` // iOS 14, visionOS, watchOS
	Removable                              *bool    `json:",omitempty"` // iOS 14, tvOS 14
	TapToPayScreenLock                     *bool    `json:",omitempty"` // iOS 16.4
	CellularSliceUUID                      string   `json:",omitempty"` // iOS 17
	Hideable                               *bool    `json:",omitempty"` // iOS 18.1
	Lockable                               *bool    `json:",omitempty"` // iOS 18.1
}
