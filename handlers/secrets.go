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
	Codec   interface { // which opens secrets
		Decode(env eventstore.Envelope) (domain.Event, error)
	}
}

// Reveal returns the secret of this kind that counts, which is the newest: text as it is, data in base64. Nobody is
// shown it unless the event that says so is durable.
func (s *Secrets) Reveal(ctx context.Context, c Caller, deviceID string, kind device.SecretKind, reason string) (string, error) {
	if err := c.Change(); err != nil {
		return "", err
	}
	at, err := s.where(ctx, deviceID, kind)
	if err != nil {
		return "", err
	}
	text, err := s.open(ctx, at, kind)
	if err != nil {
		return "", err
	}
	_, err = s.Devices.Update(ctx, deviceID, Meta(ctx, c), func(d device.Device, _ time.Time) ([]domain.Event, error) {
		if token, is := tokenOf(d, kind); is { // the device may have given a newer one meanwhile
			text = base64.StdEncoding.EncodeToString(token)
		}
		if text == "" {
			return nil, noSecret(kind)
		}
		return d.Reveal(kind, at.UUID, reason)
	})
	if err != nil {
		return "", err
	}
	return text, nil
}

func noSecret(kind device.SecretKind) error {
	return domain.Refusef(domain.NotFound, "the log holds no %s of the device", kind)
}

// where finds the event that holds the secret.
func (s *Secrets) where(ctx context.Context, deviceID string, kind device.SecretKind) (projections.Secret, error) {
	head, err := s.Log.Head(ctx)
	if err == nil {
		err = s.Views.Wait(ctx, head)
	}
	if err != nil {
		return projections.Secret{}, err
	}
	list, err := s.Views.Secrets(ctx, deviceID)
	for _, one := range list {
		if one.Kind == kind {
			return one, err
		}
	}
	if err == nil {
		err = noSecret(kind)
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

func (s *Secrets) open(ctx context.Context, at projections.Secret, kind device.SecretKind) (string, error) {
	env, found, err := eventstore.ReadAt(ctx, s.Log, at.Position)
	if err == nil && !found {
		err = errors.New("the log does not have it")
	}
	var e domain.Event
	if err == nil {
		e, err = s.Codec.Decode(env)
	}
	if err != nil {
		return "", fmt.Errorf("open event %d: %w", at.Position, err)
	}
	return secretIn(e, kind), nil
}

// secretIn returns the secret that an event holds, nothing if it holds none of this kind.
func secretIn(e domain.Event, kind device.SecretKind) string {
	switch e := e.(type) {
	case device.CommandQueued:
		key := "NewPassword"
		if kind == device.DevicePIN {
			key = "PIN"
		}
		return orderedText(e.Body, key)
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
