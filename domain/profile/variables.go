package profile

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/rollcall-mdm/rollcall/domain"
)

// The variables that are filled for each device: Apple's Profile Manager called them so.
const (
	SerialNumber = "SerialNumber"
	UDID         = "UDID"
	DeviceName   = "DeviceName"
	ProductName  = "ProductName" // MacBookPro18,3
	Model        = "Model"       // the order number
	ModelName    = "ModelName"   // MacBook Pro
	OSVersion    = "OSVersion"
	BuildVersion = "BuildVersion"
	IMEI         = "IMEI"
	ShortName    = "short_name"          // of the user, on a user's channel; otherwise of the only one
	FullName     = "full_name"           // the same
	EnrollmentID = "EnrollmentID"        // of a person's own device, which has no UDID for us
	Account      = "ManagedAppleAccount" // of whoever signed in to bring the device
)

var fillable = []string{
	SerialNumber, UDID, DeviceName, ProductName, Model, ModelName, OSVersion, BuildVersion, IMEI, ShortName, FullName, EnrollmentID, Account,
}

// Variables lists the names of those that can be filled.
func Variables() []string { return slices.Clone(fillable) }

// own are variables that Macs fill themselves. They are delivered as they stand. Source: Apple, SCEP and directory payloads.
var own = []string{
	"AD_ComputerID", "AD_Domain", "AD_DomainForestName", "AD_DomainGuid", "AD_DomainNameDns", "AD_KerberosID",
	"ComputerName", "HardwareUUID", "HostName", "LocalHostName", "MACAddress",
}

// variableForm is how a variable stands in text. Names have four letters or more, so that an escaped address (%C3%BC%20)
// holds none.
var variableForm = regexp.MustCompile(`%[A-Za-z][A-Za-z_]{3,31}%`)

// variablesIn lists the names of the variables in a text, but for those that devices fill.
func variablesIn(s string) (names []string) {
	if strings.IndexByte(s, '%') < 0 {
		return nil
	}
	for _, found := range variableForm.FindAllString(s, -1) {
		if name := found[1 : len(found)-1]; !slices.Contains(own, name) {
			names = append(names, name)
		}
	}
	return names
}

// VariablesOf lists the names of the variables in a profile, sorted, each once. It refuses one that cannot be filled, and any in
// what names the profile or a payload.
func VariablesOf(p Values) ([]string, error) {
	names := map[string]bool{}
	var bad error
	walk(p, func(key, s string) string {
		for _, name := range variablesIn(s) {
			switch {
			case !slices.Contains(fillable, name):
				bad = domain.WithHint(invalid("no variable is called %%%s%%", name), "there are %"+strings.Join(fillable, "%, %")+"%")
			case key == "PayloadIdentifier" || key == "PayloadUUID" || key == "PayloadType":
				bad = invalid("%s cannot hold a variable: it names the profile on all devices", key)
			}
			names[name] = true
		}
		return s
	})
	return slices.Sorted(maps.Keys(names)), bad
}

// Fill returns the profile with its variables filled from what is known of a device. It refuses one of which nothing is known.
func Fill(p Values, known map[string]string) (Values, error) {
	var missing error
	filled := walk(p, func(_, s string) string {
		if strings.IndexByte(s, '%') < 0 {
			return s
		}
		return variableForm.ReplaceAllStringFunc(s, func(found string) string {
			name := found[1 : len(found)-1]
			if !slices.Contains(fillable, name) {
				return found
			}
			if known[name] == "" && missing == nil {
				missing = domain.WithHint(domain.Refusef(domain.Conflict, "the profile holds %%%s%%, and nothing is known here for it", name),
					"it is filled from what the device told: its Authenticate, DeviceInformation and users; an account is known where somebody signed in")
			}
			return known[name]
		})
	})
	if missing != nil {
		return nil, missing
	}
	return filled.(Values), nil
}

// walk returns a copy of a value in which each string is what change makes of it and of the key that it stands under.
func walk(v any, change func(key, s string) string) any { return walkUnder("", v, change) }

func walkUnder(key string, v any, change func(key, s string) string) any {
	switch v := v.(type) {
	case string:
		return change(key, v)
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = walkUnder(key, e, change)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for _, name := range slices.Sorted(maps.Keys(v)) {
			out[name] = walkUnder(name, v[name], change)
		}
		return out
	}
	return v
}
