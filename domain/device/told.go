package device

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
)

// A Told is what a channel answered last to one sort of question, and where that stands.
type Told struct {
	RequestType string
	Asked       []byte // SHA-256 of the question's parameters
	Digest      []byte // SHA-256 of the answer
	Version     int64  // in the device's stream: of the event that keeps the whole answer
}

// said are the questions whose answers are said once: lists, which are large and mostly the same each day. Nothing else
// that a device says speaks of what they list, so a list that did not change is no news to any view.
var said = []string{
	"InstalledApplicationList", "ManagedApplicationList", "ProfileList", "ProvisioningProfileList", "CertificateList",
	"UserList", "AvailableOSUpdates", "Restrictions",
}

// worthSaying is the size from which an answer is said once, in bytes: a reference takes some 60.
const worthSaying = 256

// acknowledgement returns the event that an acknowledgement becomes. An answer that equals the channel's last one to the
// same question, byte by byte, is stored as a reference to it. One that has secrets is stored whole: where they stood,
// two answers look the same.
func (d Device) acknowledgement(r Report, item *Item) CommandAcknowledged {
	e := CommandAcknowledged{Channel: r.Channel, UUID: r.UUID, RequestType: item.RequestType, Result: r.Result, Secrets: r.Secrets}
	if len(r.Result) < worthSaying || len(r.Secrets) > 0 || !slices.Contains(said, item.RequestType) {
		return e
	}
	e.Digest = digest(r.Result)
	c, _ := d.Channel(r.Channel)
	t := c.told(item.RequestType)
	if bytes.Equal(t.Digest, e.Digest) && bytes.Equal(t.Asked, digest(item.Parameters)) {
		e.Result, e.SameAs = nil, t.Version
	}
	return e
}

// Evolve returns the device after the event e, which happened at the time at.
func (d Device) Evolve(e domain.Event, at time.Time) Device {
	d = d.heard(e)
	events := d.Events
	d = d.evolve(e, at)
	d.Events = events + 1
	return d
}

// heard returns the device after it has been noted which answers it has given, before they are settled.
func (d Device) heard(e domain.Event) Device {
	switch e := e.(type) {
	case CommandAcknowledged:
		if e.SameAs == 0 {
			return d.tell(e)
		}
	case Authenticated:
		if !e.Renewal {
			return d.forgetTold()
		}
	case SubjectErased: // what was erased is not referred to
		return d.forgetTold()
	}
	return d
}

// tell notes an answer in the place of the one before it, which is no longer the last one even if this one is not worth
// referring to.
func (d Device) tell(e CommandAcknowledged) Device {
	c, _ := d.Channel(e.Channel)
	if len(e.Digest) == 0 && c.told(e.RequestType).Version == 0 {
		return d
	}
	item, _, _ := d.Item(e.UUID)
	return d.with(e.Channel, func(c *Channel) {
		c.Told = slices.DeleteFunc(slices.Clone(c.Told), func(t Told) bool { return t.RequestType == e.RequestType })
		if len(e.Digest) > 0 {
			c.Told = append(c.Told, Told{e.RequestType, digest(item.Parameters), e.Digest, d.Events})
		}
	})
}

func (d Device) forgetTold() Device {
	d.Channels = mapped(d.Channels, func(c *Channel) { c.Told = nil })
	return d
}

// told returns what the channel answered last to a sort of question; nothing if it is not known.
func (c Channel) told(requestType string) Told {
	for _, t := range c.Told {
		if t.RequestType == requestType {
			return t
		}
	}
	return Told{}
}

func digest(b []byte) []byte {
	sum := sha256.Sum256(b)
	return sum[:]
}

// Whole returns e with the answer that it refers to, given the event that keeps it. It is false if that is another one:
// the reference is broken. An answer that was erased is absent from both, and stays so.
func (e CommandAcknowledged) Whole(kept domain.Event) (CommandAcknowledged, bool) {
	k, ok := kept.(CommandAcknowledged)
	if !ok || k.SameAs != 0 || k.RequestType != e.RequestType || k.Channel != e.Channel {
		return e, false
	}
	if len(k.Result) == 0 || len(e.Digest) == 0 {
		return e, true
	}
	e.Result = k.Result
	return e, e.Sound()
}

// Quotes reports whether an acknowledgement that follows refers to what the device has told, and to nothing else. Of one
// whose personal part was erased nothing can be said.
func (d Device) Quotes(e CommandAcknowledged) bool {
	if e.SameAs == 0 || len(e.Digest) == 0 {
		return e.Sound()
	}
	c, _ := d.Channel(e.Channel)
	t := c.told(e.RequestType)
	return t.Version == e.SameAs && bytes.Equal(t.Digest, e.Digest)
}

// Sound reports whether the answer that the event has is the one whose digest it has.
func (e CommandAcknowledged) Sound() bool {
	return len(e.Digest) == 0 || len(e.Result) == 0 || bytes.Equal(e.Digest, digest(e.Result))
}
