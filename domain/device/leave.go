package device

import (
	"slices"
	"strings"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
)

// Leaving and quarantine.
//
// A device that is to leave is told so the next time it speaks, by a document of Apple's, and ends its enrolment itself: iOS
// and tvOS 17, macOS 14. An older one does not understand it; for that one RemoveProfile of the enrolment profile is the way.
//
// A device in quarantine stays managed, and what it says is recorded. But nothing that waits is delivered, unless it was
// ordered to pass holds, and it gets no tokens and no declarations.

// An UnenrolmentOrdered says that the device is to leave.
type UnenrolmentOrdered struct {
	Reason string `seal:"personal" json:",omitempty"` // a person's own words
}

// An UnenrolmentWithdrawn says that it may stay.
type UnenrolmentWithdrawn struct {
	Reason string `seal:"personal" json:",omitempty"`
}

// A TurnedAway says that the device was told to leave.
type TurnedAway struct{}

// A Quarantined says that the device gets nothing from now on.
type Quarantined struct {
	Holds  bool   `json:",omitempty"` // its queue was not held before
	Reason string `seal:"personal" json:",omitempty"`
}

// A QuarantineLifted says that it is served as any other again.
type QuarantineLifted struct {
	Reason string `seal:"personal" json:",omitempty"`
}

func (UnenrolmentOrdered) EventType() string   { return "device.unenrolment-ordered" }
func (UnenrolmentWithdrawn) EventType() string { return "device.unenrolment-withdrawn" }
func (TurnedAway) EventType() string           { return "device.turned-away" }
func (Quarantined) EventType() string          { return "device.quarantined" }
func (QuarantineLifted) EventType() string     { return "device.quarantine-lifted" }

// An Isolation is whether a device is in quarantine; empty if it is not.
type Isolation string

// The isolations: in one, the quarantine itself holds the queue, and its end releases it.
const (
	Isolated        Isolation = "isolated"
	IsolatedAndHeld Isolation = "isolated and held"
)

// Unenrol decides what follows when somebody wants the device to leave: it is told at its next message, for which it is
// woken if it can be.
func (d Device) Unenrol(reason string) ([]domain.Event, error) {
	switch {
	case d.Status == "":
		return nil, domain.Refusef(domain.NotFound, "no such device is known")
	case d.Status == StatusCheckedOut:
		return nil, domain.Refusef(domain.Conflict, "the device has left already")
	case strings.TrimSpace(reason) == "":
		return nil, domain.Refusef(domain.Invalid, "say why the device is to leave: whoever reads its history wants to know")
	case d.Leaving:
		return nil, nil
	}
	events := []domain.Event{UnenrolmentOrdered{reason}}
	if own, _ := d.Channel(""); own.Reachable() {
		events = append(events, PushRequested{Because: "to be told that it is to leave"})
	}
	return events, nil
}

// Stay decides what follows when a device that was to leave may stay.
func (d Device) Stay(reason string) ([]domain.Event, error) {
	switch {
	case d.Status == "":
		return nil, domain.Refusef(domain.NotFound, "no such device is known")
	case !d.Leaving:
		return nil, nil
	case d.Status == StatusCheckedOut:
		return nil, domain.Refusef(domain.Conflict, "the device was told to leave already: it must enrol again")
	}
	return []domain.Event{UnenrolmentWithdrawn{reason}}, nil
}

// TurnAway decides what follows when a device that is to leave speaks: it is told, and is managed no longer.
func (d Device) TurnAway() ([]domain.Event, error) {
	if !d.Leaving || d.Status == StatusCheckedOut {
		return nil, nil
	}
	out, err := d.CheckOut()
	return append([]domain.Event{TurnedAway{}}, out...), err
}

// Depart decides what follows from a report of a device that is to leave: what it reports is kept, and nothing is handed out.
func (d Device) Depart(r Report, at time.Time) ([]domain.Event, error) {
	events, err := d.Connect(r, at)
	if err != nil {
		return nil, err
	}
	if n := len(events); n > 0 {
		if _, handed := events[n-1].(CommandDelivered); handed {
			events = events[: n-1 : n-1]
		}
	}
	for _, e := range events {
		d = d.Evolve(e, at)
	}
	out, err := d.TurnAway()
	return append(events, out...), err
}

// Quarantine decides what follows when somebody isolates the device.
func (d Device) Quarantine(reason string) ([]domain.Event, error) {
	switch {
	case d.Status == "":
		return nil, domain.Refusef(domain.NotFound, "no such device is known")
	case strings.TrimSpace(reason) == "":
		return nil, domain.Refusef(domain.Invalid, "say why the device is isolated: whoever waits for it is told")
	case d.Isolated != "":
		return nil, nil
	}
	if slices.Contains(d.Held, "") {
		return []domain.Event{Quarantined{Reason: reason}}, nil
	}
	return []domain.Event{Quarantined{true, reason}, QueueHeld{Reason: reason}}, nil
}

// Lift decides what follows when the quarantine ends. What waits is delivered again, unless somebody had held it before.
func (d Device) Lift(reason string) ([]domain.Event, error) {
	switch {
	case d.Status == "":
		return nil, domain.Refusef(domain.NotFound, "no such device is known")
	case d.Isolated == "":
		return nil, nil
	}
	events := []domain.Event{QuarantineLifted{reason}}
	if d.Isolated == IsolatedAndHeld && slices.Contains(d.Held, "") {
		events = append(events, QueueReleased{Reason: reason})
	}
	return events, nil
}

// evolveLeave does what Evolve does for leaving and quarantine.
func (d Device) evolveLeave(e domain.Event, at time.Time) Device {
	switch e := e.(type) {
	case UnenrolmentOrdered:
		d.Leaving = true
	case UnenrolmentWithdrawn:
		d.Leaving = false
	case TurnedAway:
		return d.seen(at)
	case Quarantined:
		d.Isolated = Isolated
		if e.Holds {
			d.Isolated = IsolatedAndHeld
		}
	case QuarantineLifted:
		d.Isolated = ""
	}
	return d
}
