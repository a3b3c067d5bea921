package device

import (
	"slices"

	"github.com/rollcall-mdm/rollcall/domain"
)

// An IdentityCloneSuspected says that a certificate which speaks for this device was shown by what looks like
// another one: an identity was copied, by Migration Assistant, a restored backup, or a thief. It changes nothing:
// a person must look.
type IdentityCloneSuspected struct {
	Certificate string   // SHA-256 of the DER, hex
	MessageType string   `json:",omitempty"`
	Known       Identity `seal:"personal" json:",omitzero"` // of this device, as it last told
	Claimed     Identity `seal:"personal" json:",omitzero"` // of the other one
}

// EventType is the stored name.
func (IdentityCloneSuspected) EventType() string { return "device.identity-clone-suspected" }

// maxClones is how many claimed identities a device remembers to have been told of.
const maxClones = 16

// SuspectClone records that the certificate that speaks for this device spoke as somebody else. It is told once for
// each that it spoke as.
func (d Device) SuspectClone(fingerprint, messageType string, claimed Identity) ([]domain.Event, error) {
	name := cloneName(claimed)
	if d.Status == "" || d.Erased || name == "" || !d.Admits(fingerprint) || slices.Contains(d.Clones, name) {
		return nil, nil
	}
	return []domain.Event{IdentityCloneSuspected{fingerprint, messageType, d.Known, claimed}}, nil
}

// cloneName is what tells one suspicion from another.
func cloneName(i Identity) string {
	for _, name := range []string{i.SerialNumber, i.UDID, i.EnrollmentID} {
		if name != "" {
			return name
		}
	}
	return ""
}

// doubled returns the suspicion that follows if the same identity now comes with another serial number.
func (d Device) doubled(m Authenticate) []domain.Event {
	if d.Known.SerialNumber == "" || m.SerialNumber == "" || m.SerialNumber == d.Known.SerialNumber {
		return nil
	}
	events, _ := d.SuspectClone(m.Certificate.Fingerprint, "Authenticate", m.Identity) // it refuses nothing
	return events
}

// known returns the identity with what is newly told of it.
func (i Identity) known(told Identity) Identity {
	for _, pair := range []struct{ to, from *string }{
		{&i.UDID, &told.UDID}, {&i.EnrollmentID, &told.EnrollmentID}, {&i.SerialNumber, &told.SerialNumber},
		{&i.IMEI, &told.IMEI}, {&i.MEID, &told.MEID}, {&i.DeviceName, &told.DeviceName},
	} {
		if *pair.from != "" {
			*pair.to = *pair.from
		}
	}
	return i
}
