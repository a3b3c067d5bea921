package projections

import (
	"context"
	_ "embed"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/rawjson"
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
	Until        time.Time // when it ceased to count; zero while it may count
	Counts       bool      // it is the newest of its kind; of passwords, the newest that the device has acknowledged, if there is one
	Pending      bool      // of passwords: the device has not acknowledged it
	Revealed     int       // how often secrets of its kind were
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
	case device.RecoveryKeyEscrowed: // the answer that it came in stands before it
		if err := tx.Exec(`DELETE FROM secrets WHERE device = ? AND kind = ? AND uuid = ?`, r.device, string(device.FileVaultRecoveryKey), e.UUID); err != nil {
			return err
		}
		return s.only(tx, r, device.FileVaultRecoveryKey, e.UUID)
	case device.Located:
		return s.located(tx, r, e)
	case device.LocationsForgotten:
		return s.unlocated(tx, r, e.Day)
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
			return s.add(tx, r, kind, e.UUID, -2*int(boolInt(e.Clears)))
		}
	case device.CommandDelivered:
		if secretsOrdered[e.RequestType].kind != "" {
			return tx.Exec(`UPDATE secrets SET sure = CASE sure WHEN 0 THEN 1 WHEN -2 THEN -1 ELSE sure END WHERE device = ? AND kind = ? AND position = ?`, r.device, string(secretsOrdered[e.RequestType].kind), r.command)
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
	case device.ResultUnmatched:
		return s.late(tx, r, e)
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
		if in, err = rawjson.Get(in, key); err != nil || in == nil {
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
		return s.answered(tx, r, p.kind, e.UUID)
	}
	p := secretsOrdered[e.RequestType]
	if p.kind == "" || e.Channel != "" {
		return nil
	}
	if isPassword(p.kind) && !device.PasswordAnswer(e) {
		return s.ended(tx, r, e.RequestType, 1)
	}
	set, err := one(tx, `SELECT 1 FROM secrets WHERE device = ? AND kind = ? AND position = ?`, []any{r.device, string(p.kind), r.command}, func(Row) {})
	if err != nil || !set {
		return err
	}
	if err := s.past(tx, r, p.kind, r.command); err != nil || !isPassword(p.kind) {
		return err
	}
	if err := tx.Exec(`DELETE FROM secrets WHERE device = ? AND kind = ? AND position = ? AND sure < 0`, r.device, string(p.kind), r.command); err != nil {
		return err
	}
	return tx.Exec(`UPDATE secrets SET sure = 2 WHERE device = ? AND kind = ? AND position = ?`, r.device, string(p.kind), r.command)
}

// isPassword reports whether a secret is one that counts once the device has acknowledged it, and not before.
func isPassword(kind device.SecretKind) bool {
	return kind == device.RecoveryLock || kind == device.FirmwarePassword
}

// late keeps what an answer holds that belonged to no waiting command.
func (s secrets) late(tx Tx, r *record, e device.ResultUnmatched) error {
	if e.Channel != "" || len(r.env.Secret) == 0 {
		return nil
	}
	for _, requestType := range slices.Sorted(maps.Keys(secretsAnswered)) {
		if p := secretsAnswered[requestType]; p.stands(e.Result) {
			return s.only(tx, r, p.kind, e.UUID)
		}
	}
	return nil
}

// answered keeps the secret of an answer. That a recovery key is a new one is told by an event of its own.
func (s secrets) answered(tx Tx, r *record, kind device.SecretKind, uuid string) error {
	if kind != device.FileVaultRecoveryKey {
		return s.only(tx, r, kind, uuid)
	}
	known, err := one(tx, `SELECT 1 FROM secrets WHERE device = ? AND kind = ?`, []any{r.device, string(kind)}, func(Row) {})
	if err != nil || known {
		return err
	}
	return s.add(tx, r, kind, uuid, 1)
}

// past says that the secrets of a kind that came before a position count no more. What no device has seen yet is still to come.
func (s secrets) past(tx Tx, r *record, kind device.SecretKind, before int64) error {
	if err := tx.Exec(`INSERT INTO secrets_past (device, kind, position, uuid, until)
		SELECT device, kind, position, uuid, ? FROM secrets WHERE device = ? AND kind = ? AND position < ? AND sure > 0`,
		r.position, r.device, string(kind), before); err != nil {
		return err
	}
	return tx.Exec(`DELETE FROM secrets WHERE device = ? AND kind = ? AND position < ? AND sure > 0`, r.device, string(kind), before)
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
	return s.past(tx, r, kind, r.position)
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
	for _, table := range []string{"secrets", "secrets_past", "secrets_revealed", "locations"} {
		if err := tx.Exec(`DELETE FROM `+table+` WHERE device = ?`, r.device); err != nil {
			return err
		}
	}
	return nil
}

// secretsNeed: in what is sealed as personal a mask stands where a secret was.
func secretsNeed(e domain.Event) bool {
	switch e := e.(type) {
	case device.CommandQueued:
		return e.Channel == "" && secretsOrdered[e.RequestType].kind != ""
	case device.CommandAcknowledged:
		return secretsAnswered[e.RequestType].kind != "" || isPassword(secretsOrdered[e.RequestType].kind)
	case device.ResultUnmatched:
		return e.Channel == ""
	}
	return false
}

// secretsListed are the secrets of a device from newest to oldest, each with whether it is the one of its kind that counts.
//
//nolint:gosec // a question, and no credential
const secretsListed = `SELECT s.kind, s.position, s.uuid, t.time, COALESCE(u.time, 0), COALESCE(v.n, 0), COALESCE(l.time, 0), s.counts, s.sure
	FROM (SELECT device, kind, position, uuid, sure, 0 AS until,
			position = COALESCE((SELECT MAX(n.position) FROM secrets n WHERE n.device = c.device AND n.kind = c.kind AND n.sure = 2),
				(SELECT MAX(n.position) FROM secrets n WHERE n.device = c.device AND n.kind = c.kind AND n.sure >= 0)) AS counts
			FROM secrets c WHERE device = ? AND sure >= 0
		UNION ALL SELECT device, kind, position, uuid, 2, until, 0 = 1 FROM secrets_past WHERE device = ?) s
	JOIN timeline t ON t.position = s.position
	LEFT JOIN timeline u ON u.position = s.until
	LEFT JOIN secrets_revealed v ON v.device = s.device AND v.kind = s.kind
	LEFT JOIN timeline l ON l.position = v.last`

// mostSecrets is how many secrets of a device are listed at most: the newest.
const mostSecrets = 1000

// Secrets lists the secrets that the log holds of a device: of each kind the one that counts, and after it those passwords
// that are to take its place.
func (v *Views) Secrets(ctx context.Context, id string) ([]Secret, error) {
	return v.secrets(ctx, id, ` WHERE s.counts OR s.until = 0 AND s.sure < 2 AND s.kind IN (?, ?) ORDER BY s.kind, s.counts DESC, s.position DESC`,
		string(device.RecoveryLock), string(device.FirmwarePassword))
}

// SecretHistory lists all secrets that the log holds of a device, those that count no more too: the newest thousand, the
// newest first.
func (v *Views) SecretHistory(ctx context.Context, id string) ([]Secret, error) {
	return v.secrets(ctx, id, ` ORDER BY s.position DESC LIMIT ?`, mostSecrets)
}

// SecretAt returns the secret of a kind that an event of the device holds, also one that counts no more.
func (v *Views) SecretAt(ctx context.Context, id string, kind device.SecretKind, at eventstore.Position) (Secret, bool, error) {
	list, err := v.secrets(ctx, id, ` WHERE s.kind = ? AND s.position = ?`, string(kind), int64(at))
	if err != nil || len(list) == 0 {
		return Secret{}, false, err
	}
	return list[0], true, nil
}

func (v *Views) secrets(ctx context.Context, id, which string, values ...any) (list []Secret, err error) {
	err = v.read(ctx, func(tx Tx) error {
		number, err := idOf(tx, devices, id)
		if err != nil || number == 0 {
			return err
		}
		return tx.Query(secretsListed+which, append([]any{number, number}, values...), func(r Row) error {
			list = append(list, Secret{
				Kind: device.SecretKind(r.Text(0)), Position: eventstore.Position(r.Int(1)), UUID: r.Text(2), Since: moment(r.Int(3)),
				Until: moment(r.Int(4)), Revealed: int(r.Int(5)), LastRevealed: moment(r.Int(6)), Counts: r.Int(7) != 0,
			})
			last := &list[len(list)-1]
			last.Pending = isPassword(last.Kind) && r.Int(8) < 2
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
