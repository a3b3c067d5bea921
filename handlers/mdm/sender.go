package mdm

import (
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/handlers/plist"
)

// sharedUser is the UserID of all users of a Shared iPad; their short names tell them apart.
const sharedUser = "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF"

// maxName is how long a UDID or the name of a user may be, in bytes. Apple's have 40 at most.
const maxName = 512

// A sender is who a message says it comes from.
type sender struct {
	device   string // pseudonym: the id of the device's stream
	channel  device.ChannelID
	identity device.Identity
	user     device.User
}

// sender returns who the message names. A User Enrolment has an EnrollmentID instead of a UDID.
func (d *Door) sender(m *plist.Dict) (sender, error) {
	s := sender{
		identity: device.Identity{UDID: m.String("UDID"), EnrollmentID: m.String("EnrollmentID")},
		user: device.User{
			UserID: m.String("UserID"), EnrollmentUserID: m.String("EnrollmentUserID"),
			UserShortName: m.String("UserShortName"), UserLongName: m.String("UserLongName"),
		},
	}
	if err := m.Err(); err != nil {
		return sender{}, &malformed{text: "a key that names the sender is not a string"}
	}
	id, user := s.identity.UDID, s.user.UserID
	switch {
	case id == "" && s.identity.EnrollmentID == "":
		return sender{}, &malformed{text: "the message names no device: it has neither UDID nor EnrollmentID"}
	case id == "":
		id, user = s.identity.EnrollmentID, s.user.EnrollmentUserID
	case user == sharedUser:
		if user = s.user.UserShortName; user == "" {
			return sender{}, &malformed{text: "the message of a Shared iPad's user does not name the user"}
		}
	}
	if len(id) > maxName || len(user) > maxName {
		return sender{}, &malformed{text: "the name of a device or user is too long"}
	}
	s.device = d.Pseudonyms.Device(id)
	if user != "" {
		s.channel = device.ChannelID(d.Pseudonyms.Channel(id, user))
	}
	return s, nil
}
