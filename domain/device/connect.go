package device

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
)

// seenEvery is how often polls that have nothing to tell are recorded.
const seenEvery = 15 * time.Minute

// What a device can say about a command. Source: Apple, "Sending MDM commands to a device".
const (
	Idle               = "Idle"
	Acknowledged       = "Acknowledged"
	Error              = "Error"
	CommandFormatError = "CommandFormatError"
	NotNow             = "NotNow"
)

// A Report is what a channel says when it connects.
type Report struct {
	Channel    ChannelID
	Status     string
	UUID       string // of the command it speaks of; empty with Idle
	Result     json.RawMessage
	Secrets    map[string]json.RawMessage // what was cut out of Result, by path
	ErrorChain json.RawMessage
	Recipient  string // of the recovery key among Secrets: serial number of the certificate that it is encrypted for, hex
	Polls      int    // how often the channel polled without an event until now, this time included
}

// Known reports whether the status is one of Apple's five.
func (r Report) Known() bool {
	return slices.Contains([]string{Idle, Acknowledged, Error, CommandFormatError, NotNow}, r.Status)
}

// Connect decides what follows when a channel connects: its report is recorded, and the next command, if there
// is one that may be offered now, is delivered. The last event is then a CommandDelivered.
func (d Device) Connect(r Report, at time.Time) ([]domain.Event, error) {
	if d.Status == "" {
		return nil, domain.Refusef(domain.Unmanaged, "the device never authenticated")
	}
	if d.Erased {
		return nil, d.managed()
	}
	if r.Status == "" {
		return nil, domain.Refusef(domain.Invalid, "a message on the command channel needs a Status")
	}
	events, r := d.locates(r, at)
	events = append(events, d.record(r)...)
	after := d
	for _, e := range events {
		after = after.Evolve(e, at)
	}
	next, delivers := after.next(r.Channel, r.Status == Idle, at)
	quiet := len(events) == 0 && !delivers
	events = append(events, next...)
	if quiet && (apart(at, d.LastSeen) >= seenEvery || d.Status == StatusPresumedUnmanaged) && d.Status != StatusCheckedOut {
		events = append(events, Seen{r.Channel, max(r.Polls, 1)})
	}
	return events, nil
}

// apart returns how long lies between two moments, whichever is the earlier: a clock that was ahead may have been set back.
func apart(a, b time.Time) time.Duration { return max(a.Sub(b), b.Sub(a)) }

// record returns what the report says about the command it speaks of.
func (d Device) record(r Report) []domain.Event {
	if r.Status == Idle {
		return nil
	}
	c, _ := d.Channel(r.Channel)
	item := c.item(r.UUID)
	if why := d.unmatched(r, item); why != "" {
		return []domain.Event{ResultUnmatched{r.Channel, r.UUID, r.Status, why, r.Result, r.Secrets, r.ErrorChain}}
	}
	switch r.Status {
	case Acknowledged:
		return append([]domain.Event{d.acknowledgement(r, item)}, d.recoveryKey(r, item.RequestType)...)
	case Error:
		return []domain.Event{CommandFailed{r.Channel, r.UUID, item.RequestType, r.ErrorChain, r.Result, r.Secrets}}
	case CommandFormatError:
		return []domain.Event{CommandFormatRejected{r.Channel, r.UUID, item.RequestType, r.ErrorChain, r.Result, r.Secrets}}
	}
	if item.Deferred {
		return nil // the device did not see our answer to its NotNow, and says it again
	}
	return []domain.Event{CommandDeferred{r.Channel, r.UUID, item.RequestType, item.Deferrals + 1}}
}

// unmatched says why the report belongs to no waiting command of its channel, or nothing if it does.
func (d Device) unmatched(r Report, item *Item) string {
	if item == nil {
		if _, _, elsewhere := d.Item(r.UUID); elsewhere {
			return "foreign"
		}
		if slices.Contains(d.Settled, r.UUID) {
			return "settled"
		}
		return "unknown"
	}
	switch {
	case item.Deliveries == 0:
		return "undelivered"
	case !r.Known():
		return "status"
	}
	return ""
}

// next returns the ends of those commands whose time is over, and then the delivery of the next one that may be
// offered to the channel, if there is one.
func (d Device) next(channel ChannelID, newSession bool, at time.Time) (events []domain.Event, delivers bool) {
	c, ok := d.Channel(channel)
	if !ok || !c.Enrolled || d.Status != StatusEnrolled && d.Status != StatusPresumedUnmanaged {
		return nil, false
	}
	for _, item := range c.Queue {
		if item.expired(at) {
			events = append(events, CommandExpired{channel, item.UUID, item.RequestType})
		}
	}
	var unfit []*Item
	for {
		best := d.best(c, newSession, at, unfit)
		if best == nil {
			return events, false
		}
		reason := d.unfit(channel, best)
		if reason == "" {
			return append(events, CommandDelivered{channel, best.UUID, best.RequestType, best.Deliveries + 1, newSession}), true
		}
		events = append(events, CommandSuperseded{channel, best.UUID, best.RequestType, "", reason})
		unfit = append(unfit, best)
	}
}

// best returns the command that goes first among those that may be offered now, nil if there is none.
func (d Device) best(c Channel, newSession bool, at time.Time, without []*Item) (best *Item) {
	for _, item := range c.Queue {
		switch {
		case item.expired(at), item.Deferred && !newSession, at.Before(item.NotBefore), d.holds(c.ID, item), slices.Contains(without, item):
		case best == nil || item.before(best):
			best = item
		}
	}
	return best
}

// unfit says why a command that was ordered cannot work by now, or nothing if it can. One that is at the device is
// left to the device; so is one that somebody wrote himself.
func (d Device) unfit(channel ChannelID, item *Item) string {
	if item.Raw || item.Out || item.Judged == d.Revision {
		return ""
	}
	refusal, refused := domain.Refused(d.Suits(channel, item.RequestType, item.Parameters))
	if !refused {
		return ""
	}
	return refusal.Text
}

// expired reports whether the command's time is over. One that is out may still be answered.
func (i *Item) expired(at time.Time) bool {
	return !i.Out && !i.ExpiresAt.IsZero() && !at.Before(i.ExpiresAt)
}

// before reports whether i goes before j, which came earlier: what was never deferred goes first, so that a
// session can end with a NotNow, after which the device comes back by itself; then the higher priority.
func (i *Item) before(j *Item) bool {
	if (i.Deferrals == 0) != (j.Deferrals == 0) {
		return i.Deferrals == 0
	}
	return i.Priority > j.Priority
}
