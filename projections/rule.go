package projections

import (
	"bytes"
	"encoding/json"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
)

// A rule is a choice of devices as it is stored: in the words of the API's DeviceFilter. Moments and other groups are
// not among them: what a rule chooses changes with what devices tell, never by itself.
type rule struct {
	Search      string          `json:"search"`
	Status      []device.Status `json:"status"`
	Platform    []Platform      `json:"platform"`
	OSVersion   string          `json:"osVersion"`
	Supervised  *bool           `json:"supervised"`
	Application string          `json:"application"`
	Fact        []struct {
		Key   string          `json:"key"`
		Op    FactOp          `json:"op"`
		Value json.RawMessage `json:"value"`
	} `json:"fact"`
}

// ParseRule reads a choice of devices from its stored form, and refuses one that makes no sense or chooses everybody
// by mistake: a rule says something.
func ParseRule(text json.RawMessage) (f DeviceFilter, err error) {
	var r rule
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		return f, domain.WithHint(domain.Refusef(domain.Invalid, "the rule makes no choice of devices that holds by itself"),
			"a rule may say search, status, platform, osVersion, supervised, application and fact")
	}
	f = DeviceFilter{
		Search: r.Search, Status: r.Status, Platform: r.Platform, OSVersion: r.OSVersion, Supervised: r.Supervised,
		Application: r.Application,
	}
	for _, one := range r.Fact {
		fact := FactFilter{one.Key, one.Op, one.Value}
		if err := fact.check(); err != nil {
			return f, err
		}
		f.Facts = append(f.Facts, fact)
	}
	if f.empty() {
		return f, domain.WithHint(domain.Refusef(domain.Invalid, "the rule says nothing"),
			`to choose all that are enrolled, say {"status": ["ENROLLED"]}`)
	}
	return f, nil
}

// empty reports whether a rule's filter chooses everybody.
func (f DeviceFilter) empty() bool {
	return f.Search == "" && len(f.Status) == 0 && len(f.Platform) == 0 && f.OSVersion == "" && f.Supervised == nil &&
		f.Application == "" && len(f.Facts) == 0
}
