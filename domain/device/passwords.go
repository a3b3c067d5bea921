package device

import (
	"encoding/json"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/command"
)

// A Password is one that this server sets on a Mac: the recovery lock of Apple silicon, or the firmware password of
// Intel. Until the Mac has acknowledged another one, it is what it was.
type Password struct {
	Value      string    // in force, by all that is known; empty if none is, or none that this server knows
	Generation int       // of the enrolment in which it was set
	Since      time.Time // when the Mac acknowledged it
	Verified   time.Time // when the Mac last said that it is right
	Wrong      bool      // the Mac said since that it is not
	Asked      time.Time // when the Mac was last handed a command about it
}

// A passwordCommand is a command that sets or verifies a password.
type passwordCommand struct {
	kind SecretKind
	sets bool
}

// passwordCommands are all of them. Source: Apple, SetRecoveryLockCommand and its like.
var passwordCommands = map[string]passwordCommand{
	"SetRecoveryLock": {RecoveryLock, true}, "VerifyRecoveryLock": {RecoveryLock, false},
	"SetFirmwarePassword": {FirmwarePassword, true}, "VerifyFirmwarePassword": {FirmwarePassword, false},
}

// passwordNames are the two in words.
var passwordNames = map[SecretKind]string{RecoveryLock: "recovery lock", FirmwarePassword: "firmware password"}

// firmwareRest is how long a Mac wants to be left alone between two commands about its firmware password. Source: Apple,
// SetFirmwarePasswordCommand.
const firmwareRest = 30 * time.Second

// Password returns what is known of a Mac's password.
func (d Device) Password(kind SecretKind) Password {
	if kind == FirmwarePassword {
		return d.Firmware
	}
	return d.Recovery
}

// PasswordInForce returns the password that a Mac must be told before it takes another one, empty if it has none. It
// refuses where the Mac has one that is not known.
func (d Device) PasswordInForce(kind SecretKind) (string, error) {
	known, set := d.Password(kind), d.passwordSet(kind)
	switch {
	case set == command.No, set == command.Unknown && kind == RecoveryLock && known.Generation != d.Generation:
		return "", nil // who leaves the management loses its recovery lock
	case set == command.Yes && known.Value == "":
		return "", domain.WithHint(domain.Refusef(domain.Conflict, "the Mac has a %s that this server has not set and does not know", passwordNames[kind]),
			"give it with a new one: setRecoveryLock or setFirmwarePassword with currentPassword and newPassword")
	}
	return known.Value, nil
}

func (d Device) passwordSet(kind SecretKind) command.Fact {
	if kind == FirmwarePassword {
		return d.Facts.FirmwareLocked
	}
	return d.Facts.RecoveryLocked
}

// passwordOrder refuses an order about a password that could leave nobody knowing which one is in force, and says when
// the Mac may be handed it.
func (d Device) passwordOrder(o Order) (notBefore time.Time, err error) {
	about, is := passwordCommands[o.RequestType]
	if !is || o.Raw {
		return o.NotBefore, nil
	}
	own, _ := d.Channel("")
	for _, item := range own.Queue {
		other, also := passwordCommands[item.RequestType]
		if !also || other.kind != about.kind || !item.Out && o.SupersedeKey != "" && item.SupersedeKey == o.SupersedeKey {
			continue
		}
		if about.sets && other.sets || about.kind == FirmwarePassword {
			return o.NotBefore, domain.WithHint(domain.Refusef(domain.Conflict, "%s: %s %s waits for the Mac's answer", o.RequestType, item.RequestType, item.UUID),
				"wait for it: until then nobody knows which "+passwordNames[about.kind]+" is in force; one that the Mac was not handed yet can be cancelled")
		}
	}
	if about.sets {
		if err := d.passwordChange(about.kind, o); err != nil {
			return o.NotBefore, err
		}
	}
	if rested := d.Firmware.Asked.Add(firmwareRest); about.kind == FirmwarePassword && !d.Firmware.Asked.IsZero() && o.NotBefore.Before(rested) {
		return rested, nil
	}
	return o.NotBefore, nil
}

// passwordChange refuses a new password that the Mac would refuse.
func (d Device) passwordChange(kind SecretKind, o Order) error {
	if kind == FirmwarePassword && d.Facts.FirmwareChanging == command.Yes {
		return domain.WithHint(domain.Refusef(domain.Conflict, "SetFirmwarePassword: the Mac has taken a new firmware password that waits for its restart, and takes no other until then"),
			"restart it, and ask for SecurityInfo afterwards")
	}
	var keys struct{ CurrentPassword json.RawMessage }
	_ = json.Unmarshal(o.Parameters, &keys) // what is no object has no keys
	current, err := d.PasswordInForce(kind)
	if keys.CurrentPassword == nil && (err != nil || current != "") {
		return domain.WithHint(domain.Refusef(domain.Conflict, "%s: the Mac has a %s, and wants to be told it as CurrentPassword", o.RequestType, passwordNames[kind]),
			"rotateRecoveryLock and rotateFirmwarePassword tell it the one that this server knows")
	}
	return nil
}

// passwordAnswered is a device after it has acknowledged a command about a password, which waits still.
func (d Device) passwordAnswered(e CommandAcknowledged, at time.Time) Device {
	about, is := passwordCommands[e.RequestType]
	item, _, waits := d.Item(e.UUID)
	if !is || !waits || e.Channel != "" {
		return d
	}
	p, yes := d.Password(about.kind), PasswordAnswer(e)
	switch {
	case about.sets && yes:
		p = Password{Value: item.Password, Generation: d.Generation, Since: at, Asked: p.Asked}
		d = d.learned(func(f *Facts) { f.passwordSet(about.kind, item.Password != "") })
	case !about.sets && yes && item.Password != "":
		if p.Value != item.Password {
			p.Value, p.Generation, p.Since = item.Password, d.Generation, at
		}
		p.Verified, p.Wrong = at, false
	case !about.sets && !yes && p.Value == item.Password:
		p.Wrong = true
	}
	return d.withPassword(about.kind, p)
}

// PasswordAnswer reports what an acknowledged command about a password says: that the new one is taken, or that the one
// asked about is right.
func PasswordAnswer(e CommandAcknowledged) bool {
	var told struct {
		PasswordVerified       bool
		SetFirmwarePassword    *struct{ PasswordChanged bool }
		VerifyFirmwarePassword struct{ PasswordVerified bool }
	}
	_ = json.Unmarshal(e.Result, &told) // what cannot be read says no
	switch e.RequestType {
	case "SetRecoveryLock":
		return true
	case "SetFirmwarePassword":
		return told.SetFirmwarePassword == nil || told.SetFirmwarePassword.PasswordChanged
	case "VerifyRecoveryLock":
		return told.PasswordVerified
	}
	return told.VerifyFirmwarePassword.PasswordVerified
}

// passwordHanded is a device after it was handed a command about its firmware password.
func (d Device) passwordHanded(requestType string, at time.Time) Device {
	if passwordCommands[requestType].kind == FirmwarePassword {
		d.Firmware.Asked = at
	}
	return d
}

func (d Device) withPassword(kind SecretKind, p Password) Device {
	if kind == FirmwarePassword {
		d.Firmware = p
	} else {
		d.Recovery = p
	}
	return d
}

func (f *Facts) passwordSet(kind SecretKind, set bool) {
	if kind == RecoveryLock {
		f.RecoveryLocked = command.Known(set)
	} else {
		f.FirmwareChanging = command.Yes // until its restart
	}
}

// chip refuses commands of the other kind of Mac.
func (d Device) chip(requestType string) error {
	kind := passwordCommands[requestType].kind
	switch {
	case kind == RecoveryLock && d.Facts.AppleSilicon == command.No:
		return domain.WithHint(domain.Refusef(domain.Conflict, "%s: the Mac has an Intel processor, and recovery locks are for Apple silicon", requestType),
			"set a firmware password instead")
	case kind == FirmwarePassword && d.Facts.AppleSilicon == command.Yes:
		return domain.WithHint(domain.Refusef(domain.Conflict, "%s: the Mac has Apple silicon, and firmware passwords are for Intel", requestType),
			"set a recovery lock instead")
	}
	return nil
}
