package handlers

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/domain/wanted"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

// Wants is the use case of people who say what devices are to have. Each change returns the position after which views show
// it; 0 if nothing changed.
type Wants struct {
	Things  *eventstore.Repository[wanted.Thing, domain.Event]
	Devices *eventstore.Repository[device.Device, domain.Event]
	Stamp   domain.Stamp // makes revisions of contents
	Library *Library
}

// PutVersion wants a profile of the library: a version, or latest, which follows it.
func (w *Wants) PutVersion(ctx context.Context, c Caller, identifier, version string) (id string, at eventstore.Position, err error) {
	if err := c.Change(); err != nil {
		return "", 0, err
	}
	content, err := w.Library.Wanted(ctx, identifier, version)
	if err != nil {
		return "", 0, err
	}
	id = wanted.Profile + "/" + identifier
	at, err = w.put(ctx, c, id, content)
	return id, at, err
}

// PutProfile wants a configuration profile; its id is profile/ and its PayloadIdentifier.
func (w *Wants) PutProfile(ctx context.Context, c Caller, payload []byte) (id string, at eventstore.Position, err error) {
	thing, err := ReadProfile(payload)
	if err != nil {
		return "", 0, err
	}
	if device.ReplacesEnrolment(payload) {
		return "", 0, domain.Refusef(domain.Invalid, "an enrolment profile cannot be wanted: it would end or renew the enrolment")
	}
	shown, err := json.Marshal(map[string]any{"PayloadDisplayName": thing.Name, "PayloadUUID": thing.UUID, "PayloadRemovalDisallowed": thing.Locked, "SHA256": thing.Revision})
	if err != nil {
		return "", 0, err
	}
	id = wanted.Profile + "/" + thing.Identifier
	at, err = w.put(ctx, c, id, wanted.Content{UUID: thing.UUID, Shown: shown, Steps: []wanted.Step{
		{RequestType: "InstallProfile", Parameters: map[string]any{"Payload": base64.StdEncoding.EncodeToString(payload)}}}})
	return id, at, err
}

// PutApp wants an app: requestType is InstallApplication or InstallEnterpriseApplication.
func (w *Wants) PutApp(ctx context.Context, c Caller, identifier, requestType string, parameters map[string]any) (id string, at eventstore.Position, err error) {
	if requestType != "InstallApplication" && requestType != "InstallEnterpriseApplication" {
		return "", 0, domain.Refusef(domain.Invalid, "an app comes by InstallApplication or InstallEnterpriseApplication")
	}
	id = wanted.App + "/" + identifier
	at, err = w.putSteps(ctx, c, id, 0, []wanted.Step{{RequestType: requestType, Parameters: parameters}})
	return id, at, err
}

// PutInventory wants devices to be asked every so often.
func (w *Wants) PutInventory(ctx context.Context, c Caller, name string, every time.Duration, steps []wanted.Step) (id string, at eventstore.Position, err error) {
	for _, s := range steps {
		if !asks[s.RequestType] {
			return "", 0, domain.WithHint(domain.Refusef(domain.Invalid, "%.60q asks for nothing that an inventory is made of", s.RequestType),
				"DeviceInformation, SecurityInfo, and the lists")
		}
	}
	id = wanted.Inventory + "/" + name
	at, err = w.putSteps(ctx, c, id, every, steps)
	return id, at, err
}

// asks are the commands that an inventory is made of.
var asks = map[string]bool{
	"DeviceInformation": true, "SecurityInfo": true, "ProfileList": true, "ProvisioningProfileList": true, "CertificateList": true,
	"InstalledApplicationList": true, "ManagedApplicationList": true, "ManagedMediaList": true, "UserList": true, "Restrictions": true,
	"AvailableOSUpdates": true, "OSUpdateStatus": true, "ManagedApplicationFeedback": true, "ManagedApplicationConfiguration": true,
	"ManagedApplicationAttributes": true, "ContentCachingInformation": true,
}

func (w *Wants) putSteps(ctx context.Context, c Caller, id string, every time.Duration, steps []wanted.Step) (eventstore.Position, error) {
	shown := make([]map[string]any, len(steps))
	for i, s := range steps {
		o, err := TypedOrder(s.RequestType, s.Parameters, "")
		if err != nil {
			return 0, err
		}
		shown[i] = map[string]any{"RequestType": s.RequestType}
		if o.Parameters != nil {
			shown[i]["Parameters"] = o.Parameters
		}
	}
	text, err := json.Marshal(shown)
	if err != nil {
		return 0, err
	}
	return w.put(ctx, c, id, wanted.Content{Every: every, Shown: text, Steps: steps})
}

func (w *Wants) put(ctx context.Context, c Caller, id string, content wanted.Content) (eventstore.Position, error) {
	return w.decide(ctx, c, id, func(t wanted.Thing) ([]domain.Event, error) { return t.Put(id, content, w.Stamp.Of(wanted.Kind, id)) })
}

// Assign has a group's devices, or their users, have a thing.
func (w *Wants) Assign(ctx context.Context, c Caller, id string, a wanted.Assignment) (eventstore.Position, error) {
	return w.decide(ctx, c, id, func(t wanted.Thing) ([]domain.Event, error) { return t.Assign(a) })
}

// Unassign takes a thing from a group.
func (w *Wants) Unassign(ctx context.Context, c Caller, id string, a wanted.Assignment) (eventstore.Position, error) {
	return w.decide(ctx, c, id, func(t wanted.Thing) ([]domain.Event, error) { return t.Unassign(a) })
}

// Withdraw takes a thing from everybody.
func (w *Wants) Withdraw(ctx context.Context, c Caller, id, reason string) (eventstore.Position, error) {
	return w.decide(ctx, c, id, func(t wanted.Thing) ([]domain.Event, error) { return t.Withdraw(reason) })
}

// Retry has a thing tried again at once on a channel of a device.
func (w *Wants) Retry(ctx context.Context, c Caller, deviceID string, channel device.ChannelID, id, reason string) (eventstore.Position, error) {
	if err := c.Change(); err != nil {
		return 0, err
	}
	change, err := w.Devices.Update(ctx, deviceID, Meta(ctx, c), func(d device.Device, _ time.Time) ([]domain.Event, error) {
		return d.RetryWanted(channel, id, reason)
	})
	return change.Position, err
}

func (w *Wants) decide(ctx context.Context, c Caller, id string, decide func(wanted.Thing) ([]domain.Event, error)) (eventstore.Position, error) {
	if err := c.Change(); err != nil {
		return 0, err
	}
	if err := wanted.CheckID(id); err != nil {
		return 0, err
	}
	change, err := w.Things.Update(ctx, id, Meta(ctx, c), func(t wanted.Thing, _ time.Time) ([]domain.Event, error) { return decide(t) })
	return change.Position, err
}
