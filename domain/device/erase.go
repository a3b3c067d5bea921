package device

import (
	"github.com/rollcall-mdm/rollcall/domain"
)

// Erase decides what follows when all that is personal or secret about the device and its users is to be forgotten.
// What waits for it is cancelled. Whoever records it destroys the keys of its events afterwards. A device that was
// erased and has not enrolled since is not erased again.
func (d Device) Erase(reason string) ([]domain.Event, error) {
	switch {
	case d.Status == "":
		return nil, domain.Refusef(domain.NotFound, "no such device is known")
	case d.Erased:
		return nil, nil
	case reason == "":
		return nil, domain.Refusef(domain.Invalid, "say why the device's personal data is erased: the log keeps it")
	}
	return append(d.cancelAll("its personal data was erased"), SubjectErased{reason}), nil
}
