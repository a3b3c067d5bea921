package projections

import (
	"encoding/json"
	"strings"

	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/rawjson"
)

func (f *facts) apply(tx Tx, r *record) error {
	if r.device == 0 {
		return nil
	}
	if r.revived {
		if err := f.say(tx, r, statement{"enrollment.status", string(device.StatusEnrolled)}); err != nil {
			return err
		}
	}
	switch e := r.event.(type) {
	case device.CommandAcknowledged:
		return f.acknowledged(tx, r, e)
	case device.CommandQueued:
		return f.queued(tx, r, e)
	case device.DeclarationStatusReported:
		return f.status(tx, r, e)
	case device.CommandFailed, device.CommandFormatRejected, device.CommandCancelled, device.CommandSuperseded,
		device.CommandExpired:
		return f.unask(tx, r)
	case device.Authenticated:
		return f.authenticated(tx, r, e)
	case device.TokenUpdated:
		return f.tokenUpdated(tx, r, e)
	case device.CheckedOut:
		return f.checkedOut(tx, r)
	case device.RecoveryKeyEscrowed:
		return f.say(tx, r, statement{"security.FDE_RecoveryKeyRecipient", or(e.EncryptedFor, "unknown")})
	case device.UnenrolmentOrdered:
		return f.say(tx, r, statement{"enrollment.leaving", true})
	case device.UnenrolmentWithdrawn:
		return f.forgetKeys(tx, r, "enrollment.leaving")
	case device.Quarantined:
		return f.say(tx, r, statement{"enrollment.quarantine", true})
	case device.QuarantineLifted:
		return f.forgetKeys(tx, r, "enrollment.quarantine")
	case device.PresumedUnmanaged:
		return f.say(tx, r, statement{"enrollment.status", string(device.StatusPresumedUnmanaged)})
	case device.IdentityPinned:
		return f.identity(tx, r, e.Certificate, e.Serial, e.NotAfter.UTC().Format(timeFormat))
	case device.IdentityReplaced:
		return f.identity(tx, r, e.Certificate, e.Serial, e.NotAfter.UTC().Format(timeFormat))
	case device.BootstrapTokenEscrowed:
		return f.bootstrap(tx, r, e.AwaitingConfiguration, statement{"enrollment.bootstrapTokenEscrowed", true})
	case device.SubjectErased:
		if e.Channel != "" {
			return f.userErased(tx, r, e.Channel)
		}
		return f.erased(tx, r)
	case device.BootstrapTokenDeleted:
		return f.bootstrap(tx, r, e.AwaitingConfiguration, statement{"enrollment.bootstrapTokenEscrowed", false})
	case device.BootstrapTokenReleased:
		return f.bootstrap(tx, r, e.AwaitingConfiguration)
	}
	return nil
}

// bootstrap says what a message about the bootstrap token told, and whether the device awaits configuration.
func (f *facts) bootstrap(tx Tx, r *record, awaits *bool, about ...statement) error {
	if awaits != nil {
		about = append(about, statement{"enrollment.awaitingConfiguration", *awaits})
	}
	return f.say(tx, r, about...)
}

// timeFormat is how facts write times.
const timeFormat = "2006-01-02T15:04:05Z07:00"

func (f *facts) authenticated(tx Tx, r *record, e device.Authenticated) error {
	if !e.Renewal {
		if err := f.begin(tx, r); err != nil {
			return err
		}
	}
	about := []statement{{"enrollment.generation", e.Generation}, {"enrollment.topic", e.Topic}}
	if !e.Renewal {
		about = append(about, statement{"enrollment.status", string(device.StatusAuthenticated)})
	}
	about = append(about, statement{"enrollment.road", e.Road}, statement{"enrollment.invitation", e.Invitation})
	if !e.Renewal {
		about = append(about, statement{"enrollment.account", e.Person.Told()}, statement{"enrollment.accountVouchedBy", e.Person.Issuer})
	}
	if e.AccessRights != 0 {
		about = append(about, statement{"enrollment.accessRights", e.AccessRights})
	}
	if err := f.say(tx, r, about...); err != nil {
		return err
	}
	return f.say(tx, r, append(identityFacts(e.Identity),
		statement{"device.OSVersion", e.OSVersion}, statement{"device.BuildVersion", e.BuildVersion},
		statement{"device.ProductName", e.ProductName}, statement{"device.Model", e.Model},
		statement{"device.ModelName", e.ModelName})...)
}

// begin ends what belonged to the enrolment before: its users, and what only the new one can tell.
func (f *facts) begin(tx Tx, r *record) error {
	if err := f.forgetKeys(tx, r, "device.IsSupervised", "enrollment.awaitingConfiguration",
		"enrollment.bootstrapTokenEscrowed", "enrollment.accessRights", "enrollment.road", "enrollment.invitation", "enrollment.account", "enrollment.accountVouchedBy", "enrollment.leaving", "security.ManagementStatus.UserApprovedEnrollment"); err != nil {
		return err
	}
	users, err := f.userAreas(tx, r.device)
	if err != nil {
		return err
	}
	for _, area := range append(users, "declaration.", "status.") {
		if err := f.tell(tx, r, area, nil, true); err != nil {
			return err
		}
	}
	return nil
}

// userAreas lists the areas in which users of a device are spoken of.
func (f *facts) userAreas(tx Tx, device int64) (found []string, err error) {
	err = tx.Query(`SELECT DISTINCT n.text FROM facts f JOIN names n ON n.vocabulary = ? AND n.id = f.area
		WHERE f.device = ? AND n.text LIKE 'user/%' ORDER BY n.text`, []any{int64(areas), device}, func(r Row) error {
		found = append(found, r.Text(0))
		return nil
	})
	return found, err
}

func identityFacts(i device.Identity) []statement {
	return []statement{
		{"device.UDID", i.UDID}, {"device.EnrollmentID", i.EnrollmentID}, {"device.SerialNumber", i.SerialNumber},
		{"device.IMEI", i.IMEI}, {"device.MEID", i.MEID}, {"device.DeviceName", i.DeviceName},
	}
}

func (f *facts) tokenUpdated(tx Tx, r *record, e device.TokenUpdated) error {
	prefix := userPrefix(e.Channel)
	about := []statement{{prefix + "enrollment.status", string(device.StatusEnrolled)}}
	if e.Channel != "" {
		about = append(about, statement{prefix + "enrollment.UserID", e.User.UserID},
			statement{prefix + "enrollment.EnrollmentUserID", e.User.EnrollmentUserID},
			statement{prefix + "enrollment.UserShortName", e.User.UserShortName},
			statement{prefix + "enrollment.UserLongName", e.User.UserLongName})
	}
	if e.NotOnConsole != nil {
		about = append(about, statement{prefix + "enrollment.notOnConsole", *e.NotOnConsole})
	}
	if e.Channel == "" {
		about = append(about, statement{"enrollment.topic", e.Topic})
		if e.AwaitingConfiguration != nil {
			about = append(about, statement{"enrollment.awaitingConfiguration", *e.AwaitingConfiguration})
		}
	}
	if err := f.say(tx, r, about...); err != nil || e.Channel != "" {
		return err
	}
	return f.say(tx, r, identityFacts(e.Identity)...)
}

// ChannelPrefix returns how the keys of those facts begin that a channel has told of itself; the device's own have no prefix.
func ChannelPrefix(channel device.ChannelID) string { return userPrefix(channel) }

func userPrefix(channel device.ChannelID) string {
	if channel == "" {
		return ""
	}
	return "user/" + string(channel) + "/"
}

func (f *facts) checkedOut(tx Tx, r *record) error {
	left := string(device.StatusCheckedOut)
	if err := f.say(tx, r, statement{"enrollment.status", left}); err != nil {
		return err
	}
	users, err := f.userAreas(tx, r.device)
	if err != nil {
		return err
	}
	for _, area := range users {
		if !strings.HasSuffix(area, "/enrollment.") {
			continue
		}
		if err := f.say(tx, r, statement{area + "status", left}); err != nil {
			return err
		}
	}
	return nil
}

func (f *facts) identity(tx Tx, r *record, fingerprint, serial, notAfter string) error {
	return f.say(tx, r, statement{"identity.certificate", map[string]any{
		"Fingerprint": fingerprint, "Serial": serial, "NotAfter": notAfter,
	}})
}

// queued notes a command that asks for a part of a list only.
func (f *facts) queued(tx Tx, r *record, e device.CommandQueued) error {
	if _, is := lists[e.RequestType]; !is || len(e.Parameters) == 0 {
		return nil
	}
	asked, err := rawjson.Members(e.Parameters)
	if err != nil {
		return err
	}
	partial, items := false, false
	for _, m := range asked {
		switch m.Name {
		case "ManagedAppsOnly", "ManagedOnly":
			partial = partial || string(m.Value) == "true"
		case "Identifiers":
			partial = partial || string(m.Value) != "null"
		case "Items":
			items = items || string(m.Value) != "null"
		}
	}
	if !partial && !items {
		return nil
	}
	return tx.Exec(`INSERT INTO facts_partial (command, items) VALUES (?, ?)`, r.command, boolInt(items)+2*boolInt(partial))
}

func boolInt(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// unask forgets a command that ended without an answer.
func (f *facts) unask(tx Tx, r *record) error {
	return tx.Exec(`DELETE FROM facts_partial WHERE command = ?`, r.command)
}

func (f *facts) acknowledged(tx Tx, r *record, e device.CommandAcknowledged) error {
	if e.RequestType == "DeviceConfigured" && e.Channel == "" {
		return f.say(tx, r, statement{"enrollment.awaitingConfiguration", false})
	}
	if e.Channel == "" && (e.RequestType == "EnableLostMode" || e.RequestType == "DisableLostMode") {
		return f.say(tx, r, statement{"device.IsMDMLostModeEnabled", e.RequestType == "EnableLostMode"})
	}
	if e.SameAs != 0 {
		return f.unask(tx, r) // the same list in answer to the same question: nothing has changed
	}
	if len(e.Result) == 0 {
		return nil
	}
	prefix := userPrefix(e.Channel)
	switch e.RequestType {
	case "DeviceInformation":
		return f.answer(r, prefix+"device.", e.Result, func() error { return f.responses(tx, r, prefix, e.Result) })
	case "SecurityInfo":
		return f.answer(r, prefix+"security.", e.Result, func() error {
			return f.flat(tx, r, e.Result, "SecurityInfo", prefix+"security.", false)
		})
	case "Restrictions":
		return f.answer(r, prefix+"restriction.", e.Result, func() error {
			return f.flat(tx, r, e.Result, "GlobalRestrictions", prefix+"restriction.", true)
		})
	}
	if key, is := passwordFacts[e.RequestType]; is && e.Channel == "" {
		return f.say(tx, r, statement{key, device.PasswordAnswer(e)})
	}
	if l, is := lists[e.RequestType]; is {
		if err := f.list(tx, r, l, prefix, e.Result); err != nil || e.RequestType != "AvailableOSUpdates" || prefix != "" {
			return err
		}
		return f.unschedule(tx, r, e.Result)
	}
	return nil
}

// passwordFacts are what a Mac says about a password that this server knows: whether it is the right one.
var passwordFacts = map[string]string{
	"VerifyRecoveryLock": "security.RecoveryLockVerified", "VerifyFirmwarePassword": "security.FirmwarePasswordVerified",
}

// responses tells what a device answered to a DeviceInformation.
func (f *facts) responses(tx Tx, r *record, prefix string, result json.RawMessage) error {
	responses, err := rawjson.Get(result, "QueryResponses")
	if err != nil {
		return err
	}
	list, err := rawjson.Members(responses)
	if err != nil {
		return err
	}
	told := make([]fact, 0, len(list))
	for _, m := range list {
		if m.Name == "PushToken" {
			continue // whoever holds it could wake the device
		}
		value, err := canonicalRaw(m.Value)
		if err != nil {
			return err
		}
		one, err := f.fact(tx, prefix+"device."+m.Name, value)
		if err != nil {
			return err
		}
		told = append(told, one)
	}
	return f.tell(tx, r, prefix+"device.", told, false)
}

// flat tells a dictionary, its nested ones with dots.
func (f *facts) flat(tx Tx, r *record, result json.RawMessage, field, prefix string, complete bool) error {
	dict, err := rawjson.Get(result, field)
	if err != nil || dict == nil {
		return err
	}
	var told []fact
	var walk func(prefix string, raw json.RawMessage) error
	walk = func(prefix string, raw json.RawMessage) error {
		list, err := rawjson.Members(raw)
		if err != nil {
			return err
		}
		for _, m := range list {
			if len(m.Value) > 0 && m.Value[0] == '{' {
				if err := walk(prefix+m.Name+".", m.Value); err != nil {
					return err
				}
				continue
			}
			value, err := canonicalRaw(m.Value)
			if err != nil {
				return err
			}
			one, err := f.fact(tx, prefix+m.Name, value)
			if err != nil {
				return err
			}
			told = append(told, one)
		}
		return nil
	}
	if err := walk(prefix, dict); err != nil {
		return err
	}
	return f.tell(tx, r, prefix, told, complete)
}
