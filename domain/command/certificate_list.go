package command

// A CertificateList asks for the installed certificates. Those that declarations installed are missing.
//
// iOS 4, macOS 10.7, tvOS 9, visionOS 1.1, watchOS 10. It needs the Profile and Certificate Inspection right. Source:
// Apple, CertificateListCommand.
type CertificateList struct {
	ManagedOnly bool `json:",omitempty"` // iOS 13, macOS 10.15, tvOS 13
}

// RequestType is CertificateList.
func (CertificateList) RequestType() string { return "CertificateList" }
