package domain

// An Attestation is what the maker of a device vouches for: that a key was made in its hardware, and what the device is.
//
// It names no device. SerialMark and UDIDMark are stamps: whoever hears later which device it is can tell whether it is that one,
// and nobody else learns anything. The rest is technical, empty where the maker did not determine it. Source: Apple, "Managed
// Device Attestation".
type Attestation struct {
	Root             string `json:",omitempty"` // fingerprint of the root that vouches; empty if none was known that could: then all of it is hearsay
	SerialMark       string `json:",omitempty"` // of the serial number; a User Enrolment tells none
	UDIDMark         string `json:",omitempty"` // of the UDID; a Mac's is its ProvisioningUDID
	OSVersion        string `json:",omitempty"`
	SepOSVersion     string `json:",omitempty"` // of the Secure Enclave's system
	LLBVersion       string `json:",omitempty"` // of the boot loader
	SoftwareUpdateID string `json:",omitempty"` // by which the device asks for updates: its board
	SIP              string `json:",omitempty"` // a Mac's System Integrity Protection: 0 is on
	SecureBoot       string `json:",omitempty"`
	ThirdPartyKexts  string `json:",omitempty"` // 0 is no
}

// Vouched reports whether somebody who is believed vouches for it.
func (a *Attestation) Vouched() bool { return a != nil && a.Root != "" }
