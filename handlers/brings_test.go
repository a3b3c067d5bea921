package handlers

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"testing"

	"github.com/rollcall-mdm/rollcall/domain"
)

func profileOf(certificate []byte) []byte {
	return fmt.Appendf(nil, `<?xml version="1.0"?><plist version="1.0"><dict><key>PayloadType</key><string>Configuration</string>
<key>PayloadIdentifier</key><string>com.example.wifi</string><key>PayloadUUID</key><string>U1</string>
<key>PayloadDisplayName</key><string>Wi-Fi</string><key>PayloadRemovalDisallowed</key><true/>
<key>PayloadContent</key><array><dict><key>PayloadType</key><string>com.apple.security.root</string>
<key>PayloadContent</key><data>%s</data></dict></array></dict></plist>`, base64.StdEncoding.EncodeToString(certificate))
}

func TestProfilesAreRead(t *testing.T) {
	der := []byte("a certificate in DER")
	sum := sha256.Sum256(der)
	plain := profileOf(der)
	for name, payload := range map[string][]byte{
		"plain": plain, "signed": append(append([]byte{0x30, 0x80, 1, 2}, plain...), 0, 0, 7),
		"with a certificate in PEM": profileOf(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
	} {
		thing, err := ReadProfile(payload)
		if err != nil || thing.Identifier != "com.example.wifi" || thing.UUID != "U1" || thing.Name != "Wi-Fi" || !thing.Locked ||
			len(thing.Certificates) != 1 || thing.Certificates[0] != hex.EncodeToString(sum[:]) || thing.Revision != fingerprint(payload) {
			t.Errorf("%s: %+v, %v", name, thing, err)
		}
	}
}

func TestWhatIsNoProfileIsToldByItsHash(t *testing.T) {
	for name, payload := range map[string]string{
		"nothing": "", "no plist": "hello", "binary": "\x30\x03abc", "another": `<plist version="1.0"><dict><key>PayloadType</key><string>x</string></dict></plist>`,
	} {
		thing, err := ReadProfile([]byte(payload))
		if _, refused := domain.Refused(err); !refused || thing.Identifier != "" || thing.Revision != fingerprint([]byte(payload)) {
			t.Errorf("%s: %+v, %v", name, thing, err)
		}
	}
}

func TestOrdersSayWhatTheyBring(t *testing.T) {
	payload := base64.StdEncoding.EncodeToString(profileOf([]byte("x")))
	o, err := TypedOrder("InstallProfile", map[string]any{"Payload": payload}, "")
	if err != nil || o.Brings.Identifier != "com.example.wifi" {
		t.Errorf("typed: %+v, %v", o.Brings, err)
	}
	raw, err := RawOrder([]byte(`<plist version="1.0"><dict><key>CommandUUID</key><string>R</string><key>Command</key><dict><key>RequestType</key>
		<string>InstallProfile</string><key>Payload</key><data>` + payload + `</data></dict></dict></plist>`))
	if err != nil || raw.Brings.Identifier != "com.example.wifi" {
		t.Errorf("raw: %+v, %v", raw.Brings, err)
	}
	provisioning := base64.StdEncoding.EncodeToString([]byte(`0....<?xml version="1.0"?><plist version="1.0"><dict><key>UUID</key><string>AB-1</string><key>Name</key><string>Dev</string></dict></plist>`))
	p, err := TypedOrder("InstallProvisioningProfile", map[string]any{"ProvisioningProfile": provisioning}, "")
	if err != nil || p.Brings.Identifier != "ab-1" || p.Brings.Name != "Dev" {
		t.Errorf("provisioning: %+v, %v", p.Brings, err)
	}
}
