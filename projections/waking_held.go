package projections

import (
	"slices"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
)

// heldAfter returns the waking after a hold of its own queue or of one command began or ended. What was due stays so: it
// is only not wanted while nothing can be offered.
func (w waking) heldAfter(e domain.Event, now int64) waking {
	switch e := e.(type) {
	case device.QueueHeld:
		w.Held = true
		return w
	case device.CommandHeld:
		w.Aside = append(slices.Clip(w.Aside), e.UUID)
		return w
	case device.QueueReleased:
		w.Held = false
	case device.CommandReleased:
		w.Aside = without(w.Aside, e.UUID)
	}
	return w.released(now)
}

// released is a channel of which something that waits may be offered again.
func (w waking) released(now int64) waking {
	if w.Waiting > len(w.Later) && w.offers() {
		w = w.due(now, 0, "ordered")
	}
	return w.appointed(now)
}

// offers reports whether something waits that no hold keeps from being offered.
func (w waking) offers() bool {
	if w.DeviceHeld || w.Held {
		return slices.ContainsFunc(w.Through, func(uuid string) bool { return !slices.Contains(w.Aside, uuid) })
	}
	return w.Waiting > len(w.Aside)
}

// withholds reports whether a hold keeps a waiting command from being offered.
func (w waking) withholds(uuid string) bool {
	return slices.Contains(w.Aside, uuid) || (w.DeviceHeld || w.Held) && !slices.Contains(w.Through, uuid)
}

// without returns the list without one of its texts, nil if nothing is left.
func without(list []string, text string) (rest []string) {
	for _, one := range list {
		if one != text {
			rest = append(rest, one)
		}
	}
	return rest
}
