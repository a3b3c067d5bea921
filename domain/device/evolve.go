package device

import (
	"slices"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/command"
)

// evolve does what Evolve does, but for what the device has told.
func (d Device) evolve(e domain.Event, at time.Time) Device {
	switch e := e.(type) {
	case Authenticated:
		return d.authenticated(e).seen(at)
	case TokenUpdated:
		return d.tokenUpdated(e, at).seen(at)
	case CheckedOut:
		d.Channels = mapped(d.Channels, func(c *Channel) { c.Enrolled = false })
		d = d.seen(at)
		d.Status = StatusCheckedOut
		return d
	case IdentityPinned:
		d.Certificate, d.Claimed = e.Certificate, ""
	case IdentityReplaced:
		d.Certificate, d.Claimed, d.Renewing = e.Certificate, "", false
	case BootstrapTokenEscrowed:
		d.BootstrapToken = e.BootstrapToken
		return d.awaits(e.AwaitingConfiguration).seen(at)
	case BootstrapTokenDeleted:
		d.BootstrapToken = nil
		return d.awaits(e.AwaitingConfiguration).seen(at)
	case BootstrapTokenReleased:
		return d.awaits(e.AwaitingConfiguration).seen(at)
	case UserChallenged:
		return d.with(e.Channel, func(c *Channel) {
			c.Login, c.Nonce, c.NonceSince, c.TokenHash = LoginChallenged, e.Nonce, at, nil
		}).seen(at)
	case UserAuthenticated:
		return d.with(e.Channel, func(c *Channel) { c.loggedIn(e) }).seen(at)
	case TokenIssued:
		return d.issued(e).seen(at)
	case DeclarationsFetched, DeclarationStatusReported, ReturnedToService, Seen:
		return d.seen(at)
	case IdentityCloneSuspected:
		d.Clones = remember(d.Clones, cloneName(e.Claimed), maxClones)
	case PushRefused:
		if e.Unregistered {
			return d.with(e.Channel, func(c *Channel) { c.Unmanaged = at })
		}
	case PresumedUnmanaged:
		d.Status = StatusPresumedUnmanaged
	case SubjectErased:
		if e.Channel != "" {
			d.Channels = slices.DeleteFunc(slices.Clone(d.Channels), func(c Channel) bool { return c.ID == e.Channel })
			d.Held = d.released(e.Channel)
			return d
		}
		return Device{
			Status: StatusCheckedOut, Generation: d.Generation, Certificate: d.Certificate, LastSeen: d.LastSeen, Erased: true,
		}
	default:
		return d.evolveQueue(e, at)
	}
	return d
}

func (d Device) evolveQueue(e domain.Event, at time.Time) Device {
	switch e := e.(type) {
	case CommandQueued:
		return d.queued(e)
	case CommandDelivered:
		return d.delivered(e, at).passwordHanded(e.RequestType, at).seen(at)
	case CommandDeferred:
		return d.deferred(e.Channel, e.UUID, true).seen(at)
	case ResultUnmatched:
		d.BypassKnown = d.BypassKnown || e.Secrets["ActivationLockBypassCode"] != nil
		if e.Because == "status" { // offered again in the next session only, lest the two talk in circles
			d = d.deferred(e.Channel, e.UUID, false)
		}
		return d.seen(at)
	case CommandAcknowledged:
		if e.Channel == "" && e.RequestType == "DeviceConfigured" {
			d.Awaiting = false
		}
		d = d.tells(e).passwordAnswered(e, at)
		d.BypassKnown = d.BypassKnown || e.RequestType == "ActivationLockBypassCode" && len(e.Secrets) > 0
		return d.settled(e.Channel, e.UUID).seen(at)
	case CommandFailed:
		return d.settled(e.Channel, e.UUID).seen(at)
	case CommandFormatRejected:
		return d.settled(e.Channel, e.UUID).seen(at)
	case CommandCancelled:
		return d.settled(e.Channel, e.UUID).unannounced(e.Channel, e.RequestType)
	case CommandSuperseded:
		return d.settled(e.Channel, e.UUID)
	case CommandExpired:
		return d.settled(e.Channel, e.UUID).unannounced(e.Channel, e.RequestType)
	case QueueHeld, QueueReleased, CommandHeld, CommandReleased:
		return d.evolveHold(e)
	case UnenrolmentOrdered, UnenrolmentWithdrawn, TurnedAway, Quarantined, QuarantineLifted:
		return d.evolveLeave(e, at)
	case Located:
		d.LocationDay = e.Day
		return d.seen(at)
	case LocationsForgotten:
		d.LocationsGone = e.Day
	case RecoveryKeyEscrowed:
		d.RecoveryKey = e.Digest
	case DeclarationsAnnounced:
		return d.with(e.Channel, func(c *Channel) { c.Announced = e.Token })
	}
	return d
}

func (d Device) authenticated(e Authenticated) Device {
	d.Generation, d.Topic, d.Known = e.Generation, e.Topic, d.Known.known(e.Identity)
	d.ProductName, d.OSVersion = e.ProductName, e.OSVersion
	d.Claimed, d.Erased, d.Renewing = "", false, e.Renewal
	if e.Certificate != d.Certificate {
		d.Claimed = e.Certificate
	}
	d = d.learned(func(f *Facts) { f.enrolled(e) })
	if e.Renewal {
		return d // if the profile is not replaced after all, the enrolment goes on as it is
	}
	d.Status, d.Leaving, d.Bringer = StatusAuthenticated, false, bringer(e.Person)
	d.Awaiting, d.BootstrapToken, d.Pairings, d.Things = false, nil, nil, Things{}
	own, _ := d.Channel("") // keeps its push data: if the enrolment fails, the old one lives on
	own.Enrolled, own.Queue, own.Announced = false, nil, ""
	d.Channels = []Channel{own}
	return d
}

func (d Device) tokenUpdated(e TokenUpdated, at time.Time) Device {
	if e.Channel == "" {
		d.Status = StatusEnrolled
		d.Known = d.Known.known(e.Identity)
		d = d.awaits(e.AwaitingConfiguration)
		if len(e.UnlockToken) > 0 {
			d.UnlockToken = e.UnlockToken
		}
	}
	if e.User.UserID == sharedUser {
		d = d.learned(func(f *Facts) { f.SharedIPad = command.Yes })
	}
	return d.with(e.Channel, func(c *Channel) {
		c.Token, c.PushMagic, c.Since = e.Token, e.PushMagic, at
		c.Enrolled, c.Unmanaged = true, time.Time{}
	})
}

// awaits returns the device after a message that may have told whether it awaits configuration.
func (d Device) awaits(told *bool) Device {
	if told != nil {
		d.Awaiting = *told
	}
	return d
}

func (d Device) queued(e CommandQueued) Device {
	if e.Key != "" {
		d.Keys = remember(d.Keys, Key{e.Key, e.UUID}, rememberedKeys)
	}
	return d.with(e.Channel, func(c *Channel) {
		c.Queue = append(slices.Clip(c.Queue), &Item{Order: Order{
			UUID: e.UUID, RequestType: e.RequestType, Body: e.Body, Parameters: e.Parameters, Priority: e.Priority,
			NotBefore: e.NotBefore, ExpiresAt: e.ExpiresAt, SupersedeKey: e.SupersedeKey, Reason: e.Reason, Key: e.Key,
			Renews: e.Renews, Raw: e.Raw, PassesHold: e.PassesHold, Bulk: e.Bulk, Password: e.Password, Clears: e.Clears,
		}, Judged: d.Revision})
	})
}

func (d Device) delivered(e CommandDelivered, at time.Time) Device {
	return d.with(e.Channel, func(c *Channel) {
		c.Queue = mapped(c.Queue, func(item **Item) {
			if (*item).UUID != e.UUID && !(e.NewSession && (*item).Deferred) {
				return
			}
			after := **item
			after.Deferred = after.Deferred && !e.NewSession
			if after.UUID == e.UUID {
				after.Deliveries, after.Out, after.OutSince = e.Attempt, true, at
			}
			*item = &after
		})
	})
}

// deferred marks a command as not to be offered again in this session; counted if the device said NotNow.
func (d Device) deferred(channel ChannelID, uuid string, counted bool) Device {
	return d.with(channel, func(c *Channel) {
		c.Queue = mapped(c.Queue, func(item **Item) {
			if (*item).UUID == uuid {
				after := **item
				after.Deferred = true
				if counted {
					after.Deferrals, after.Out = after.Deferrals+1, false
				}
				*item = &after
			}
		})
	})
}

func (d Device) settled(channel ChannelID, uuid string) Device {
	d.Settled = remember(d.Settled, uuid, rememberedUUIDs)
	return d.with(channel, func(c *Channel) {
		if i := slices.IndexFunc(c.Queue, func(item *Item) bool { return item.UUID == uuid }); i >= 0 {
			c.Queue = slices.Concat(c.Queue[:i], c.Queue[i+1:])
		}
	})
}

// seen returns the device after it has spoken. One that was given up is managed after all.
func (d Device) seen(at time.Time) Device {
	d.LastSeen = at
	if d.Status == StatusPresumedUnmanaged {
		d.Status = StatusEnrolled
	}
	return d
}

// with returns the device after change has been made to one of its channels, which need not exist yet. Nothing
// that another Device can see is written to.
func (d Device) with(id ChannelID, change func(*Channel)) Device {
	d.Channels = slices.Clone(d.Channels)
	i := slices.IndexFunc(d.Channels, func(c Channel) bool { return c.ID == id })
	if i < 0 {
		i = len(d.Channels)
		d.Channels = append(d.Channels, Channel{ID: id})
	}
	change(&d.Channels[i])
	return d
}

// mapped returns a copy of list with change made to each element.
func mapped[T any](list []T, change func(*T)) []T {
	list = slices.Clone(list)
	for i := range list {
		change(&list[i])
	}
	return list
}

// remember returns list with one more element, without its oldest beyond most.
func remember[T any](list []T, one T, most int) []T {
	if len(list) >= most {
		list = list[len(list)-most+1:]
	}
	return append(slices.Clip(list), one)
}
