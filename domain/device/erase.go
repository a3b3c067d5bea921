package device

import (
	"github.com/rollcall-mdm/rollcall/domain"
)

// Erase decides what follows when all that is personal or secret about the device and its users is to be forgotten,
// or, of a channel, about that user alone. What waits there is cancelled. Whoever records it destroys the keys of the
// events afterwards. A device that was erased and has not enrolled since is not erased again.
//
// A user need not be known in this enrolment: the log may know him from an earlier one.
func (d Device) Erase(channel ChannelID, reason string) ([]domain.Event, error) {
	switch {
	case d.Status == "":
		return nil, domain.Refusef(domain.NotFound, "no such device is known")
	case d.Erased:
		return nil, nil
	case reason == "":
		return nil, domain.Refusef(domain.Invalid, "say why the personal data is erased: the log keeps it")
	}
	const because = "its personal data was erased"
	if channel == "" {
		return append(d.cancelAll(because), SubjectErased{Reason: reason}), nil
	}
	c, _ := d.Channel(channel)
	return append(c.cancelAll(because), SubjectErased{channel, reason}), nil
}
