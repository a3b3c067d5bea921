package device

import (
	"bytes"
	"time"
)

// renewalHolds is how long after an enrolment profile was handed out an Authenticate that does not name the order
// is taken for its effect. A device fetches its new identity and authenticates within minutes.
const renewalHolds = time.Hour

// renews reports whether the Authenticate is the effect of an enrolment profile that this server sent to replace
// the old one: an InstallProfile with an MDM payload is at the device and unanswered. If the message came to a URL
// that names the order, the order decides; otherwise it must have been handed out lately.
func (d Device) renews(m Authenticate, at time.Time) bool {
	if d.Status != StatusEnrolled && d.Status != StatusPresumedUnmanaged {
		return false
	}
	own, _ := d.Channel("")
	for _, item := range own.Queue {
		if !item.Out || !item.Renews {
			continue
		}
		if m.Renewal == item.UUID || m.Renewal == "" && at.Sub(item.OutSince) <= renewalHolds {
			return true
		}
	}
	return false
}

// payloadOfMDM is how an enrolment profile names its MDM payload, in XML, inside a signature or not. Source: Apple,
// "MDM" payload.
var payloadOfMDM = []byte("<string>com.apple.mdm</string>")

// ReplacesEnrolment reports whether a configuration profile brings an MDM payload. One that is encrypted or binary
// is not seen to.
func ReplacesEnrolment(profile []byte) bool { return bytes.Contains(profile, payloadOfMDM) }
