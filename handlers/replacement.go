package handlers

import (
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/domain/profile"
	"github.com/rollcall-mdm/rollcall/handlers/plist"
)

// enrolmentIn returns the enrolment profile that an order brings; nil if it brings none, or one that cannot be read here.
func enrolmentIn(o device.Order) profile.Values {
	if !o.Renews {
		return nil
	}
	var sent struct{ Command struct{ Payload []byte } }
	if plist.Unmarshal(o.Body, &sent) != nil {
		return nil
	}
	draft, err := ReadDraft(sent.Command.Payload)
	if err != nil {
		return nil
	}
	return draft.Values
}

// replaces refuses an enrolment profile that a device would refuse in the place of the one by which it is managed.
func replaces(d device.Device, next profile.Values) error {
	if next == nil || !d.Managed() {
		return nil
	}
	return profile.CheckReplacement(profile.Known{Topic: d.Topic, AccessRights: d.Facts.Rights}, next)
}
