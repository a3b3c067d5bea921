package declaration

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/command"
)

// secretKeys are the members of payloads, wherever they stand, that give control to whoever reads them, or whose content
// nobody knows. Passwords stand in assets, and are not among them.
var secretKeys = []string{
	"Token", "RegistrationToken", "IdentityToken", "PPK", "Password", "Challenge", "VendorConfig", "VendorConfiguration",
	"ProviderConfiguration", "ManagedConfiguration",
}

// forPeople returns a payload with its secrets masked, and which configurations it activates.
func forPeople(declarationType string, payload json.RawMessage) (shown json.RawMessage, activates []string, err error) {
	var value map[string]any
	if err := json.Unmarshal(payload, &value); err != nil {
		return nil, nil, domain.Refusef(domain.Invalid, "a payload is one JSON object")
	}
	if declarationType == activationSimple {
		if activates, err = names(value["StandardConfigurations"]); err != nil {
			return nil, nil, err
		}
	}
	mask(value)
	hide(value)
	if shown, err = json.Marshal(value); err != nil {
		return nil, nil, domain.Refusef(domain.Invalid, "the payload cannot be written as JSON")
	}
	return shown, activates, nil
}

// hide masks what would betray, by being tried, the data that the server gives out.
func hide(value map[string]any) {
	if address, is := value["ProfileURL"].(string); is && strings.HasPrefix(address, kept) {
		value["ProfileURL"] = kept
	}
	reference, is := value["Reference"].(map[string]any)
	if address, has := reference["DataURL"].(string); is && has && strings.HasPrefix(address, kept) {
		reference["DataURL"], reference["Hash-SHA-256"] = kept, command.Mask
	}
}

func names(value any) (all []string, err error) {
	list, ok := value.([]any)
	if !ok {
		return nil, domain.Refusef(domain.Invalid, "an activation names its StandardConfigurations")
	}
	for _, one := range list {
		id, ok := one.(string)
		if !ok {
			return nil, domain.Refusef(domain.Invalid, "StandardConfigurations are identifiers")
		}
		all = append(all, id)
	}
	return all, nil
}

func mask(value any) {
	switch value := value.(type) {
	case map[string]any:
		for name, member := range value {
			if slices.Contains(secretKeys, name) {
				value[name] = command.Mask
				continue
			}
			mask(member)
		}
	case []any:
		for _, element := range value {
			mask(element)
		}
	}
}
