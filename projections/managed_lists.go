package projections

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strings"

	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/rawjson"
)

// A toldThing is what a list tells of one thing.
type toldThing struct {
	UUID    string `json:"u,omitempty"`
	Managed *bool  `json:"m,omitempty"` // nil: the device does not tell
	Enrols  bool   `json:"e,omitempty"` // it is the enrolment profile
	Status  string `json:"s,omitempty"` // of an app
	Stays   int64  `json:"k,omitempty"`
	About   string `json:"a,omitempty"` // JSON, for people
}

// A managedList says how a list tells of managed things.
type managedList struct {
	kind, field string
	entry       func(name string, raw json.RawMessage) (ident string, told toldThing)
	judge       func(*holding, toldThing) // what an entry says of a thing
	claims      func(toldThing) bool      // whether it says that the thing is managed, though nobody here ordered it; never if nil
}

// managedLists are the answers that tell of managed things, by request type.
var managedLists = map[string]managedList{
	"ProfileList":                     {KindProfile, "ProfileList", profileEntry, judgeProfile, func(t toldThing) bool { return t.Managed != nil && *t.Managed && !t.Enrols }},
	"ProvisioningProfileList":         {KindProvisioning, "ProvisioningProfileList", provisioningEntry, judgePresent, nil},
	"ManagedApplicationList":          {KindApp, "ManagedApplicationList", appEntry, judgeApp, func(t toldThing) bool { return t.Status == "Managed" }},
	"ManagedMediaList":                {KindMedia, "Books", mediaEntry, judgeMedia, nil},
	"CertificateList":                 {KindCertificate, "CertificateList", certificateEntry, judgePresent, nil},
	"UserList":                        {KindAccount, "Users", accountEntry, judgePresent, nil},
	"ManagedApplicationConfiguration": {KindApp, "ApplicationConfigurations", appDetail("configuration", "Configuration"), judgeDetail, nil},
	"ManagedApplicationFeedback":      {KindApp, "ManagedApplicationFeedback", appDetail("feedback", "Feedback"), judgeDetail, nil},
	"ManagedApplicationAttributes":    {KindApp, "ApplicationAttributes", appDetail("attributes", "Attributes"), judgeDetail, nil},
}

// whole reports whether what the list does not name is not there.
func (l managedList) whole() bool { return l.kind != KindApp || l.field == "ManagedApplicationList" }

// told tells what a list says of things; part says that it was asked for some of them only.
func (m managed) told(tx Tx, r *record, e device.CommandAcknowledged, l managedList, part bool) error {
	channel, err := m.channel(e.Channel)
	if err != nil {
		return err
	}
	entries, known, err := m.entries(tx, r, e, l, channel)
	if err != nil || !known {
		return err
	}
	current, err := held(tx, r.device, ` AND channel = ? AND kind = ?`, channel, l.kind)
	if err != nil {
		return err
	}
	for ident, told := range entries {
		key := thingKey{channel, l.kind, ident}
		h, has := current[key]
		delete(current, key)
		if !has && (l.claims == nil || !l.claims(told)) {
			continue
		}
		if err := m.changed(tx, r, key, h, func(h *holding) {
			if h.state == "" {
				h.stays = told.Stays
			}
			l.judge(h, told)
		}); err != nil {
			return err
		}
	}
	if part || !l.whole() {
		return nil
	}
	for key, h := range current {
		if err := m.changed(tx, r, key, h, func(h *holding) {
			if (h.state == ManagedAcknowledged || h.state == ManagedVerified || h.state == ManagedDiffers) && h.stays != 2 {
				h.state, h.because = ManagedMissing, "the device did not list it"
			}
		}); err != nil {
			return err
		}
	}
	return nil
}

// entries returns what a list tells. Of one that says only that nothing has changed it is what was told then.
func (m managed) entries(tx Tx, r *record, e device.CommandAcknowledged, l managedList, channel int64) (entries map[string]toldThing, known bool, err error) {
	at := []any{r.device, channel, e.RequestType}
	if e.SameAs != 0 {
		var text string
		if known, err = one(tx, `SELECT told FROM managed_lists WHERE device = ? AND channel = ? AND list = ?`, at, func(r Row) { text = r.Text(0) }); err != nil || !known {
			return nil, false, err
		}
		return entries, true, json.Unmarshal([]byte(text), &entries)
	}
	if err := tx.Exec(`DELETE FROM managed_lists WHERE device = ? AND channel = ? AND list = ?`, at...); err != nil {
		return nil, false, err
	}
	raw, err := rawjson.Get(e.Result, l.field)
	if err != nil || raw == nil {
		return nil, false, err
	}
	if entries, err = l.read(raw); err != nil || len(e.Digest) == 0 {
		return entries, err == nil, err
	}
	text, err := json.Marshal(entries)
	if err != nil {
		return nil, false, err
	}
	return entries, true, tx.Exec(`INSERT INTO managed_lists (device, channel, list, told) VALUES (?, ?, ?, ?)`, append(at, string(text))...)
}

func (l managedList) read(raw json.RawMessage) (map[string]toldThing, error) {
	entries := map[string]toldThing{}
	named, err := rawjson.Members(raw)
	if err != nil {
		return nil, err
	}
	plain, err := rawjson.Elements(raw)
	if err != nil {
		return nil, err
	}
	for _, one := range plain {
		named = append(named, rawjson.Member{Value: one})
	}
	for _, m := range named {
		if ident, told := l.entry(m.Name, m.Value); ident != "" {
			entries[ident] = told
		}
	}
	return entries, nil
}

// about writes for people what some members of an entry say.
func about(raw json.RawMessage, names ...string) string {
	said := map[string]json.RawMessage{}
	for _, name := range names {
		if value := within(raw, name); value != nil {
			said[name] = value
		}
	}
	if len(said) == 0 {
		return ""
	}
	text, err := canonical(said)
	if err != nil {
		return "" // it was cut from well-formed JSON
	}
	return text
}

func profileEntry(_ string, raw json.RawMessage) (string, toldThing) {
	t := toldThing{UUID: text(within(raw, "PayloadUUID")), Managed: truth(within(raw, "IsManaged")),
		About: about(raw, "PayloadDisplayName", "PayloadVersion", "PayloadUUID", "PayloadRemovalDisallowed", "IsEncrypted")}
	payloads, _ := rawjson.Elements(within(raw, "PayloadContent")) // it was cut from well-formed JSON
	for _, payload := range payloads {
		t.Enrols = t.Enrols || text(within(payload, "PayloadType")) == "com.apple.mdm"
	}
	return text(within(raw, "PayloadIdentifier")), t
}

// judgeProfile: a Mac does not tell which profiles are managed; what we brought and what is there is then taken for ours.
func judgeProfile(h *holding, t toldThing) {
	claimed := t.Managed != nil && *t.Managed
	switch {
	case t.Managed != nil && !*t.Managed:
		if h.present() {
			h.state, h.because, h.about = ManagedMissing, "a profile of that name is there, but it is not managed", t.About
		}
		return
	case h.state == ManagedOrdered, !claimed && !h.present() && h.state != ManagedRemoved:
		return
	}
	h.about = t.About
	if h.uuid != "" && t.UUID != "" && !strings.EqualFold(h.uuid, t.UUID) {
		if h.present() {
			h.state, h.because = ManagedDiffers, "the device has another edition of it, PayloadUUID "+t.UUID
		}
		return
	}
	h.state, h.was = ManagedVerified, ""
	if !strings.HasPrefix(h.because, "it was not re") {
		h.because = ""
	}
}

func provisioningEntry(_ string, raw json.RawMessage) (string, toldThing) {
	return strings.ToLower(text(within(raw, "UUID"))), toldThing{About: about(raw, "Name", "ExpiryDate")}
}

// judgePresent: what is listed is there.
func judgePresent(h *holding, t toldThing) {
	if h.present() || h.state == ManagedRemoved {
		h.state, h.about = ManagedVerified, or(t.About, h.about)
		h.because = ""
	}
}

func appEntry(name string, raw json.RawMessage) (string, toldThing) {
	return name, toldThing{Status: text(within(raw, "Status")), Stays: stays(within(raw, "ManagementFlags")),
		About: about(raw, "Status", "ManagementFlags", "HasConfiguration", "HasFeedback", "IsValidated", "ExternalVersionIdentifier")}
}

// judgeApp reads Apple's states of managed apps. A failure is told once; whatever has no name here is on its way.
func judgeApp(h *holding, t toldThing) {
	if h.state == ManagedOrdered && t.Status != "Managed" || h.state == ManagedRemoved && t.Status != "Managed" {
		return
	}
	h.stays, h.about, h.because = t.Stays, merge(h.about, t.About), ""
	switch t.Status {
	case "Managed":
		h.state = ManagedVerified
	case "Failed", "UserRejected", "ManagementRejected":
		h.state, h.because = ManagedFailed, "the device tells: "+t.Status
	case "ManagedButUninstalled", "UserInstalledApp", "Unknown":
		if h.present() || h.state == ManagedGone || h.state == ManagedLeft {
			h.state, h.because = ManagedMissing, "the device tells: "+t.Status
		}
	default:
		h.state = ManagedAcknowledged
	}
}

func mediaEntry(_ string, raw json.RawMessage) (string, toldThing) {
	return bookOf(within(raw, "PersistentID"), within(raw, "iTunesStoreID")), toldThing{Status: text(within(raw, "State")), About: about(raw, "Title", "Version", "State")}
}

// judgeMedia: a book that is listed is there, or on its way.
func judgeMedia(h *holding, t toldThing) {
	if t.Status != "" && t.Status != "Installed" && t.Status != "Managed" {
		h.about = t.About
		return
	}
	judgePresent(h, t)
}

func certificateEntry(_ string, raw json.RawMessage) (string, toldThing) {
	der, err := base64.StdEncoding.DecodeString(text(within(raw, "Data")))
	if err != nil || len(der) == 0 {
		return "", toldThing{}
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:]), toldThing{About: about(raw, "CommonName")}
}

func accountEntry(_ string, raw json.RawMessage) (string, toldThing) {
	return text(within(raw, "UserName")), toldThing{About: about(raw, "FullName", "UID")}
}

// appDetail reads an answer about one side of managed apps.
func appDetail(as, name string) func(string, json.RawMessage) (string, toldThing) {
	return func(_ string, raw json.RawMessage) (string, toldThing) {
		value := within(raw, name)
		if value == nil {
			value = json.RawMessage("null") // none, or what it is is secret
		}
		said, err := canonical(map[string]json.RawMessage{as: value})
		if err != nil {
			return "", toldThing{}
		}
		return text(within(raw, "Identifier")), toldThing{About: said}
	}
}

func judgeDetail(h *holding, t toldThing) { h.about = merge(h.about, t.About) }

// merge adds to an object the members of another, which count.
func merge(before, now string) string {
	all := map[string]json.RawMessage{}
	for _, one := range []string{before, now} {
		if one == "" {
			continue
		}
		if list, err := rawjson.Members(json.RawMessage(one)); err == nil {
			for _, m := range list {
				all[m.Name] = m.Value
			}
		}
	}
	if len(all) == 0 {
		return ""
	}
	text, err := canonical(all)
	if err != nil {
		return before
	}
	return text
}
