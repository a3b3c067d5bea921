package mdmtest

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
)

// An Orderer is the administrator who queues commands at a server.
type Orderer struct {
	URL     string // of the server, without a path
	Token   string // API token
	GraphQL bool   // by sendCommand of /graphql; by NanoMDM's /v1/enqueue if false
	Wire    Wire
	Push    bool // let the server wake the device
}

// A Question is a command that changes nothing, with its parameters.
type Question struct {
	RequestType string
	Keys        map[string]any
}

// Inventory is what an MDM server asks a device day by day.
var Inventory = []Question{
	{"DeviceInformation", map[string]any{"Queries": []string{
		"UDID", "DeviceName", "OSVersion", "BuildVersion", "ModelName", "Model", "ProductName", "SerialNumber", "DeviceCapacity",
		"AvailableDeviceCapacity", "BatteryLevel", "IsSupervised", "IsActivationLockEnabled", "IsCloudBackupEnabled",
		"BluetoothMAC", "WiFiMAC", "EthernetMAC", "TimeZone", "ServiceSubscriptions", "IsMDMLostModeEnabled",
		"IsDeviceLocatorServiceEnabled", "HostName", "LocalHostName", "SystemIntegrityProtectionEnabled", "OSUpdateSettings",
	}}},
	{"SecurityInfo", nil},
	{"InstalledApplicationList", nil},
	{"ProfileList", nil},
	{"CertificateList", nil},
}

// RawCommand returns the property list of a command.
func RawCommand(q Question, uuid string) []byte {
	command := merge(dict{"RequestType": q.RequestType}, q.Keys)
	return text(dict{"Command": command, "CommandUUID": uuid})
}

// Order queues the command for a channel, as ChannelID names it, and returns its CommandUUID.
func (o *Orderer) Order(ctx context.Context, channel string, q Question) (uuid string, err error) {
	if o.GraphQL {
		uuid, err = o.bySendCommand(ctx, channel, q)
	} else {
		uuid = NewUUID()
		err = o.byEnqueue(ctx, channel, RawCommand(q, uuid))
	}
	if err != nil {
		return "", fmt.Errorf("queue %s for %s: %w", q.RequestType, channel, err)
	}
	return uuid, nil
}

func (o *Orderer) byEnqueue(ctx context.Context, channel string, raw []byte) error {
	url := strings.TrimSuffix(o.URL, "/") + "/v1/enqueue/" + channel
	if !o.Push {
		url += "?nopush=1"
	}
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("mdmtest:"+o.Token))
	a, err := o.Wire.Send(ctx, Request{URL: url, ContentType: "application/xml", Header: [2]string{"Authorization", basic}, Body: raw})
	if err == nil && a.Status != 200 {
		err = &StatusError{"the enqueue", a.Status, string(a.Body[:min(len(a.Body), 200)])}
	}
	return err
}

const sendCommand = `mutation($input: SendCommandInput!) { sendCommand(input: $input) { commands { uuid } refused { reason } } }`

func (o *Orderer) bySendCommand(ctx context.Context, channel string, q Question) (string, error) {
	device, user, _ := strings.Cut(channel, ":")
	input := map[string]any{"requestType": q.RequestType, "parameters": q.Keys, "devices": []string{device}, "push": o.Push}
	if user != "" {
		input["userId"] = user
	}
	body, err := json.Marshal(map[string]any{"query": sendCommand, "variables": map[string]any{"input": input}})
	if err != nil {
		return "", fmt.Errorf("encode the mutation: %w", err)
	}
	a, err := o.Wire.Send(ctx, Request{
		Method: "POST", URL: strings.TrimSuffix(o.URL, "/") + "/graphql", ContentType: "application/json",
		Header: [2]string{"Authorization", "Bearer " + o.Token}, Body: body,
	})
	if err != nil {
		return "", err
	}
	var answer struct {
		Data struct {
			SendCommand struct {
				Commands []struct{ UUID string }
				Refused  []struct{ Reason string }
			}
		}
	}
	if err := json.Unmarshal(a.Body, &answer); err != nil || len(answer.Data.SendCommand.Commands) != 1 {
		return "", &StatusError{"sendCommand", a.Status, string(a.Body[:min(len(a.Body), 300)])}
	}
	return answer.Data.SendCommand.Commands[0].UUID, nil
}
