package device

import (
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
)

// A SecretKind is a kind of secret that the log knows of a device.
type SecretKind string

// The kinds of secrets.
const (
	UnlockToken              SecretKind = "UNLOCK_TOKEN"
	BootstrapToken           SecretKind = "BOOTSTRAP_TOKEN"
	FileVaultRecoveryKey     SecretKind = "FILEVAULT_RECOVERY_KEY"
	ActivationLockBypassCode SecretKind = "ACTIVATION_LOCK_BYPASS_CODE"
	DevicePIN                SecretKind = "DEVICE_PIN"
	RecoveryLock             SecretKind = "RECOVERY_LOCK"
	FirmwarePassword         SecretKind = "FIRMWARE_PASSWORD"
	DeviceLocation           SecretKind = "DEVICE_LOCATION"
)

// SecretKinds lists all kinds of secrets.
func SecretKinds() []SecretKind {
	return []SecretKind{UnlockToken, BootstrapToken, FileVaultRecoveryKey, ActivationLockBypassCode, DevicePIN, RecoveryLock, FirmwarePassword, DeviceLocation}
}

// A SecretRevealed says that somebody was shown a secret of the device. It does not hold it.
type SecretRevealed struct {
	Kind   SecretKind
	UUID   string `json:",omitempty"`                 // of the command that holds it, or whose answer does
	Reason string `seal:"personal" json:",omitempty"` // a person's own words
	Older  int64  `json:",omitempty"`                 // version, in its stream, of the event that holds it; 0 if the newest was asked for
}

// A Disclosed says that somebody was given the keys of sealed parts of the device's events, and no other keys. See
// export.Disclosed.
type Disclosed struct {
	Parts     []string
	From      time.Time `json:",omitzero"`
	To        time.Time `json:",omitzero"`
	Position  int64
	Events    int
	Recipient string `seal:"personal" json:",omitempty"`
	Reason    string `seal:"personal" json:",omitempty"`
}

func (SecretRevealed) EventType() string { return "device.secret-revealed" }
func (Disclosed) EventType() string      { return "device.disclosed" }

// Reveal decides what follows when somebody is to be shown a secret: the one that counts, or, unless older is 0, the
// one in the event of that version. It must be recorded before he is.
func (d Device) Reveal(kind SecretKind, uuid, reason string, older int64) ([]domain.Event, error) {
	switch {
	case d.Status == "":
		return nil, domain.Refusef(domain.NotFound, "no such device is known")
	case d.Erased:
		return nil, domain.Refusef(domain.NotFound, "the device's secrets were erased")
	case reason == "":
		return nil, domain.Refusef(domain.Invalid, "say why the secret is revealed: the log keeps it")
	}
	return []domain.Event{SecretRevealed{kind, uuid, reason, older}}, nil
}

// Disclose decides what follows when somebody is to be given keys of the device's events.
func (d Device) Disclose(what Disclosed) ([]domain.Event, error) {
	switch {
	case d.Status == "":
		return nil, domain.Refusef(domain.NotFound, "no such device is known")
	case what.Recipient == "" || what.Reason == "":
		return nil, domain.Refusef(domain.Invalid, "say to whom it is disclosed, and why: the log keeps it")
	}
	return []domain.Event{what}, nil
}
