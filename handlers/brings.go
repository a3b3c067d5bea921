package handlers

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"strings"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/handlers/plist"
)

// brings returns what a command's payload brings, as far as it can be read.
func brings(requestType string, keys map[string]any) device.Thing {
	switch requestType {
	case "InstallProfile":
		payload, _ := keys["Payload"].([]byte)
		thing, _ := ReadProfile(payload) // one that cannot be read is told by its hash alone
		return thing
	case "InstallProvisioningProfile":
		payload, _ := keys["ProvisioningProfile"].([]byte)
		return readProvisioning(payload)
	}
	return device.Thing{}
}

// A configuration is what Rollcall reads of a configuration profile.
type configuration struct {
	PayloadType, PayloadIdentifier, PayloadUUID, PayloadDisplayName string
	PayloadRemovalDisallowed                                        bool
	PayloadContent                                                  []struct {
		PayloadType    string
		PayloadContent json.RawMessage
	}
}

// ReadProfile tells what a configuration profile is: plain, or inside a signature that holds it in one piece. An error
// says why it cannot be read; the Thing then has the hash alone.
func ReadProfile(payload []byte) (device.Thing, error) {
	thing := device.Thing{Revision: fingerprint(payload)}
	text, err := plist.ToJSON(unsigned(payload))
	if err != nil {
		return thing, domain.WithHint(domain.Refusef(domain.Invalid, "the profile cannot be read: it is no %v", err),
			"give it as XML, signed or not; one that is encrypted as a whole names itself to nobody")
	}
	var p configuration
	if err := json.Unmarshal(text, &p); err != nil || p.PayloadType != "Configuration" || p.PayloadIdentifier == "" || p.PayloadUUID == "" {
		return thing, domain.Refusef(domain.Invalid, "a profile has the PayloadType Configuration, a PayloadIdentifier and a PayloadUUID")
	}
	thing.Identifier, thing.UUID, thing.Name, thing.Locked = p.PayloadIdentifier, p.PayloadUUID, p.PayloadDisplayName, p.PayloadRemovalDisallowed
	for _, one := range p.PayloadContent {
		if der := certificateIn(one.PayloadType, one.PayloadContent); der != nil {
			thing.Certificates = append(thing.Certificates, fingerprint(der))
		}
	}
	return thing, nil
}

// certificateIn returns the certificate of a payload that is one, in DER.
func certificateIn(payloadType string, content json.RawMessage) []byte {
	switch payloadType {
	case "com.apple.security.root", "com.apple.security.pkcs1", "com.apple.security.pem":
	default:
		return nil
	}
	var data []byte // base64 in JSON
	if json.Unmarshal(content, &data) != nil || len(data) == 0 {
		return nil
	}
	if block, _ := pem.Decode(data); block != nil {
		return block.Bytes
	}
	return data
}

func readProvisioning(payload []byte) device.Thing {
	thing := device.Thing{Revision: fingerprint(payload)}
	var p struct{ UUID, Name string }
	text, err := plist.ToJSON(unsigned(payload))
	if err == nil && json.Unmarshal(text, &p) == nil {
		thing.Identifier, thing.UUID, thing.Name = strings.ToLower(p.UUID), p.UUID, p.Name
	}
	return thing
}

// unsigned returns the property list in XML that a signature holds in one piece; what is not signed as it is.
func unsigned(payload []byte) []byte {
	const der = 0x30
	if len(payload) == 0 || payload[0] != der {
		return payload
	}
	from, to := bytes.Index(payload, []byte("<?xml")), bytes.LastIndex(payload, []byte("</plist>"))
	if from < 0 || to < from {
		return payload
	}
	return payload[from : to+len("</plist>")]
}

func fingerprint(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
