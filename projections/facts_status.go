package projections

import (
	"encoding/json"
	"strings"

	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/rawjson"
)

// capabilities is the key of the fact that tells what a client of declarative management can take and tell.
const capabilities = "status.management.client-capabilities"

// statusFacts are the status items that tell what the answer to a command tells too: they become the same facts. All
// others are called status. and their name.
var statusFacts = map[string]string{
	"device.identifier.serial-number":                    "device.SerialNumber",
	"device.identifier.udid":                             "device.UDID",
	"device.model.identifier":                            "device.ProductName",
	"device.model.marketing-name":                        "device.ModelName",
	"device.model.number":                                "device.ModelNumber",
	"device.operating-system.build-version":              "device.BuildVersion",
	"device.operating-system.version":                    "device.OSVersion",
	"device.operating-system.supplemental.build-version": "device.SupplementalBuildVersion",
	"device.operating-system.supplemental.extra-version": "device.SupplementalOSVersionExtra",
	"diskmanagement.filevault.enabled":                   "security.FDE_Enabled",
	"passcode.is-compliant":                              "security.PasscodeCompliant",
	"passcode.is-present":                                "security.PasscodePresent",
	"softwareupdate.device-id":                           "device.SoftwareUpdateDeviceID",
}

// unsaid are status items that whoever holds them could use.
var unsaid = map[string]bool{"mdm.push-token": true, "mdm.push-magic": true, "enhanced-logging.applecare-token": true}

// wholes are status items whose value is one object, with its members: a report that tells such an item tells all of it. Of all
// other objects nobody can say whether they are a value or a step on the way to one.
var wholes = map[string][]string{
	"softwareupdate.failure-reason":  {"count", "reason", "timestamp"},
	"softwareupdate.install-reason":  {"reason", "declaration-id"},
	"softwareupdate.pending-version": {"os-version", "build-version"},
}

// A statusReport is one on its way into the facts.
type statusReport struct {
	*facts
	tx     Tx
	r      *record
	prefix string            // of a user's channel
	told   map[string][]fact // by area
	gone   []string          // keys
}

// status tells what a channel reported of itself. A full report is all there is to know; any other tells what has changed
// since the one before, and of lists with identifiers only the entries that did. What it reports of its declarations is
// always complete. Source: Apple, StatusReport.
func (f *facts) status(tx Tx, r *record, e device.DeclarationStatusReported) error {
	items, err := rawjson.Get(e.Report, "StatusItems")
	if err != nil {
		return err
	}
	full, err := rawjson.Get(e.Report, "FullReport")
	if err != nil {
		return err
	}
	s := &statusReport{facts: f, tx: tx, r: r, prefix: userPrefix(e.Channel), told: map[string][]fact{}}
	if err := s.walk("", items); err != nil {
		return err
	}
	for area, told := range s.told {
		complete := area == s.prefix+"declaration." || area == s.prefix+"status." && truth(full) != nil && *truth(full)
		if err := f.tell(tx, r, area, told, complete); err != nil {
			return err
		}
	}
	return f.forgetKeys(tx, r, s.gone...)
}

// walk tells the items of a nested object. path is the way to it, with a dot behind it.
func (s *statusReport) walk(path string, raw json.RawMessage) error {
	list, err := rawjson.Members(raw)
	if err != nil {
		return err
	}
	for _, m := range list {
		name := path + m.Name
		switch {
		case unsaid[name]:
		case name == "management.declarations":
			err = s.declarations(m.Value)
		case name == "management.client-capabilities":
			err = s.tellOne(capabilities, m.Value)
		case wholes[name] != nil && string(m.Value) == "null":
			err = s.leave(name, json.RawMessage(`{}`))
		case len(m.Value) > 0 && m.Value[0] == '{':
			if err = s.leave(name, m.Value); err == nil {
				err = s.walk(name+".", m.Value)
			}
		case len(m.Value) > 0 && m.Value[0] == '[':
			err = s.list(name, m.Value)
		default:
			err = s.tellOne(statusKey(name), m.Value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// leave notes which members of an item are no longer told.
func (s *statusReport) leave(name string, raw json.RawMessage) error {
	for _, member := range wholes[name] {
		value, err := rawjson.Get(raw, member)
		if err != nil {
			return err
		}
		if len(value) == 0 {
			s.gone = append(s.gone, s.prefix+"status."+name+"."+member)
		}
	}
	return nil
}

func statusKey(name string) string {
	if key, same := statusFacts[name]; same {
		return key
	}
	return "status." + name
}

// tellOne tells one item. Null says that there is nothing to tell any more.
func (s *statusReport) tellOne(key string, raw json.RawMessage) error {
	key = s.prefix + key
	if string(raw) == "null" {
		s.gone = append(s.gone, key)
		return nil
	}
	value, err := canonicalRaw(raw)
	if err != nil {
		return err
	}
	one, err := s.fact(s.tx, key, value)
	area := areaOf(key)
	s.told[area] = append(s.told[area], one)
	return err
}

// list tells a list: entry by entry if they have identifiers, as a whole otherwise.
func (s *statusReport) list(name string, raw json.RawMessage) error {
	entries, err := rawjson.Elements(raw)
	if err != nil {
		return err
	}
	idents := make([]string, len(entries))
	for i, entry := range entries {
		ident, err := rawjson.Get(entry, "identifier")
		if err != nil {
			return err
		}
		if idents[i] = text(ident); idents[i] == "" {
			return s.tellOne("status."+name, raw)
		}
	}
	for i, entry := range entries {
		key := "status." + name + "." + idents[i]
		removed, err := rawjson.Get(entry, "_removed")
		if err != nil {
			return err
		}
		if is := truth(removed); is != nil && *is {
			s.gone = append(s.gone, s.prefix+key)
			continue
		}
		if err := s.tellOne(key, entry); err != nil {
			return err
		}
	}
	return nil
}

// declarations tells how each declaration fares.
func (s *statusReport) declarations(raw json.RawMessage) error {
	area := s.prefix + "declaration."
	if s.told[area] == nil {
		s.told[area] = []fact{} // none left is told as well
	}
	kinds, err := rawjson.Members(raw)
	if err != nil {
		return err
	}
	for _, kind := range kinds {
		entries, err := rawjson.Elements(kind.Value)
		if err != nil {
			return err
		}
		for _, entry := range entries {
			ident, err := rawjson.Get(entry, "identifier")
			if err != nil {
				return err
			}
			if id := strings.TrimSpace(text(ident)); id != "" {
				if err := s.tellOne("declaration."+id, entry); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// toldStatus is a device after it has reported its status: what it is called and what it runs.
func toldStatus(d *Device, report json.RawMessage) error {
	items, err := rawjson.Get(report, "StatusItems")
	if err != nil {
		return err
	}
	return walkStatus("", items, func(name string, value json.RawMessage) {
		key, same := strings.CutPrefix(statusFacts[name], "device.")
		if field := answerField(d, key); same && field != nil {
			assign(field, text(value))
		}
	})
}

func walkStatus(path string, raw json.RawMessage, each func(name string, value json.RawMessage)) error {
	list, err := rawjson.Members(raw)
	for _, m := range list {
		each(path+m.Name, m.Value)
		if err := walkStatus(path+m.Name+".", m.Value, each); err != nil {
			return err
		}
	}
	return err
}
