package projections

import (
	"fmt"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
)

func summariseHold(e domain.Event, s Scene) string {
	who := s.target()
	switch e := e.(type) {
	case device.QueueHeld:
		return fmt.Sprintf("%s holds all that waits for %s%s", s.Actor, who, because(e.Reason))
	case device.QueueReleased:
		return fmt.Sprintf("%s released what waits for %s%s", s.Actor, who, because(e.Reason))
	case device.UnenrolmentOrdered:
		return fmt.Sprintf("%s wants %s to leave management: it is told so when it speaks next%s", s.Actor, who, because(e.Reason))
	case device.UnenrolmentWithdrawn:
		return fmt.Sprintf("%s lets %s stay%s", s.Actor, who, because(e.Reason))
	case device.TurnedAway:
		return who + " was told to leave management"
	case device.Quarantined:
		return fmt.Sprintf("%s put %s in quarantine: it gets no commands, tokens and declarations%s", s.Actor, who, because(e.Reason))
	case device.QuarantineLifted:
		return fmt.Sprintf("%s ended the quarantine of %s%s", s.Actor, who, because(e.Reason))
	case device.CommandHeld:
		return fmt.Sprintf("%s holds %s for %s%s%s", s.Actor, e.RequestType, who, orderedBy(s), because(e.Reason))
	case device.CommandReleased:
		return fmt.Sprintf("%s released %s for %s%s%s", s.Actor, e.RequestType, who, orderedBy(s), because(e.Reason))
	}
	return ""
}
