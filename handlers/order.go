package handlers

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/command"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/handlers/plist"
)

// maxCommandUUID is the longest CommandUUID that is taken, in bytes. Apple says that it is any text.
const maxCommandUUID = 128

// TypedOrder makes an order from a command's type and its keys in JSON's shape (data as base64, dates as RFC 3339),
// checked against Apple's catalogue. An empty uuid gets a new one. What is secret stands in the order's body alone:
// its parameters are for people, and masked.
func TypedOrder(requestType string, parameters map[string]any, uuid string) (device.Order, error) {
	value, err := command.New(requestType, parameters)
	if err != nil {
		return device.Order{}, err
	}
	if uuid == "" {
		uuid = eventstore.NewUUID().String()
	}
	body, err := plist.MarshalCommand(uuid, requestType, value.Native())
	if err != nil {
		return device.Order{}, domain.Refusef(domain.Invalid, "the parameters make no property list")
	}
	shown, err := masked(requestType, parameters)
	o := device.Order{
		UUID: uuid, RequestType: requestType, Body: body, Parameters: shown, Renews: renews(requestType, value.Native()["Payload"]),
		Brings: brings(requestType, value.Native()),
	}
	o.Password, o.Clears = passwordIn(requestType, value.Native())
	return o, err
}

// passwordKeys are the keys of what a command sets or verifies, and whoever orders it may not know later.
var passwordKeys = map[string]string{
	"SetRecoveryLock": "NewPassword", "SetFirmwarePassword": "NewPassword",
	"VerifyRecoveryLock": "Password", "VerifyFirmwarePassword": "Password",
}

// passwordIn returns the password that a command sets or verifies, and whether it takes one away.
func passwordIn(requestType string, keys map[string]any) (password string, clears bool) {
	key, has := passwordKeys[requestType]
	if !has {
		return "", false
	}
	password, is := keys[key].(string)
	return password, is && password == "" && key == "NewPassword"
}

// renews reports whether an InstallProfile with this payload replaces the enrolment profile.
func renews(requestType string, payload any) bool {
	profile, is := payload.([]byte)
	return is && requestType == "InstallProfile" && device.ReplacesEnrolment(profile)
}

func masked(requestType string, parameters map[string]any) (json.RawMessage, error) {
	if len(parameters) == 0 {
		return nil, nil
	}
	open, err := json.Marshal(parameters)
	if err != nil {
		return nil, fmt.Errorf("write the parameters of %s: %w", requestType, err)
	}
	shown, err := command.MaskParameters(requestType, open)
	if err != nil {
		return nil, fmt.Errorf("mask the parameters of %s: %w", requestType, err)
	}
	return shown, nil
}

// RawOrder makes an order from a command as a property list, which is delivered as it stands: its CommandUUID is
// kept, and the order says what the catalogue would have refused of its keys. The catalogue need not know the command.
func RawOrder(plistBody []byte) (device.Order, error) {
	text, err := plist.ToJSON(plistBody)
	if err != nil {
		return device.Order{}, domain.Refusef(domain.Invalid, "the command is no %v", err)
	}
	var raw struct {
		CommandUUID string
		Command     map[string]json.RawMessage
	}
	if err := json.Unmarshal(text, &raw); err != nil {
		return device.Order{}, rawWrong("CommandUUID must be a string and Command a dictionary")
	}
	var requestType string
	if err := json.Unmarshal(raw.Command["RequestType"], &requestType); err != nil || requestType == "" {
		return device.Order{}, rawWrong("Command has no RequestType")
	}
	if raw.CommandUUID == "" || len(raw.CommandUUID) > maxCommandUUID {
		return device.Order{}, rawWrong("CommandUUID must have 1 to 128 bytes")
	}
	delete(raw.Command, "RequestType")
	var payload, provisioning []byte // base64 in JSON; what is none is no profile
	_ = json.Unmarshal(raw.Command["Payload"], &payload)
	_ = json.Unmarshal(raw.Command["ProvisioningProfile"], &provisioning)
	shown, err := maskedRaw(requestType, raw.Command)
	o := device.Order{
		Raw: true, Against: against(requestType, text),
		UUID: raw.CommandUUID, RequestType: requestType, Body: bytes.Clone(plistBody), Parameters: shown,
		Renews: renews(requestType, payload), Brings: brings(requestType, map[string]any{"Payload": payload, "ProvisioningProfile": provisioning}),
	}
	var password any
	if key, has := passwordKeys[requestType]; has && json.Unmarshal(raw.Command[key], &password) == nil {
		o.Password, o.Clears = passwordIn(requestType, map[string]any{key: password})
	}
	return o, err
}

// against says what the catalogue has against a message's command, or nothing.
func against(requestType string, message []byte) string {
	var raw struct{ Command map[string]any }
	read := json.NewDecoder(bytes.NewReader(message))
	read.UseNumber()
	if err := read.Decode(&raw); err != nil {
		return "its keys cannot be read"
	}
	delete(raw.Command, "RequestType")
	_, err := command.New(requestType, raw.Command)
	if refusal, refused := domain.Refused(err); refused {
		return refusal.Text
	}
	return ""
}

func rawWrong(what string) error {
	return domain.WithHint(domain.Refusef(domain.Invalid, "%s", what),
		"send a property list with CommandUUID, and Command with its RequestType")
}

func maskedRaw(requestType string, keys map[string]json.RawMessage) (json.RawMessage, error) {
	parameters := make(map[string]any, len(keys))
	for k, v := range keys {
		parameters[k] = v
	}
	return masked(requestType, parameters)
}
