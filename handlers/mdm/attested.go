package mdm

import (
	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
)

// Marks are those by which an attestation tells of which device it is. *handlers.Attestations makes them.
type Marks interface {
	SerialMark(serial string) string
	UDIDMark(udid string) string
}

// serialMark returns the mark of a serial number; none if the device tells none, or nobody makes marks here.
func (d *Door) serialMark(serial string) string {
	if serial == "" || d.Marks == nil {
		return ""
	}
	return d.Marks.SerialMark(serial)
}

// vouched returns what is vouched for about the key that a device authenticates with, and which of what the device tells is.
func (d *Door) vouched(m device.Authenticate, a *domain.Attestation) *device.Attested {
	if a == nil {
		return nil
	}
	told := &device.Attested{Attestation: *a}
	told.Serial = a.SerialMark != "" && a.SerialMark == d.serialMark(m.SerialNumber)
	told.UDID = a.UDIDMark != "" && m.UDID != "" && d.Marks != nil && a.UDIDMark == d.Marks.UDIDMark(m.UDID)
	return told
}
