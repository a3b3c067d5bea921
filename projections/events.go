package projections

import (
	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
)

// channelOf returns the channel that an event belongs to; empty for the device's own.
func channelOf(e domain.Event) device.ChannelID {
	switch e := e.(type) {
	case device.CommandDelivered:
		return e.Channel
	case device.CommandAcknowledged:
		return e.Channel
	case device.CommandQueued:
		return e.Channel
	case device.CommandDeferred:
		return e.Channel
	case device.PushAccepted:
		return e.Channel
	case device.PushRequested:
		return e.Channel
	case device.PushRefused:
		return e.Channel
	case device.Seen:
		return e.Channel
	case device.TokenUpdated:
		return e.Channel
	case device.CommandFailed:
		return e.Channel
	case device.CommandFormatRejected:
		return e.Channel
	case device.CommandCancelled:
		return e.Channel
	case device.CommandSuperseded:
		return e.Channel
	case device.CommandExpired:
		return e.Channel
	case device.ResultUnmatched:
		return e.Channel
	case device.UserAuthenticated:
		return e.Channel
	case device.UserChallenged:
		return e.Channel
	case device.TokenIssued:
		return e.Channel
	case device.IdentityRefused:
		return e.Channel
	case device.DeclarationsFetched:
		return e.Channel
	case device.DeclarationStatusReported:
		return e.Channel
	case device.DeclarationsAnnounced:
		return e.Channel
	case device.MessageUnrecognised:
		return e.Channel
	case device.WantedOrdered:
		return e.Channel
	case device.WantedRefused:
		return e.Channel
	case device.WantedRetried:
		return e.Channel
	case device.SubjectErased:
		return e.Channel
	case device.QueueHeld:
		return e.Channel
	case device.QueueReleased:
		return e.Channel
	case device.CommandHeld:
		return e.Channel
	case device.CommandReleased:
		return e.Channel
	}
	return ""
}

// uuidOf returns the CommandUUID of the command that an event speaks of; empty if it speaks of none.
func uuidOf(e domain.Event) string {
	switch e := e.(type) {
	case device.CommandDelivered:
		return e.UUID
	case device.CommandAcknowledged:
		return e.UUID
	case device.CommandQueued:
		return e.UUID
	case device.CommandDeferred:
		return e.UUID
	case device.CommandFailed:
		return e.UUID
	case device.CommandFormatRejected:
		return e.UUID
	case device.CommandCancelled:
		return e.UUID
	case device.CommandSuperseded:
		return e.UUID
	case device.CommandExpired:
		return e.UUID
	case device.ResultUnmatched:
		return e.UUID
	case device.CommandHeld:
		return e.UUID
	case device.CommandReleased:
		return e.UUID
	}
	return ""
}

// spoken lists the events that a device causes by speaking, as device.Evolve sees it: its proofs of life.
func spoken() []domain.Event {
	return []domain.Event{
		device.CommandDelivered{}, device.CommandAcknowledged{}, device.CommandDeferred{}, device.CommandFailed{},
		device.CommandFormatRejected{}, device.ResultUnmatched{}, device.Seen{}, device.Authenticated{},
		device.TokenUpdated{}, device.CheckedOut{}, device.UserAuthenticated{}, device.BootstrapTokenEscrowed{},
		device.BootstrapTokenDeleted{}, device.BootstrapTokenReleased{}, device.DeclarationsFetched{},
		device.DeclarationStatusReported{}, device.Located{}, device.UserChallenged{}, device.TokenIssued{}, device.ReturnedToService{},
	}
}

// hotTypes are the stored names that fill most of a log. Their numbers are below 16, so that an index over
// types can leave them out. Never reorder them.
func hotTypes() []string {
	return []string{
		"device.command-queued", "device.command-delivered", "device.command-acknowledged",
		"device.command-deferred", "device.push-requested", "device.push-accepted", "device.seen",
		"device.token-updated", "device.authenticated", "device.identity-pinned", "certificate.bound",
	}
}

// ends reports the state in which an event leaves its command; empty if it does not end it.
func ends(e domain.Event) CommandState {
	switch e.(type) {
	case device.CommandAcknowledged:
		return Acknowledged
	case device.CommandFailed:
		return Failed
	case device.CommandFormatRejected:
		return FormatRejected
	case device.CommandCancelled:
		return Cancelled
	case device.CommandSuperseded:
		return Superseded
	case device.CommandExpired:
		return Expired
	}
	return ""
}
