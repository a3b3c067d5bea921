package projections

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strconv"

	"github.com/rollcall-mdm/rollcall/rawjson"
)

// A list says how a list in an answer becomes facts.
type list struct {
	field string // of the answer: an array of dictionaries, or a dictionary of them
	area  string
	key   string // the member that names an entry
	or    string // what names it if that is absent
	omit  map[string]bool
	some  bool                                                   // it never is complete: what it does not name may be there all the same
	as    func(json.RawMessage) (ident, value string, err error) // instead of all these
}

// lists are the answers that are lists, by request type.
//
// Left out of the facts: how much data an app has stored (it changes by the hour and would hide what matters), and
// the certificates of a profile's signer (long, and the same for thousands). The answer itself stays in the log.
var lists = map[string]list{
	"InstalledApplicationList": {field: "InstalledApplicationList", area: "application.", key: "Identifier", or: "Name",
		omit: map[string]bool{"DynamicSize": true}},
	"ProfileList": {field: "ProfileList", area: "profile.", key: "PayloadIdentifier", or: "PayloadUUID",
		omit: map[string]bool{"SignerCertificates": true}},
	"ProvisioningProfileList": {field: "ProvisioningProfileList", area: "provisioning-profile.", key: "UUID", or: "Name"},
	"ManagedApplicationList":  {field: "ManagedApplicationList", area: "managed-application."},
	"UserList":                {field: "Users", area: "user.", key: "UserName", or: "UID"},
	"ScheduleOSUpdate":        {field: "UpdateResults", area: scheduledArea, key: "ProductKey", or: "InstallAction", some: true},
	"OSUpdateStatus":          {field: "OSUpdateStatus", area: "update-status.", key: "ProductKey", or: "Status"},
	"AvailableOSUpdates":      {field: "AvailableOSUpdates", area: "update.", key: "ProductKey", or: "Version"},
	"CertificateList":         {field: "CertificateList", area: "certificate.", as: certificateFact},
}

// list tells a list. The same entry twice is told apart by #2, #3 and so on, in the order of the answer.
func (f *facts) list(tx Tx, r *record, l list, prefix string, result json.RawMessage) error {
	raw, err := rawjson.Get(result, l.field)
	if err != nil || raw == nil {
		return err
	}
	var how int64
	asked, err := onerow(tx, `SELECT items FROM facts_partial WHERE command = ?`, []any{r.command}, &how)
	if err == nil && asked {
		err = f.unask(tx, r)
	}
	if err != nil {
		return err
	}
	if how == 0 {
		return f.answer(r, prefix+l.area, raw, func() error { return f.whole(tx, r, l, prefix+l.area, raw, 0) })
	}
	return f.whole(tx, r, l, prefix+l.area, raw, how)
}

// whole tells a list; how says what of it was asked for, as queued notes it.
func (f *facts) whole(tx Tx, r *record, l list, area string, raw json.RawMessage, how int64) error {
	told, err := f.entries(tx, l, area, raw)
	if err == nil && how&1 != 0 {
		err = f.merge(tx, r, area, told)
	}
	if err != nil {
		return err
	}
	return f.tell(tx, r, area, told, how&2 == 0 && !l.some)
}

// entries turns the entries of a list into facts.
func (f *facts) entries(tx Tx, l list, area string, raw json.RawMessage) ([]fact, error) {
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
	told, seen := make([]fact, 0, len(named)), make(map[int64]int, len(named))
	for _, m := range named {
		one, err := f.entry(tx, l, area, m)
		if err != nil {
			return nil, err
		}
		key := one.key
		if seen[key]++; seen[key] > 1 {
			if key, err = f.names.id(keys, area+one.ident+"#"+strconv.Itoa(seen[key])); err != nil {
				return nil, err
			}
		}
		told = append(told, fact{key: key, object: one.object})
	}
	return told, nil
}

// entry decodes an entry of a list, unless it has met the very same before.
func (f *facts) entry(tx Tx, l list, area string, m rawjson.Member) (one entry, err error) {
	at := piece{area, m.Name, digest(m.Value)}
	if known, ok := f.known[at]; ok {
		return known, nil
	}
	as := l.as
	if as == nil {
		as = l.decode
	}
	ident, value, err := as(m.Value)
	if err != nil {
		return entry{}, err
	}
	if one.ident = ident; m.Name != "" {
		one.ident = m.Name
	}
	if one.key, err = f.names.id(keys, area+one.ident); err != nil {
		return entry{}, err
	}
	if one.object, err = f.object(tx, value); err != nil {
		return entry{}, err
	}
	if len(f.known) >= maxRemembered {
		clear(f.known)
	}
	f.known[at] = one
	return one, nil
}

func (l list) decode(raw json.RawMessage) (ident, value string, err error) {
	decoded, err := decode(raw)
	if err != nil {
		return "", "", err
	}
	if dict, is := decoded.(map[string]any); is {
		for omitted := range l.omit {
			delete(dict, omitted)
		}
		if ident, _ = dict[l.key].(string); ident == "" {
			ident, _ = dict[l.or].(string)
		}
		if number, is := dict[l.or].(json.Number); is && ident == "" {
			ident = number.String()
		}
	}
	if ident == "" {
		ident = "unnamed"
	}
	value, err = canonical(decoded)
	return ident, value, err
}

// certificateFact keeps what a certificate says, and its hash instead of its bytes.
func certificateFact(raw json.RawMessage) (ident, value string, err error) {
	list, err := rawjson.Members(raw)
	if err != nil {
		return "", "", err
	}
	about := map[string]any{}
	var der []byte
	for _, m := range list {
		switch m.Name {
		case "CommonName":
			about["CommonName"] = text(m.Value)
		case "IsIdentity":
			about["IsIdentity"] = string(m.Value) == "true"
		case "Data":
			der, _ = base64.StdEncoding.DecodeString(text(m.Value)) // what is no certificate is named by its bytes
		}
	}
	if cert, err := x509.ParseCertificate(der); err == nil {
		about["Serial"] = hex.EncodeToString(cert.SerialNumber.Bytes())
		about["NotBefore"] = cert.NotBefore.UTC().Format(timeFormat)
		about["NotAfter"] = cert.NotAfter.UTC().Format(timeFormat)
		about["Issuer"] = cert.Issuer.String()
	}
	sum := sha256.Sum256(der)
	value, err = canonical(about)
	return hex.EncodeToString(sum[:]), value, err
}

// merge adds to entries, of which only some members were asked for, what was known of them before.
func (f *facts) merge(tx Tx, r *record, area string, told []fact) error {
	areaID, err := f.names.id(areas, area)
	if err != nil {
		return err
	}
	known, err := f.area(tx, r.device, areaID)
	if err != nil {
		return err
	}
	for i, now := range told {
		before, was := known[now.key]
		if !was || before.object == now.object {
			continue
		}
		if told[i].object, err = f.merged(tx, before.object, now.object); err != nil {
			return err
		}
	}
	return nil
}

func (f *facts) merged(tx Tx, before, now int64) (int64, error) {
	whole := map[string]json.RawMessage{}
	for _, id := range []int64{before, now} { // the later one counts
		var value string
		if _, err := one(tx, `SELECT value FROM fact_values WHERE id = ?`, []any{id}, func(r Row) { value = r.Text(0) }); err != nil {
			return 0, err
		}
		list, err := rawjson.Members(json.RawMessage(value))
		if err != nil {
			return 0, err
		}
		for _, m := range list {
			whole[m.Name] = m.Value
		}
	}
	value, err := canonical(whole)
	if err != nil {
		return 0, err
	}
	return f.object(tx, value)
}
