package handlers

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/handlers/plist"
	"github.com/rollcall-mdm/rollcall/projections"
)

// Secrets is the use case of people who must see a secret of a device: only with a role, only with a reason, and only
// after the log has kept who saw which, and why.
type Secrets struct {
	Devices *eventstore.Repository[device.Device, domain.Event]
	Log     eventstore.Log
	Views   *projections.Views
	Keep    time.Duration    // how long a location can be opened after the end of its day; DefaultKeepLocations if zero
	Now     func() time.Time // time.Now if nil
	Escrow  *Escrow          // of FileVault recovery keys; they are shown as they came if nil
	Bulk    *BulkOrders      // whose bodies may hold them
	Codec   interface {      // which opens secrets
		Decode(env eventstore.Envelope) (domain.Event, error)
	}
}

// A Wanted says which secret of a device somebody wants to see, and why.
type Wanted struct {
	Device   string // pseudonym
	Kind     device.SecretKind
	Position eventstore.Position // of the event that holds it; the newest of its kind if zero
	Reason   string
}

// Reveal returns a secret: text as it is, data in base64. Nobody is shown it unless the event that says so is durable.
func (s *Secrets) Reveal(ctx context.Context, c Caller, w Wanted) (string, error) {
	if err := c.Change(); err != nil {
		return "", err
	}
	at, err := s.where(ctx, w)
	if err != nil {
		return "", err
	}
	if w.Kind == device.DeviceLocation && s.over(at.Since) {
		return "", domain.Refusef(domain.NotFound, "where the device was at that time can no longer be told: locations are kept for a short time")
	}
	text, version, err := s.open(ctx, at)
	if err != nil {
		return "", err
	}
	if w.Kind == device.FileVaultRecoveryKey {
		if text, err = s.Escrow.opened(ctx, text); err != nil {
			return "", err
		}
	}
	if w.Position == 0 {
		version = 0
	}
	_, err = s.Devices.Update(ctx, w.Device, Meta(ctx, c), func(d device.Device, _ time.Time) ([]domain.Event, error) {
		if token, is := tokenOf(d, w.Kind); is && version == 0 { // the device may have given a newer one meanwhile
			text = base64.StdEncoding.EncodeToString(token)
		}
		if text == "" {
			return nil, noSecret(w.Kind)
		}
		return d.Reveal(w.Kind, at.UUID, w.Reason, version)
	})
	if err != nil {
		return "", err
	}
	return text, nil
}

// over reports whether the time of a location is over, though its key may not be destroyed yet.
func (s *Secrets) over(since time.Time) bool {
	keep, now := s.Keep, time.Now
	if keep == 0 {
		keep = DefaultKeepLocations
	}
	if s.Now != nil {
		now = s.Now
	}
	return !now().Before(device.LocationEnds(since.UTC().Format(time.DateOnly), keep))
}

func noSecret(kind device.SecretKind) error {
	return domain.Refusef(domain.NotFound, "the log holds no %s of the device", kind)
}

// where finds the event that holds the secret.
func (s *Secrets) where(ctx context.Context, w Wanted) (projections.Secret, error) {
	head, err := s.Log.Head(ctx)
	if err == nil {
		err = s.Views.Wait(ctx, head)
	}
	if err != nil {
		return projections.Secret{}, err
	}
	if w.Position != 0 {
		one, found, err := s.Views.SecretAt(ctx, w.Device, w.Kind, w.Position)
		if err == nil && !found {
			err = domain.Refusef(domain.NotFound, "the event at position %d holds no %s of the device: secrets(history: true) lists what there is", w.Position, w.Kind)
		}
		return one, err
	}
	list, err := s.Views.Secrets(ctx, w.Device)
	for _, one := range list {
		if one.Kind == w.Kind {
			return one, err
		}
	}
	if err == nil {
		err = noSecret(w.Kind)
	}
	return projections.Secret{}, err
}

// tokenOf returns the secrets that the device's own state holds.
func tokenOf(d device.Device, kind device.SecretKind) (token []byte, is bool) {
	switch kind {
	case device.UnlockToken:
		return d.UnlockToken, true
	case device.BootstrapToken:
		return d.BootstrapToken, true
	}
	return nil, false
}

// open returns the secret that an event holds, and the event's version.
func (s *Secrets) open(ctx context.Context, at projections.Secret) (string, int64, error) {
	env, found, err := eventstore.ReadAt(ctx, s.Log, at.Position)
	if err == nil && !found {
		err = errors.New("the log does not have it")
	}
	var e domain.Event
	if err == nil {
		e, err = s.Codec.Decode(env)
	}
	if err != nil {
		return "", 0, fmt.Errorf("open event %d: %w", at.Position, err)
	}
	if queued, is := e.(device.CommandQueued); is && queued.Bulk != "" {
		body, err := s.Bulk.Body(ctx, queued.Bulk, queued.UUID)
		if err != nil {
			return "", 0, err
		}
		queued.Body = body
		e = queued
	}
	return secretIn(e, at.Kind), env.Version, nil
}

// secretIn returns the secret that an event holds, nothing if it holds none of this kind.
func secretIn(e domain.Event, kind device.SecretKind) string {
	switch e := e.(type) {
	case device.TokenUpdated:
		return base64.StdEncoding.EncodeToString(e.UnlockToken)
	case device.BootstrapTokenEscrowed:
		return base64.StdEncoding.EncodeToString(e.BootstrapToken)
	case device.CommandQueued:
		key := "NewPassword"
		if kind == device.DevicePIN {
			key = "PIN"
		}
		return orderedText(e.Body, key)
	case device.Located:
		return string(e.Location)
	case device.RecoveryKeyEscrowed:
		return base64.StdEncoding.EncodeToString(e.CMS)
	case device.CommandAcknowledged:
		for _, path := range answered[kind] {
			var text string
			if json.Unmarshal(e.Secrets[path], &text) == nil && text != "" {
				return text
			}
		}
	}
	return ""
}

// answered says under which path a secret was cut out of an answer.
var answered = map[device.SecretKind][]string{
	device.FileVaultRecoveryKey:     {"SecurityInfo.FDE_PersonalRecoveryKeyCMS", "RotateResult.EncryptedNewRecoveryKey"},
	device.ActivationLockBypassCode: {"ActivationLockBypassCode"},
}

// orderedText returns a text among a command's keys.
func orderedText(body device.Document, key string) string {
	text, err := plist.ToJSON(body)
	if err != nil {
		return ""
	}
	var order struct{ Command map[string]json.RawMessage }
	var value string
	if json.Unmarshal(text, &order) != nil || json.Unmarshal(order.Command[key], &value) != nil {
		return ""
	}
	return value
}
