package projections

import (
	"slices"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
)

// A waking is what is known of a channel for the question: should it be pushed, and when? It is folded from the
// channel's events alone. Times are microseconds since 1970, 0 for none.
//
// A channel wants waking when something waits that it does not know of. It finds out by calling; a call that
// ends without a delivery has fetched all that could be offered. It need not be woken after a NotNow that was its
// last word, for then it comes back by itself; but if it said something else afterwards, it does not.
type waking struct {
	Token   bool `json:",omitempty"` // it has given push data in this enrolment
	Closed  bool `json:",omitempty"` // its device is not enrolled
	Stopped bool `json:",omitempty"` // Apple will take no push until the next token

	Waiting  int           `json:",omitempty"` // commands
	Later    []appointment `json:",omitempty"` // of those, the ones that may not be offered yet
	InFlight bool          `json:",omitempty"` // one was handed out and has no answer yet
	PutOff   bool          `json:",omitempty"` // NotNow was said in the session that came last
	Naps     int           `json:",omitempty"` // sessions with a NotNow since something was last done

	DeviceHeld bool     `json:",omitempty"` // somebody holds the queue of its device
	Held       bool     `json:",omitempty"` // or its own
	Aside      []string `json:",omitempty"` // waiting commands that are held themselves
	Through    []string `json:",omitempty"` // and those that pass a held queue

	Contact  int64 `json:",omitempty"` // the last time that it spoke on its command channel
	Accepted int   `json:",omitempty"` // pushes that Apple took since
	First    int64 `json:",omitempty"` // when it took the first of them
	Latest   int64 `json:",omitempty"` // and the latest
	Refusals int   `json:",omitempty"` // in a row

	Due    int64  `json:",omitempty"`
	Reason string `json:",omitempty"`
}

// An appointment is a command that may not be offered before a time.
type appointment struct {
	UUID  string
	At    int64
	Quiet bool `json:",omitempty"` // nobody is to be woken for it
}

// When pushes are repeated. Source: protocol notes on push, "Push logic"; the back-off is APNs' own advice.
const (
	unanswered = 60 * time.Second // after a delivery without an answer
	coalesce   = 10 * time.Second // a push this young wakes for what is queued after it, too
	firstNap   = 15 * time.Minute // after a NotNow that was not the last word; then doubling
	longestNap = 24 * time.Hour   // also after a NotNow that was: in case the device forgets
	worst      = 5 * time.Minute  // between attempts that Apple refuses; from 1 s on, doubling
)

// again returns how long to wait for a channel after so many accepted pushes, the first of which was since ago.
func again(accepted int, since time.Duration) time.Duration {
	switch {
	case accepted <= 1:
		return 10 * time.Second
	case accepted == 2:
		return time.Minute
	case accepted == 3:
		return 5 * time.Minute
	case since < 24*time.Hour:
		return time.Hour
	}
	return 24 * time.Hour
}

// doubling returns first, doubled for each round after the first, at most most.
func doubling(first, most time.Duration, round int) time.Duration {
	for ; round > 1 && first < most; round-- {
		first *= 2
	}
	return min(first, most)
}

// after returns the waking after an event of its channel.
func (w waking) after(e domain.Event, at time.Time) waking {
	now := at.UnixMicro()
	switch e := e.(type) {
	case device.TokenUpdated:
		return w.reachable(now)
	case device.CommandQueued:
		return w.queued(e, now)
	case device.CommandDelivered:
		w = w.spoke(now)
		w.InFlight, w.PutOff = true, w.PutOff && !e.NewSession
		return w.due(now, unanswered, "unanswered")
	case device.CommandDeferred:
		w = w.spoke(now).putOff()
		return w.due(now, longestNap, "deferred")
	case device.ResultUnmatched:
		w = w.spoke(now)
		if e.Because == "status" {
			w = w.putOff()
		}
		return w.rest(now)
	case device.Seen:
		return w.spoke(now).rest(now)
	case device.CommandAcknowledged:
		return w.ended(e.UUID).done().spoke(now).rest(now)
	case device.CommandFailed:
		return w.ended(e.UUID).done().spoke(now).rest(now)
	case device.CommandFormatRejected:
		return w.ended(e.UUID).done().spoke(now).rest(now)
	case device.CommandCancelled:
		return w.ended(e.UUID).idle()
	case device.CommandSuperseded:
		return w.ended(e.UUID).idle()
	case device.CommandExpired:
		return w.ended(e.UUID).idle()
	case device.QueueHeld, device.QueueReleased, device.CommandHeld, device.CommandReleased:
		return w.heldAfter(e, now)
	case device.PushRequested:
		w.Stopped = false // somebody asks: one attempt shows whether Apple still says no
		return w.due(now, 0, "asked")
	case device.PushAccepted:
		return w.accepted(now)
	case device.PushRefused:
		return w.refused(e, now)
	}
	return w
}

// due sets the next push, unless an earlier one is due.
func (w waking) due(now int64, in time.Duration, reason string) waking {
	if at := now + in.Microseconds(); w.Due == 0 || at < w.Due {
		w.Due, w.Reason = at, reason
	}
	return w
}

// spoke is a channel that has just spoken: whatever was due is done with.
func (w waking) spoke(now int64) waking {
	w.Contact, w.InFlight = now, false
	w.Accepted, w.First, w.Latest, w.Refusals = 0, 0, 0, 0
	w.Due, w.Reason = 0, ""
	w.Later = slices.DeleteFunc(slices.Clone(w.Later), func(one appointment) bool { return one.At <= now })
	return w
}

// putOff is a channel that has said NotNow, for the first time in this session or once more.
func (w waking) putOff() waking {
	if !w.PutOff {
		w.Naps++
	}
	w.PutOff = true
	return w
}

// rest is a channel that has nothing more to fetch now. What it put off it fetches after a nap; what may not be
// offered yet, when its time has come.
func (w waking) rest(now int64) waking {
	if w.PutOff && w.Waiting > len(w.Later) {
		w = w.due(now, doubling(firstNap, longestNap, w.Naps), "deferred")
	}
	return w.appointed(now).idle()
}

// idle is the channel with nothing due if nothing waits.
func (w waking) idle() waking {
	if w.Waiting == 0 {
		w.PutOff, w.Naps, w.InFlight, w.Later = false, 0, false, nil
		if w.Reason != "asked" {
			w.Due, w.Reason = 0, ""
		}
	}
	return w
}

// done is a channel that has done something: NotNow starts afresh from a short nap, if it comes again.
func (w waking) done() waking {
	if !w.PutOff {
		w.Naps = 0
	}
	return w
}

func (w waking) ended(uuid string) waking {
	w.Waiting = max(w.Waiting-1, 0)
	w.Later = slices.DeleteFunc(slices.Clone(w.Later), func(one appointment) bool { return one.UUID == uuid })
	w.Aside, w.Through = without(w.Aside, uuid), without(w.Through, uuid)
	return w
}

// reachable is a channel that has given push data. What waits already is new to it, and no push went to this token.
func (w waking) reachable(now int64) waking {
	w.Token, w.Closed, w.Stopped, w.Refusals = true, false, false, 0
	w.Accepted, w.First, w.Latest = 0, 0, 0
	if w.Waiting > len(w.Later) && !w.InFlight {
		w = w.due(now, 0, "ordered")
	}
	return w.rest(now)
}

func (w waking) queued(e device.CommandQueued, now int64) waking {
	w.Waiting++
	if e.PassesHold {
		w.Through = append(slices.Clip(w.Through), e.UUID)
	}
	if at := microseconds(e.NotBefore); at > now {
		w.Later = append(slices.Clip(w.Later), appointment{e.UUID, at, e.NoPush})
		return w.appointed(now)
	}
	switch {
	case e.NoPush, w.Refusals > 0, w.InFlight && now-w.Contact < unanswered.Microseconds():
		return w // asleep on purpose, or a push is due already, or awake
	case w.Accepted > 0 && now-w.Latest < coalesce.Microseconds():
		return w.due(w.Latest, coalesce, "ordered")
	}
	return w.due(now, 0, "ordered")
}

// appointed is a channel that is due when something that waits may be offered.
func (w waking) appointed(now int64) waking {
	for _, one := range w.Later {
		if one.At > now && !one.Quiet {
			w = w.due(one.At, 0, "scheduled")
		}
	}
	return w
}

// accepted is a channel to which Apple has taken a push. If nothing waits, its call leaves no trace: no repeat.
func (w waking) accepted(now int64) waking {
	if w.Accepted++; w.Accepted == 1 {
		w.First = now
	}
	w.Latest, w.Refusals, w.Due, w.Reason = now, 0, 0, ""
	w.Later = slices.DeleteFunc(slices.Clone(w.Later), func(one appointment) bool { return one.At <= now })
	if w = w.appointed(now); w.Waiting > len(w.Later) {
		w = w.due(now, again(w.Accepted, time.Duration(now-w.First)*time.Microsecond), "again")
	}
	return w
}

func (w waking) refused(e device.PushRefused, now int64) waking {
	w.Due, w.Reason = 0, ""
	if e.Final || e.Unregistered {
		w.Stopped = true
		return w
	}
	w.Refusals++
	return w.due(now, doubling(time.Second, worst, w.Refusals), "retry")
}

// wants returns when the channel should be pushed; 0 if it should not.
func (w waking) wants() int64 {
	if !w.Token || w.Closed || w.Stopped || w.Waiting > 0 && w.Reason != "asked" && !w.offers() {
		return 0
	}
	return w.Due
}

// deviceAfter returns the waking after an event of its device that concerns all channels.
func (w waking) deviceAfter(e domain.Event, at time.Time, own bool) waking {
	switch e := e.(type) {
	case device.Authenticated:
		if !e.Renewal {
			return waking{Closed: true, DeviceHeld: w.DeviceHeld, Held: w.Held}
		}
	case device.CheckedOut:
		return waking{Closed: true, DeviceHeld: w.DeviceHeld, Held: w.Held}
	case device.SubjectErased:
		return waking{Closed: true}
	case device.QueueHeld:
		w.DeviceHeld = true
	case device.QueueReleased:
		w.DeviceHeld = false
		return w.released(at.UnixMicro())
	case device.TokenUpdated:
		if e.Channel == "" && !own {
			w.Closed = false
		}
	}
	return w
}
