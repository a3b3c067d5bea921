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
// Of a type that is not in the catalogue, it cuts every key that is named like a secret one, wherever it stands. A
// type that has no secrets gets keys back as it stands, unread.
func Split(requestType string, keys json.RawMessage) (masked json.RawMessage, secrets map[string]json.RawMessage, err error) {
	paths := suspects()
	if s, known := Lookup(requestType); known {
		paths = s.secrets
	}
	if paths == nil || len(keys) == 0 {
		return keys, nil, nil
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
	"enhanced-logging": {members: map[string]*secret{"applecare-token": cutting}},
}}}}

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
