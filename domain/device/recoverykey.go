package device

import (
	"bytes"
	"encoding/base64"
	"encoding/json"

	"github.com/rollcall-mdm/rollcall/domain"
)

// A RecoveryKeyEscrowed says that a Mac has handed over a FileVault recovery key that it had not before: the first, or one
// that took another's place. Only who has the key of the certificate that it is encrypted for can read it.
type RecoveryKeyEscrowed struct {
	UUID         string // of the command in whose answer it came
	Rotated      bool   `json:",omitempty"`                 // that command had the Mac make a new key
	EncryptedFor string `json:",omitempty"`                 // serial number of the certificate, hex; empty if it cannot be told
	Digest       []byte `seal:"personal" json:",omitempty"` // SHA-256 of the message
	CMS          []byte `seal:"secret" json:",omitempty"`   // the message, as it came
}

// EventType returns the stored name.
func (RecoveryKeyEscrowed) EventType() string { return "device.recovery-key-escrowed" }

// recoveryKeyAt says where an answer's recovery key was cut out. Source: Apple, SecurityInfo and RotateFileVaultKey.
var recoveryKeyAt = map[string]string{
	"SecurityInfo":       "SecurityInfo.FDE_PersonalRecoveryKeyCMS",
	"RotateFileVaultKey": "RotateResult.EncryptedNewRecoveryKey",
}

// RecoveryKeyIn returns the encrypted recovery key in an answer's secrets, nothing if there is none.
func RecoveryKeyIn(requestType string, secrets map[string]json.RawMessage) []byte {
	place, is := recoveryKeyAt[requestType]
	if !is || secrets[place] == nil {
		return nil
	}
	var text string
	if json.Unmarshal(secrets[place], &text) != nil {
		return nil
	}
	cms, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil
	}
	return cms
}

// NewRecoveryKey reports whether an encrypted recovery key is not the one that the device gave last.
func (d Device) NewRecoveryKey(cms []byte) bool {
	return len(cms) > 0 && !bytes.Equal(d.RecoveryKey, digest(cms))
}

// recoveryKey returns what follows from the recovery key in an answer, if there is a new one.
func (d Device) recoveryKey(r Report, requestType string) []domain.Event {
	cms := RecoveryKeyIn(requestType, r.Secrets)
	if r.Channel != "" || !d.NewRecoveryKey(cms) {
		return nil
	}
	return []domain.Event{RecoveryKeyEscrowed{r.UUID, requestType == "RotateFileVaultKey", r.Recipient, digest(cms), cms}}
}
