package graphql

import (
	"strings"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain/operator"
)

const enforceable = `{"StatusItems":{"management":{"client-capabilities":{"supported-payloads":{"declarations":{"activations":["com.apple.activation.simple"],
	"configurations":["com.apple.configuration.softwareupdate.enforcement.specific","com.apple.configuration.softwareupdate.settings"]}}}}}}`

func TestADeviceIsHadToRunAVersion(t *testing.T) {
	h := newHouse(t)
	h.enrols("U1", "S1", "iPad13,4", "18.0")
	h.enrols("U2", "S2", "MacBookPro18,1", "15.1")
	h.asks(operator.Operator, `mutation{createGroup(id:"all", name:"All", rule:{status:[ENROLLED]}){id}}`, nil)
	h.expect(h.asks(operator.Operator, `mutation{enforceOSUpdate(identifier:"ipads", group:"all", targetOSVersion:"18.1", targetBuildVersion:"22B83",
		targetLocalDateTime:"2026-02-05T18:00:00", detailsURL:"https://example.com/why"){targetOSVersion declaration{type payload assignments{groupId}} unsuitable{because devices}}}`, nil),
		map[string]string{
			"enforceOSUpdate.declaration.type":        `"com.apple.configuration.softwareupdate.enforcement.specific"`,
			"enforceOSUpdate.declaration.payload":     `{"DetailsURL":"https://example.com/why","TargetBuildVersion":"22B83","TargetLocalDateTime":"2026-02-05T18:00:00","TargetOSVersion":"18.1"}`,
			"enforceOSUpdate.declaration.assignments": `[{"groupId":"all"}]`,
			"enforceOSUpdate.unsuitable":              `[{"because":"there is no macOS 18.1","devices":1}]`,
		})
	const look = `{osUpdateEnforcements{targetOSVersion declaration{identifier}} one:device(id:"S1"){osUpdateEnforcements{identifier state because overdue targetOSVersion installState installReasons installedFor pendingVersion pendingBuild failures failureReason}}
		two:device(id:"S2"){osUpdateEnforcements{state because}}}`
	h.expect(h.asks(operator.Viewer, look, nil), map[string]string{
		"osUpdateEnforcements":             `[{"declaration":{"identifier":"ipads"},"targetOSVersion":"18.1"}]`,
		"one.osUpdateEnforcements.0.state": `"WITHHELD"`, "one.osUpdateEnforcements.0.installState": "null",
		"two.osUpdateEnforcements": `[{"because":"there is no macOS 18.1","state":"UNSUITABLE"}]`,
	})
	h.declares("U1", enforceable)
	h.expect(h.asks(operator.Viewer, look, nil), map[string]string{"one.osUpdateEnforcements.0.state": `"WAITING"`, "one.osUpdateEnforcements.0.overdue": "false"})
	token := h.asks(operator.Viewer, `{declaration(identifier:"ipads"){serverToken}}`, nil).text("declaration.serverToken")
	h.declares("U1", `{"StatusItems":{"management":{"declarations":{"configurations":[{"identifier":"ipads","active":true,"valid":"valid","server-token":"`+token+`"}]}},
		"softwareupdate":{"install-state":"failed","install-reason":{"reason":["declaration"],"declaration-id":"ipads"},"pending-version":{"os-version":"18.1","build-version":"22B83"},
		"failure-reason":{"count":1,"reason":"no space","timestamp":"2026-02-04T18:00:00Z"}}}}`)
	h.expect(h.asks(operator.Viewer, look, nil), map[string]string{
		"one.osUpdateEnforcements.0": `{"because":null,"failureReason":"no space","failures":1,"identifier":"ipads","installReasons":["declaration"],"installState":"failed","installedFor":"ipads","overdue":false,"pendingBuild":"22B83","pendingVersion":"18.1","state":"TAKEN","targetOSVersion":"18.1"}`,
	})
	h.pass(5 * 24 * time.Hour)
	h.expect(h.asks(operator.Viewer, look, nil), map[string]string{"one.osUpdateEnforcements.0.overdue": "true"})
	h.declares("U1", `{"StatusItems":{"device":{"operating-system":{"version":"18.1","build-version":"22B83"}},"softwareupdate":{"install-state":"none","failure-reason":{"count":0},"pending-version":null}}}`)
	h.expect(h.asks(operator.Viewer, look, nil), map[string]string{
		"one.osUpdateEnforcements.0.state": `"MET"`, "one.osUpdateEnforcements.0.overdue": "false", "one.osUpdateEnforcements.0.failureReason": "null", "one.osUpdateEnforcements.0.pendingVersion": "null",
	})
	// As it was, and since when.
	h.expect(h.asks(operator.Viewer, `{then:device(id:"S1", asOf:"2026-02-04T00:00:00Z"){osUpdateEnforcements{state installState failureReason}}
		device(id:"S1"){history(key:"status.softwareupdate.install-state"){nodes{value}}}}`, nil), map[string]string{
		"then.osUpdateEnforcements": `[{"failureReason":"no space","installState":"failed","state":"TAKEN"}]`, "device.history.nodes": `[{"value":"failed"},{"value":"none"}]`,
	})
	h.expect(h.asks(operator.Operator, `mutation{withdrawOSUpdate(identifier:"ipads", reason:"done"){identifier}}`, nil), map[string]string{"withdrawOSUpdate": "null"})
	h.expect(h.asks(operator.Viewer, `{osUpdateEnforcements{targetOSVersion} then:osUpdateEnforcements(asOf:"2026-02-04T00:00:00Z"){targetOSVersion} device(id:"S1"){osUpdateEnforcements{state}}}`, nil),
		map[string]string{"osUpdateEnforcements": "[]", "device.osUpdateEnforcements": "[]", "then": `[{"targetOSVersion":"18.1"}]`})
}

func TestAnUpdateForDevicesThatAreNamed(t *testing.T) {
	h := newHouse(t)
	h.enrols("U1", "S1", "iPad13,4", "18.0")
	h.enrols("U2", "S2", "iPad13,4", "18.0")
	const one = `mutation($d:[ID!]){enforceOSUpdate(identifier:"some", devices:$d, targetOSVersion:"18.1", targetLocalDateTime:"2026-02-05T18:00:00"){declaration{assignments{groupId group{name devices{nodes{serialNumber}}}}}}}`
	h.expect(h.asks(operator.Operator, one, map[string]any{"d": []string{"S1"}}), map[string]string{
		"enforceOSUpdate.declaration.assignments": `[{"group":{"devices":{"nodes":[{"serialNumber":"S1"}]},"name":"Devices of some"},"groupId":"declared.some"}]`,
	})
	h.expect(h.asks(operator.Operator, one, map[string]any{"d": []string{"S2"}}), map[string]string{
		"enforceOSUpdate.declaration.assignments.0.group.devices.nodes": `[{"serialNumber":"S1"},{"serialNumber":"S2"}]`,
	})
	h.asks(operator.Operator, `mutation{withdrawOSUpdate(identifier:"some", reason:"done"){identifier}}`, nil)
	h.expect(h.asks(operator.Viewer, `{groups{nodes{id}}}`, nil), map[string]string{"groups.nodes": "[]"})
}

func TestSettingsOfUpdates(t *testing.T) {
	h := newHouse(t)
	h.enrols("U1", "S1", "iPad13,4", "18.0")
	h.asks(operator.Operator, `mutation{createGroup(id:"all", name:"All", rule:{status:[ENROLLED]}){id}}`, nil)
	h.expect(h.asks(operator.Operator, `mutation{putOSUpdateSettings(identifier:"s", group:"all", notifications:false, deferrals:{CombinedPeriodInDays:30}, automaticActions:{Download:"AlwaysOn"}){payload assignments{groupId} unsuitable{because}}}`, nil),
		map[string]string{
			"putOSUpdateSettings.payload":     `{"AutomaticActions":{"Download":"AlwaysOn"},"Deferrals":{"CombinedPeriodInDays":30},"Notifications":false}`,
			"putOSUpdateSettings.assignments": `[{"groupId":"all"}]`, "putOSUpdateSettings.unsuitable": "[]",
		})
}

func TestUpdatesThatMakeNoSenseAreRefused(t *testing.T) {
	h := newHouse(t)
	h.enrols("U1", "S1", "MacBookPro18,1", "15.1")
	h.asks(operator.Operator, `mutation{createGroup(id:"macs", name:"Macs", rule:{platform:[MACOS]}){id}}`, nil)
	for query, because := range map[string]string{
		`mutation{enforceOSUpdate(identifier:"a", group:"macs", targetOSVersion:"18.1", targetLocalDateTime:"2026-02-05T18:00:00"){targetOSVersion}}`:                 "none of the devices can take it: there is no macOS 18.1",
		`mutation{enforceOSUpdate(identifier:"a", devices:["S1"], targetOSVersion:"15.0", targetLocalDateTime:"2026-02-05T18:00:00"){targetOSVersion}}`:               "none of the devices can take it: the device runs macOS 15.1 already",
		`mutation{enforceOSUpdate(identifier:"a", group:"macs", targetOSVersion:"latest", targetLocalDateTime:"2026-02-05T18:00:00"){targetOSVersion}}`:               "TargetOSVersion",
		`mutation{enforceOSUpdate(identifier:"a", group:"nobody", targetOSVersion:"15.2", targetLocalDateTime:"2026-02-05T18:00:00"){targetOSVersion}}`:               "no such group",
		`mutation{enforceOSUpdate(identifier:"a", devices:["S9"], targetOSVersion:"15.2", targetLocalDateTime:"2026-02-05T18:00:00"){targetOSVersion}}`:               "no device is called",
		`mutation{enforceOSUpdate(identifier:"a", group:"macs", devices:["S1"], targetOSVersion:"15.2", targetLocalDateTime:"2026-02-05T18:00:00"){targetOSVersion}}`: "either a group or devices",
		`mutation{putOSUpdateSettings(identifier:"s", group:"macs", deferrals:{CombinedPeriodInDays:30}){identifier}}`:                                                "Deferrals.CombinedPeriodInDays does not exist on macOS",
		`mutation{putOSUpdateSettings(identifier:"s", deferrals:{CombinedPeriodInDays:91}){identifier}}`:                                                              "CombinedPeriodInDays",
		`mutation{withdrawOSUpdate(identifier:"nothing", reason:"x"){identifier}}`:                                                                                    "no declaration about updates",
	} {
		_, out := h.post(operator.Operator, query, nil)
		if len(out.Errors) != 1 || !strings.Contains(out.Errors[0].Message, because) {
			t.Errorf("%s\n%+v, want %q", query, out.Errors, because)
		}
	}
	h.expect(h.asks(operator.Viewer, `{declarations{nodes{identifier}}}`, nil), map[string]string{"declarations.nodes": "[]"})
	if _, out := h.post(operator.Viewer, `mutation{enforceOSUpdate(identifier:"a", targetOSVersion:"15.2", targetLocalDateTime:"2026-02-05T18:00:00"){targetOSVersion}}`, nil); len(out.Errors) == 0 {
		t.Error("a viewer may enforce updates")
	}
}
