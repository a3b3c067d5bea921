package projections

import (
	"bytes"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/bulk"
	"github.com/rollcall-mdm/rollcall/domain/declaration"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/domain/group"
	"github.com/rollcall-mdm/rollcall/domain/profile"
	"github.com/rollcall-mdm/rollcall/domain/pushcert"
	"github.com/rollcall-mdm/rollcall/domain/wanted"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

// What views need of the sealed parts of events. All else is folded from what is open of them, and is never unsealed.

func nothing(domain.Event) bool { return false }

func pushcertsNeed(e domain.Event) bool {
	_, asked := e.(pushcert.Requested)
	return asked
}

func commandsNeed(e domain.Event) bool {
	switch e.(type) {
	case device.CommandQueued, device.CommandCancelled: // the words of whoever ordered it
		return true
	}
	return false
}

func fleetNeeds(e domain.Event) bool {
	switch e := e.(type) {
	case device.Authenticated, device.TokenUpdated:
		return true
	case device.CommandAcknowledged:
		return e.Channel == "" && tells(e.RequestType)
	case device.DeclarationStatusReported:
		return e.Channel == ""
	}
	return false
}

func declarationsNeed(e domain.Event) bool {
	_, put := e.(declaration.Put)
	return put
}

func groupsNeed(e domain.Event) bool {
	switch e.(type) {
	case group.Created, group.Changed:
		return true
	}
	return false
}

func bulkNeeds(e domain.Event) bool {
	switch e.(type) {
	case bulk.Ordered, bulk.Cancelled: // the words of whoever ordered it
		return true
	}
	return false
}

func holdsNeed(e domain.Event) bool {
	switch e.(type) {
	case device.QueueHeld, device.CommandHeld: // the words of whoever holds it
		return true
	}
	return false
}

// fleetSkims: most events tell the fleet only that the device has spoken.
func fleetSkims(env *eventstore.Envelope) bool {
	switch env.Type {
	case "device.authenticated", "device.token-updated", "device.presumed-unmanaged", "device.declaration-status-reported",
		"device.bootstrap-token-escrowed", "device.bootstrap-token-deleted", "device.bootstrap-token-released":
		return false
	case "device.command-acknowledged":
		for _, told := range tellTales {
			if bytes.Contains(env.Data, told) {
				return false
			}
		}
	}
	return !bytes.Contains(env.Data, channelKey)
}

// channelKey stands in the open part of an event of a user's channel, tellTales in that of an answer of which tells is true.
var (
	channelKey = []byte(`"Channel":`)
	tellTales  = [][]byte{[]byte(`"DeviceInformation"`), []byte(`"SecurityInfo"`), []byte(`"DeviceConfigured"`)}
)

func factsNeed(e domain.Event) bool {
	switch e := e.(type) {
	case device.Authenticated, device.TokenUpdated, device.DeclarationStatusReported:
		return true
	case device.CommandAcknowledged:
		_, is := lists[e.RequestType]
		_, password := passwordFacts[e.RequestType]
		return is || password || e.RequestType == "DeviceInformation" || e.RequestType == "SecurityInfo" || e.RequestType == "Restrictions"
	case device.CommandQueued:
		_, is := lists[e.RequestType]
		return is
	}
	return false
}

func managedNeeds(e domain.Event) bool {
	switch e := e.(type) {
	case device.CommandQueued:
		return aboutThings(e.RequestType)
	case device.CommandAcknowledged:
		return aboutThings(e.RequestType)
	case device.CommandFailed:
		return aboutThings(e.RequestType)
	case device.CommandFormatRejected:
		return aboutThings(e.RequestType)
	}
	return false
}

func wantedNeeds(e domain.Event) bool {
	switch e := e.(type) {
	case wanted.Put, profile.Stored, device.CommandFailed:
		return true
	case device.CommandAcknowledged:
		return e.RequestType == "Settings" // each of them is acknowledged or not
	}
	return false
}

func profilesNeed(e domain.Event) bool {
	_, stored := e.(profile.Stored)
	return stored
}

// erasedType is the stored name of the event that forgets a device.
var erasedType = device.SubjectErased{}.EventType()
