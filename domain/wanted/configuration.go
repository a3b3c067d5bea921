package wanted

import (
	"encoding/json"
	"maps"

	"github.com/rollcall-mdm/rollcall/domain"
)

// configurationKey is the key of an app's order that holds its configuration. It can be changed without ordering the app anew.
const configurationKey = "Configuration"

// baseOf returns the mark of an app without its configuration: two revisions of the same base differ in that alone.
func baseOf(id string, c Content, stamp domain.Stamp) (string, error) {
	if kind, _ := Split(id); kind != App {
		return "", nil
	}
	bare := make([]Step, len(c.Steps))
	for i, s := range c.Steps {
		bare[i] = Step{RequestType: s.RequestType, Parameters: maps.Clone(s.Parameters)}
		delete(bare[i].Parameters, configurationKey)
	}
	text, err := json.Marshal(bare)
	if err != nil {
		return "", domain.Refusef(domain.Invalid, "a wanted thing has a content")
	}
	return stamp("base", string(text)), nil
}

// Reconfigure returns the steps that give an app which is there the configuration of this revision, or take it away if the
// revision has none. Source: Apple, Settings, ApplicationConfiguration.
func (t Thing) Reconfigure(identifier string) []Step {
	setting := map[string]any{"Item": "ApplicationConfiguration", "Identifier": identifier}
	for _, s := range t.Steps {
		if configuration, has := s.Parameters[configurationKey]; has {
			setting[configurationKey] = configuration
		}
	}
	return []Step{{RequestType: "Settings", Parameters: map[string]any{"Settings": []any{setting}}}}
}
