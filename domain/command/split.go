package command

import (
	"encoding/json"
	"errors"
)

// Mask is what stands where a secret stood, as a JSON string.
const Mask = "•••"

// sealed stands for parameters that are secret as a whole.
const sealed = `{"sealed":true}`

// Split cuts what is secret out of a command's parameters or of a result. masked is keys with Mask in each place;
// secrets holds what stood there, by path (Settings[0].Configuration).
//
// Keys that the catalogue does not know at their place are judged by their names: what calls itself a password, passcode,
// token, secret, key, PIN or the like is cut out, unless it is true, false or null. Of a type that is not in the catalogue
// so is every key that is named like a secret one of another. Names that others give (bundle identifiers) are no such keys.
func Split(requestType string, keys json.RawMessage) (masked json.RawMessage, secrets map[string]json.RawMessage, err error) {
	if len(keys) == 0 {
		return keys, nil, nil
	}
	paths := suspects()
	if s, known := Lookup(requestType); known {
		if !s.secret && !hints(keys) {
			return keys, nil, nil
		}
		paths = s.places
	}
	if !json.Valid(keys) {
		return nil, nil, errors.New("take secrets out of " + requestType + ": it is not JSON")
	}
	c := cutter{src: keys, dst: make([]byte, 0, len(keys))}
	c.value(paths, "")
	if c.secrets == nil {
		return keys, nil, nil
	}
	return c.dst, c.secrets, nil
}

// statusSecrets are the places of what is secret in a status report of declarative management.
var statusSecrets = &secret{members: map[string]*secret{"StatusItems": {members: map[string]*secret{
	"enhanced-logging": {members: map[string]*secret{"applecare-token": cutting}, other: nothing},
}, other: nothing}}, other: nothing}

// SplitStatus cuts what is secret out of a status report, which must be JSON.
func SplitStatus(report json.RawMessage) (masked json.RawMessage, secrets map[string]json.RawMessage) {
	c := cutter{src: report, dst: make([]byte, 0, len(report))}
	c.value(statusSecrets, "")
	if c.secrets == nil {
		return report, nil
	}
	return c.dst, c.secrets
}

// MaskParameters returns the parameters of a command as they may be shown. Those of a command that is not in the
// catalogue are masked as a whole, for nobody knows what they hold.
func MaskParameters(requestType string, params json.RawMessage) (json.RawMessage, error) {
	if _, known := Lookup(requestType); !known && len(params) > 0 {
		return json.RawMessage(sealed), nil
	}
	masked, _, err := Split(requestType, params)
	return masked, err
}
