package graphql

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/domain/operator"
)

// mobileconfig is a profile with a Wi-Fi payload, in base64.
func mobileconfig(uuid, more string) string {
	return base64.StdEncoding.EncodeToString(fmt.Appendf(nil, `<plist version="1.0"><dict><key>PayloadType</key><string>Configuration</string><key>PayloadVersion</key><integer>1</integer>
<key>PayloadIdentifier</key><string>wifi</string><key>PayloadUUID</key><string>%s</string><key>PayloadDisplayName</key><string>Wi-Fi</string><key>PayloadContent</key><array><dict>
<key>PayloadType</key><string>com.apple.wifi.managed</string><key>PayloadVersion</key><integer>1</integer><key>PayloadIdentifier</key><string>wifi.a</string><key>PayloadUUID</key><string>W</string>
<key>Password</key><string>canary-password</string><key>SSID_STR</key><string>%%SerialNumber%%</string>%s</dict></array></dict></plist>`, uuid, more))
}

func TestTheLibraryOfProfiles(t *testing.T) {
	h := newHouse(t)
	put := func(uuid, more string) string {
		return fmt.Sprintf(`mutation{putProfile(payload:%q){identifier latest{version uuid displayName types variables putBy signedBy findings{path text warning}} versions{version}}}`, mobileconfig(uuid, more))
	}
	h.expect(h.asks(operator.Administrator, put("U1", "<key>Frobnicate</key><true/>"), nil), map[string]string{
		"putProfile.identifier": `"wifi"`, "putProfile.latest.version": "1", "putProfile.latest.uuid": `"U1"`, "putProfile.latest.displayName": `"Wi-Fi"`,
		"putProfile.latest.types": `["com.apple.wifi.managed"]`, "putProfile.latest.variables": `["SerialNumber"]`, "putProfile.latest.putBy": `"Ada the administrator"`,
		"putProfile.latest.signedBy": "null", "putProfile.latest.findings.0.path": `"PayloadContent[0].Frobnicate"`, "putProfile.latest.findings.0.warning": "true",
	})
	h.pass(time.Hour)
	h.expect(h.asks(operator.Administrator, put("U2", ""), nil), map[string]string{"putProfile.versions": `[{"version":2},{"version":1}]`})
	h.expect(h.asks(operator.Viewer, `{profiles{totalCount nodes{identifier latest{version}}} profile(identifier:"wifi", asOf:"2026-02-03T12:30:00Z"){latest{version} versions{version}} none:profile(identifier:"x"){identifier}}`, nil), map[string]string{
		"profiles.nodes": `[{"identifier":"wifi","latest":{"version":2}}]`, "profile.latest.version": "1", "profile.versions": `[{"version":1}]`, "none": "null",
	})
	_, out := h.post(operator.Administrator, put("U3", "<key>AutoJoin</key><string>yes</string>"), nil)
	if len(out.Errors) != 1 || !strings.Contains(out.Errors[0].Message, "PayloadContent[0].AutoJoin must be true or false, not a string") || !strings.Contains(fmt.Sprint(out.Errors[0].Extensions["hint"]), "force") {
		t.Errorf("%+v", out.Errors)
	}
	h.expect(h.asks(operator.Viewer, fmt.Sprintf(`{checkProfile(payload:%q){path text warning}}`, mobileconfig("U3", "<key>auto join</key><true/>")), nil), map[string]string{
		"checkProfile": `[{"path":"PayloadContent[0].auto join","text":"is not a key of Apple's: is AutoJoin meant?","warning":false}]`,
	})
	h.expect(h.asks(operator.Administrator, strings.Replace(put("U3", "<key>AutoJoin</key><string>yes</string>"), "){identifier", ", force:true){identifier", 1), nil), map[string]string{
		"putProfile.latest.version": "3", "putProfile.latest.findings.0.warning": "false",
	})
	h.expect(h.asks(operator.Administrator, `mutation{withdrawProfile(identifier:"wifi", reason:"gone")}`, nil), map[string]string{"withdrawProfile": "true"})
	h.expect(h.asks(operator.Viewer, `{profile(identifier:"wifi"){identifier} profiles{nodes{identifier}}}`, nil), map[string]string{"profile": "null", "profiles.nodes": `[]`})
}

func TestALibraryProfileIsInstalled(t *testing.T) {
	h := newHouse(t)
	h.enrols("U1", "S1", "MacBookPro18,1", "14.2")
	h.asks(operator.Administrator, fmt.Sprintf(`mutation{putProfile(payload:%q){identifier}}`, mobileconfig("U1", "")), nil)
	h.expect(h.asks(operator.Operator, `mutation{installLibraryProfile(device:"S1", profile:"wifi"){requestType}}`, nil), map[string]string{"installLibraryProfile.requestType": `"InstallProfile"`})
	d, _, err := h.devices.Load(t.Context(), h.names.Device("U1"))
	h.ok(err)
	own, _ := d.Channel("")
	_, data, _ := strings.Cut(string(own.Queue[0].Body), "<data>")
	data, _, _ = strings.Cut(data, "</data>")
	text, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(data), ""))
	h.ok(err)
	if !strings.Contains(string(text), "<string>S1</string>") || !strings.Contains(string(text), "canary-password") {
		t.Errorf("the device is handed %s", text)
	}
	h.connects("U1", device.Report{Status: device.Idle})
	h.expect(h.asks(operator.Operator, `mutation{putWantedLibraryProfile(profile:"wifi"){id version content}}`, nil), map[string]string{
		"putWantedLibraryProfile": `{"content":{"PayloadDisplayName":"Wi-Fi","PayloadUUID":"U1"},"id":"profile/wifi","version":"latest"}`,
	})
	for query, code := range map[string]string{
		`mutation{installLibraryProfile(device:"S1", profile:"none"){requestType}}`:              "not-found",
		`mutation{installLibraryProfile(device:"S1", profile:"wifi", version:"7"){requestType}}`: "not-found",
		`mutation{installLibraryProfile(device:"nobody", profile:"wifi"){requestType}}`:          "conflict",
		`mutation{putWantedLibraryProfile(profile:"none"){id}}`:                                  "not-found",
		`mutation{putProfile(payload:"x"){identifier}}`:                                          "forbidden",
	} {
		if _, out := h.post(operator.Operator, query, nil); len(out.Errors) != 1 || out.Errors[0].Extensions["code"] != code {
			t.Errorf("%s: %+v, want %s", query, out.Errors, code)
		}
	}
	_, out := h.post(operator.Administrator, `mutation{withdrawProfile(identifier:"wifi", reason:"x")}`, nil)
	if len(out.Errors) != 1 || out.Errors[0].Extensions["code"] != "conflict" {
		t.Errorf("a wanted profile is withdrawn: %+v", out.Errors)
	}
}
