package declaration

import (
	"encoding/json"
	"slices"
	"strings"
)

// Capabilities are what a client has told that it can take and tell. The zero Capabilities are those of one that has not
// told yet. Source: Apple, status item management.client-capabilities.
type Capabilities struct {
	known        bool
	declarations []string // types
	statusItems  []string // names
}

// ParseCapabilities reads the value of the status item. What is no such value tells nothing.
func ParseCapabilities(value json.RawMessage) Capabilities {
	var told struct {
		Supported struct {
			Declarations struct {
				Activations    []string `json:"activations"`
				Assets         []string `json:"assets"`
				Configurations []string `json:"configurations"`
				Management     []string `json:"management"`
			} `json:"declarations"`
			StatusItems []string `json:"status-items"`
		} `json:"supported-payloads"`
	}
	if err := json.Unmarshal(value, &told); err != nil {
		return Capabilities{}
	}
	d := told.Supported.Declarations
	c := Capabilities{
		declarations: slices.Concat(d.Activations, d.Assets, d.Configurations, d.Management), statusItems: told.Supported.StatusItems,
	}
	c.known = len(c.declarations) > 0
	return c
}

// Takes reports whether the client can take declarations of a type.
func (c Capabilities) Takes(declarationType string) bool {
	if !c.known {
		return declarationType == activationSimple || declarationType == statusSubscriptions || strings.HasPrefix(declarationType, "com.apple.management.")
	}
	return slices.Contains(c.declarations, declarationType)
}

// Tells reports whether the client can tell a status item. One that has not said so can tell what every client could
// from the first version on.
func (c Capabilities) Tells(name string) bool {
	if !c.known {
		return slices.Contains(firstStatusItems, name)
	}
	return slices.Contains(c.statusItems, name)
}

// firstStatusItems are those that came with declarative management itself.
var firstStatusItems = []string{
	"device.model.family", "device.model.identifier", "device.model.marketing-name",
	"device.operating-system.build-version", "device.operating-system.family", "device.operating-system.version",
}

// statusItems are those that Rollcall reads. Those of management. come without being asked for.
var statusItems = append(slices.Clip(firstStatusItems),
	"app.managed.list", "device.identifier.serial-number", "device.identifier.udid", "device.model.number",
	"device.operating-system.supplemental.build-version", "device.operating-system.supplemental.extra-version",
	"device.power.battery-health", "diskmanagement.filevault.enabled", "mdm.app", "package.list",
	"passcode.is-compliant", "passcode.is-present", "security.lockdown-mode", "softwareupdate.beta-enrollment",
	"softwareupdate.device-id", "softwareupdate.failure-reason", "softwareupdate.install-reason",
	"softwareupdate.install-state", "softwareupdate.pending-version",
)
