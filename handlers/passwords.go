package handlers

import (
	"context"
	"crypto/rand"
	"math/big"
	"strings"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

// Passwords is the use case of people who want a password on a Mac, and need not invent it: the server makes it, keeps it
// sealed, and tells the Mac the one before. revealSecret shows it.
type Passwords struct {
	Devices *eventstore.Repository[device.Device, domain.Event]
}

// commandsOf are the commands that set and verify each kind of password.
var commandsOf = map[device.SecretKind][2]string{
	device.RecoveryLock:     {"SetRecoveryLock", "VerifyRecoveryLock"},
	device.FirmwarePassword: {"SetFirmwarePassword", "VerifyFirmwarePassword"},
}

// Rotate orders a new password of the server's own making in the place of the one in force, which stays known until the
// Mac has acknowledged the new one.
func (p *Passwords) Rotate(ctx context.Context, c Caller, deviceID string, kind device.SecretKind, reason string) (uuid string, at eventstore.Position, err error) {
	return p.set(ctx, c, deviceID, kind, newPassword(), reason)
}

// Clear orders that a Mac is to have no password of this kind.
func (p *Passwords) Clear(ctx context.Context, c Caller, deviceID string, kind device.SecretKind, reason string) (uuid string, at eventstore.Position, err error) {
	return p.set(ctx, c, deviceID, kind, "", reason)
}

func (p *Passwords) set(ctx context.Context, c Caller, deviceID string, kind device.SecretKind, password, reason string) (string, eventstore.Position, error) {
	requestType := commandsOf[kind][0]
	return p.order(ctx, c, deviceID, reason, func(d device.Device) (device.Order, error) {
		current, err := d.PasswordInForce(kind)
		if err != nil {
			return device.Order{}, err
		}
		keys := map[string]any{"NewPassword": password}
		if current != "" {
			keys["CurrentPassword"] = current
		}
		o, err := TypedOrder(requestType, keys, "")
		o.SupersedeKey = "rotate " + requestType
		return o, err
	})
}

// Verify orders that a Mac says whether the password that is known is the one in force.
func (p *Passwords) Verify(ctx context.Context, c Caller, deviceID string, kind device.SecretKind, reason string) (uuid string, at eventstore.Position, err error) {
	return p.order(ctx, c, deviceID, reason, func(d device.Device) (device.Order, error) {
		known := d.Password(kind)
		if known.Value == "" {
			return device.Order{}, noSecret(kind)
		}
		return TypedOrder(commandsOf[kind][1], map[string]any{"Password": known.Value}, "")
	})
}

// Lock orders that a Mac locks itself behind a PIN of six digits that the server makes.
func (p *Passwords) Lock(ctx context.Context, c Caller, deviceID, message, phoneNumber, reason string) (uuid string, at eventstore.Position, err error) {
	keys := map[string]any{"PIN": newPIN()}
	if message != "" {
		keys["Message"] = message
	}
	if phoneNumber != "" {
		keys["PhoneNumber"] = phoneNumber
	}
	return p.order(ctx, c, deviceID, reason, func(device.Device) (device.Order, error) { return TypedOrder("DeviceLock", keys, "") })
}

// order has a device decide about an order that is made of its state.
func (p *Passwords) order(ctx context.Context, c Caller, deviceID, reason string, build func(device.Device) (device.Order, error)) (uuid string, at eventstore.Position, err error) {
	if err := c.Change(); err != nil {
		return "", 0, err
	}
	change, err := p.Devices.Update(ctx, deviceID, Meta(ctx, c), func(d device.Device, now time.Time) ([]domain.Event, error) {
		if d.Status == "" {
			return nil, domain.Refusef(domain.NotFound, "no such device is known")
		}
		o, err := build(d)
		if err != nil {
			return nil, err
		}
		o.Reason, uuid = reason, o.UUID
		return d.Order("", o, false, now)
	})
	return uuid, change.Position, advised(err)
}

// passwordLetters are those that nobody mistakes for another one on a recovery screen; y and z, which change places between
// keyboards, are not among them.
const passwordLetters = "abcdefghijkmnpqrstuvwx23456789"

// newPassword makes a password of five groups of four letters and digits: 98 bits.
func newPassword() string {
	groups := make([]string, 5)
	for i := range groups {
		groups[i] = chosen(passwordLetters, 4)
	}
	return strings.Join(groups, "-")
}

// newPIN makes a PIN of six digits.
func newPIN() string { return chosen("0123456789", 6) }

// chosen returns n letters, each as likely as any other.
func chosen(letters string, n int) string {
	text := make([]byte, n)
	for i := range text {
		k, _ := rand.Int(rand.Reader, big.NewInt(int64(len(letters)))) // it never fails
		text[i] = letters[k.Int64()]
	}
	return string(text)
}
