package device

import (
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
)

// answerIn is how long a device that is awake may take to call after a push, before its silence tells anything.
const answerIn = time.Hour

// GiveUp decides what follows when a device has said nothing for long: after is how long it may, pushed when Apple last
// took a push for it, zero if never since it spoke. A push that came so soon after its last word that the call might
// have left no trace shows nothing: then another is asked for. If one that does show something stayed without an
// effect, the device is presumed to be managed no longer. It is managed after all as soon as it speaks.
func (d Device) GiveUp(after time.Duration, pushed, at time.Time) ([]domain.Event, error) {
	c, _ := d.Channel("")
	switch {
	case d.Status != StatusEnrolled || at.Sub(d.LastSeen) < after:
		return nil, nil
	case pushed.Sub(d.LastSeen) < seenEvery:
		if !c.Reachable() || !c.Unmanaged.IsZero() {
			return nil, nil
		}
		return []domain.Event{PushRequested{Because: "silent"}}, nil
	case at.Sub(pushed) < answerIn:
		return nil, nil
	}
	return []domain.Event{PresumedUnmanaged{
		Reason: "it has not spoken since " + d.LastSeen.UTC().Format("2006-01-02") + ", though Apple took a push for it",
	}}, nil
}
