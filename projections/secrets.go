package projections

import (
	"context"
	_ "embed"
	"encoding/json"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

//go:embed secrets.sql
var secretsSQL string

// secrets answers: which secrets does the log hold of a device, since when, and how often were they revealed?
//
// It cannot open them. That an event has one is seen by its sealed part, or by the mask that stands where it was.
type secrets struct{}

func newSecrets(*names) folder { return secrets{} }

func (secrets) forget()        {}
func (secrets) flush(Tx) error { return nil }

// A Secret is one that the log holds, in the event at Position.
type Secret struct {
	Kind         device.SecretKind
	Position     eventstore.Position
	UUID         string // of the command that it is part of, or whose answer it is
	Since        time.Time
	Revealed     int
	LastRevealed time.Time
}

func (s secrets) apply(tx Tx, r *record) error {
	switch e := r.event.(type) {
	case device.TokenUpdated:
		if e.Channel == "" && len(r.env.Secret) > 0 {
			return s.only(tx, r, device.UnlockToken, "")
		}
	case device.BootstrapTokenEscrowed:
		if len(r.env.Secret) > 0 {
			return s.only(tx, r, device.BootstrapToken, "")
		}
		return s.none(tx, r, device.BootstrapToken)
	case device.BootstrapTokenDeleted:
		return s.none(tx, r, device.BootstrapToken)
	case device.Authenticated:
		if !e.Renewal && e.Generation > 1 {
			return s.none(tx, r, device.BootstrapToken)
		}
	case device.SecretRevealed:
		return tx.Exec(`INSERT INTO secrets_revealed (device, kind, n, last) VALUES (?, ?, 1, ?)
			ON CONFLICT (device, kind) DO UPDATE SET n = n + 1, last = excluded.last`, r.device, string(e.Kind), r.position)
	case device.SubjectErased:
		return s.erased(tx, r, e)
	}
	return s.command(tx, r)
}

// command follows what is part of commands, and of their answers.
func (s secrets) command(tx Tx, r *record) error {
	switch e := r.event.(type) {
	case device.CommandQueued:
		if kind := orderedSecret(e); kind != "" {
			return s.add(tx, r, kind, e.UUID, 0)
		}
	case device.CommandDelivered:
		if secretsOrdered[e.RequestType].kind != "" {
			return tx.Exec(`UPDATE secrets SET sure = 1 WHERE device = ? AND kind = ? AND position = ?`, r.device, string(secretsOrdered[e.RequestType].kind), r.command)
		}
	case device.CommandFailed:
		return s.ended(tx, r, e.RequestType, 1)
	case device.CommandFormatRejected:
		return s.ended(tx, r, e.RequestType, 1)
	case device.CommandCancelled:
		return s.ended(tx, r, e.RequestType, 0)
	case device.CommandSuperseded:
		return s.ended(tx, r, e.RequestType, 0)
	case device.CommandExpired:
		return s.ended(tx, r, e.RequestType, 0)
	case device.CommandAcknowledged:
		return s.acknowledged(tx, r, e)
	}
	return nil
}

// A secretPlace says which kind of secret stands under which key.
type secretPlace struct {
	kind device.SecretKind
	path []string
}

// secretsOrdered are the commands that set a secret, and secretsAnswered those whose answer holds one. Source: Apple's commands.
var (
	secretsOrdered = map[string]secretPlace{
		"DeviceLock":          {device.DevicePIN, []string{"PIN"}},
		"EraseDevice":         {device.DevicePIN, []string{"PIN"}},
		"SetRecoveryLock":     {device.RecoveryLock, []string{"NewPassword"}},
		"SetFirmwarePassword": {device.FirmwarePassword, []string{"NewPassword"}},
	}
	secretsAnswered = map[string]secretPlace{
		"SecurityInfo":             {device.FileVaultRecoveryKey, []string{"SecurityInfo", "FDE_PersonalRecoveryKeyCMS"}},
		"RotateFileVaultKey":       {device.FileVaultRecoveryKey, []string{"RotateResult", "EncryptedNewRecoveryKey"}},
		"ActivationLockBypassCode": {device.ActivationLockBypassCode, []string{"ActivationLockBypassCode"}},
	}
)

// stands reports whether there is anything at the place.
func (p secretPlace) stands(in json.RawMessage) bool {
	for _, key := range p.path {
		var err error
		if in, err = get(in, key); err != nil || in == nil {
			return false
		}
	}
	return true
}

func orderedSecret(e device.CommandQueued) device.SecretKind {
	if p := secretsOrdered[e.RequestType]; e.Channel == "" && p.kind != "" && p.stands(e.Parameters) {
		return p.kind
	}
	return ""
}

// acknowledged keeps what an answer holds. A command that was done makes what was set before it worthless.
func (s secrets) acknowledged(tx Tx, r *record, e device.CommandAcknowledged) error {
	if p := secretsAnswered[e.RequestType]; p.kind != "" && len(r.env.Secret) > 0 && p.stands(e.Result) {
		return s.only(tx, r, p.kind, e.UUID)
	}
	p := secretsOrdered[e.RequestType]
	if p.kind == "" || e.Channel != "" {
		return nil
	}
	return tx.Exec(`DELETE FROM secrets WHERE device = ? AND kind = ? AND position < ? AND EXISTS (
		SELECT 1 FROM secrets n WHERE n.device = ? AND n.kind = ? AND n.position = ?)`,
		r.device, string(p.kind), r.command, r.device, string(p.kind), r.command)
}

// ended forgets what a command would have set that was never carried out. One that was handed out and then taken back
// may have been, for all that is known.
func (s secrets) ended(tx Tx, r *record, requestType string, though int) error {
	p := secretsOrdered[requestType]
	if p.kind == "" {
		return nil
	}
	return tx.Exec(`DELETE FROM secrets WHERE device = ? AND kind = ? AND position = ? AND sure <= ?`, r.device, string(p.kind), r.command, though)
}

func (s secrets) add(tx Tx, r *record, kind device.SecretKind, uuid string, sure int) error {
	return tx.Exec(`INSERT INTO secrets (device, kind, position, uuid, sure) VALUES (?, ?, ?, ?, ?)`, r.device, string(kind), r.position, uuid, sure)
}

func (s secrets) none(tx Tx, r *record, kind device.SecretKind) error {
	return tx.Exec(`DELETE FROM secrets WHERE device = ? AND kind = ?`, r.device, string(kind))
}

// only says that of this kind the event's is the one that counts.
func (s secrets) only(tx Tx, r *record, kind device.SecretKind, uuid string) error {
	if err := s.none(tx, r, kind); err != nil {
		return err
	}
	return s.add(tx, r, kind, uuid, 1)
}

// erased forgets all of a device. That they were revealed is told by the log.
func (s secrets) erased(tx Tx, r *record, e device.SubjectErased) error {
	if e.Channel != "" {
		return nil
	}
	if err := tx.Exec(`DELETE FROM secrets WHERE device = ?`, r.device); err != nil {
		return err
	}
	return tx.Exec(`DELETE FROM secrets_revealed WHERE device = ?`, r.device)
}

// secretsNeed: in what is sealed as personal a mask stands where a secret was.
func secretsNeed(e domain.Event) bool {
	switch e := e.(type) {
	case device.CommandQueued:
		return e.Channel == "" && secretsOrdered[e.RequestType].kind != ""
	case device.CommandAcknowledged:
		return secretsAnswered[e.RequestType].kind != ""
	}
	return false
}

// Secrets lists the secrets that the log holds of a device: of each kind the one that counts, which is the newest.
func (v *Views) Secrets(ctx context.Context, id string) (list []Secret, err error) {
	err = v.read(ctx, func(tx Tx) error {
		number, err := idOf(tx, devices, id)
		if err != nil || number == 0 {
			return err
		}
		return tx.Query(`SELECT s.kind, s.position, s.uuid, t.time, COALESCE(v.n, 0), COALESCE(l.time, 0)
			FROM secrets s JOIN timeline t ON t.position = s.position
			LEFT JOIN secrets_revealed v ON v.device = s.device AND v.kind = s.kind
			LEFT JOIN timeline l ON l.position = v.last
			WHERE s.device = ? AND s.position = (SELECT MAX(n.position) FROM secrets n WHERE n.device = s.device AND n.kind = s.kind)
			ORDER BY s.kind`, []any{number}, func(r Row) error {
			list = append(list, Secret{
				Kind: device.SecretKind(r.Text(0)), Position: eventstore.Position(r.Int(1)), UUID: r.Text(2), Since: moment(r.Int(3)),
				Revealed: int(r.Int(4)), LastRevealed: moment(r.Int(5)),
			})
			return nil
		})
	})
	return list, err
}

// HasChannel reports whether events of the device speak of the user's channel.
func (v *Views) HasChannel(ctx context.Context, id string, channel device.ChannelID) (known bool, err error) {
	err = v.read(ctx, func(tx Tx) error {
		number, err := idOf(tx, devices, id)
		if err != nil || number == 0 {
			return err
		}
		user, err := idOf(tx, channels, string(channel))
		if err != nil || user == 0 {
			return err
		}
		known, err = one(tx, `SELECT 1 FROM timeline WHERE device = ? AND channel = ? LIMIT 1`, []any{number, user}, func(Row) {})
		return err
	})
	return known, err
}
