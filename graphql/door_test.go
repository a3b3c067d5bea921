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

const send = `mutation($in: SendCommandInput!) { sendCommand(input: $in) {
	commands { uuid state requestType parameters priority reason queuedBy { kind name role } device { serialNumber } }
	refused { device code reason } } }`

func TestACommandFromOrderToAnswer(t *testing.T) {
	h := newHouse(t)
	h.enrols("U1", "S1", "iPad13,4", "17.2")
	sent := h.asks(operator.Operator, send, map[string]any{"in": map[string]any{
		"requestType": "DeviceInformation", "parameters": map[string]any{"Queries": []string{"DeviceName", "IsSupervised"}},
		"devices": []string{"S1", "U1", "nobody"}, "priority": 3, "reason": "inventory",
	}})
	h.expect(sent, map[string]string{
		"sendCommand.commands.0.state":               `"QUEUED"`,
		"sendCommand.commands.0.parameters.Queries":  `["DeviceName","IsSupervised"]`,
		"sendCommand.commands.0.priority":            `3`,
		"sendCommand.commands.0.reason":              `"inventory"`,
		"sendCommand.commands.0.queuedBy.kind":       `"TOKEN"`,
		"sendCommand.commands.0.queuedBy.name":       `"Ada the operator"`,
		"sendCommand.commands.0.device.serialNumber": `"S1"`,
		"sendCommand.commands.1.state":               `"QUEUED"`,
		"sendCommand.refused.0.device":               `"nobody"`,
		"sendCommand.refused.0.code":                 `"not-found"`,
	})
	h.pass(2 * time.Second)
	h.answers("U1", `{"QueryResponses":{"DeviceName":"Kitchen","IsSupervised":true}}`)
	uuid := sent.text("sendCommand.commands.0.uuid")
	got := h.asks(operator.Viewer, `query($u: ID!) { command(uuid: $u) { state result settledAt waitingBecause
		attempts { status deliveredAt answeredAt position } device { name supervised } } }`, map[string]any{"u": uuid})
	h.expect(got, map[string]string{
		"command.state":             `"ACKNOWLEDGED"`,
		"command.result":            `{"QueryResponses":{"DeviceName":"Kitchen","IsSupervised":true}}`,
		"command.settledAt":         `"2026-02-03T12:00:02Z"`,
		"command.waitingBecause":    `null`,
		"command.attempts.0.status": `"Acknowledged"`,
		"command.device.name":       `"Kitchen"`,
		"command.device.supervised": `true`,
	})
}

func TestTheSameKeyOrdersOnce(t *testing.T) {
	h := newHouse(t)
	h.enrols("U1", "S1", "Mac15,3", "15.1")
	in := map[string]any{"in": map[string]any{"requestType": "DeviceLock", "parameters": map[string]any{"PIN": "123456"}, "devices": []string{"U1"}, "idempotencyKey": "k"}}
	first, again := h.asks(operator.Operator, send, in), h.asks(operator.Operator, send, in)
	if a, b := first.text("sendCommand.commands.0.uuid"), again.text("sendCommand.commands.0.uuid"); a == "" || a != b {
		t.Errorf("the command is %s, then %s", a, b)
	}
	queue := h.asks(operator.Viewer, `{device(id:"U1"){queue{uuid} queueLength}}`, nil)
	if n := len(queue.at("device.queue").([]any)); n != 1 {
		t.Errorf("%d commands wait, want 1", n)
	}
}

func TestSecretsAreNowhere(t *testing.T) {
	h := newHouse(t)
	h.enrols("U1", "S1", "MacBookPro18,1", "14.2")
	h.asks(operator.Administrator, `mutation{deviceLock(device:"U1", pin:"777888"){parameters}}`, nil)
	h.asks(operator.Administrator, `mutation{deviceLock(device:"U1", pin:"777888"){parameters}}`, nil)
	h.answers("U1", `{}`)
	h.answers("U1", `{}`)
	h.asks(operator.Administrator, `mutation{deviceInformation(device:"U1", queries:["PushToken"]){uuid}}`, nil)
	h.answers("U1", `{"QueryResponses":{"PushToken":"canary-push","n":12345678901234567}}`)
	_, wrong := h.post(operator.Administrator, `mutation{deviceLock(device:"U1", pin:"canary-777888"){parameters}}`, nil)
	const everything = `{events(first:100){nodes{type summary data evidence{sha256 bytes signed}}} device(id:"U1"){facts{key value}
		commands{nodes{parameters result}} queue{parameters waitingBecause}}}`
	all := h.asks(operator.Administrator, everything, nil)
	for _, text := range []string{mustJSON(all.Data), mustJSON(wrong), h.logged.String()} {
		for _, secret := range []string{"777888", "canary-magic", "canary-push", base64.StdEncoding.EncodeToString([]byte("canary-token")), "canary-unlock", base64.StdEncoding.EncodeToString([]byte("canary-unlock"))} {
			if strings.Contains(text, secret) {
				t.Errorf("%s is in %.2000s", secret, text)
			}
		}
	}
	if !strings.Contains(mustJSON(all.Data), mask) {
		t.Error("nothing is masked")
	}
}

func TestOnlyAuditorsSeeBytesAndAddresses(t *testing.T) {
	h := newHouse(t)
	h.enrols("U1", "S1", "iPhone15,2", "17.2")
	const q = `{device(id:"U1"){timeline(first:1){nodes{type actor{kind address} evidence{sha256 bytes body}}}}}`
	for _, role := range operator.Roles() {
		_, out := h.post(role, q, nil)
		body, _ := base64.StdEncoding.DecodeString(out.text("device.timeline.nodes.0.evidence.body"))
		if seen := string(body) == "<plist>Authenticate U1</plist>"; seen != role.MayAudit() {
			t.Errorf("%s sees the body: %v %+v", role, seen, out.Errors)
		}
		if seen := out.text("device.timeline.nodes.0.actor.address") == "198.51.100.7"; seen != role.MayAudit() {
			t.Errorf("%s sees the address: %v", role, seen)
		}
		h.expect(out, map[string]string{
			"device.timeline.nodes.0.evidence.bytes": "30",
			"device.timeline.nodes.0.actor.kind":     `"DEVICE"`,
			"device.timeline.nodes.0.type":           `"device.authenticated"`,
		})
	}
}

func TestTimeTravel(t *testing.T) {
	h := newHouse(t)
	h.pass(time.Hour)
	h.enrols("U1", "S1", "iPad13,4", "17.1")
	h.pass(time.Hour) // 14:00
	h.asks(operator.Operator, `mutation{deviceInformation(device:"U1", queries:["OSVersion"]){uuid}}`, nil)
	h.pass(time.Hour) // 15:00
	h.answers("U1", `{"QueryResponses":{"OSVersion":"17.2"}}`)
	h.enrols("U2", "S2", "iPhone15,2", "17.2")
	h.pass(time.Hour) // 16:00
	const q = `query($at: Time) { device(id: "S1", asOf: $at) { osVersion status queueLength
		facts(prefix: "device.OSVersion") { value since } queue { requestType state settledAt result }
		commands { nodes { state } } timeline(last: 1) { nodes { type } } history(key: "device.OSVersion") { nodes { value until } } }
		fleet(asOf: $at) { devices enrolled byOsVersion { name devices } } devices(asOf: $at) { totalCount nodes { serialNumber osVersion } } }`
	at := func(clock string) map[string]any { return map[string]any{"at": "2026-02-03T" + clock + ":00Z"} }
	h.expect(h.asks(operator.Viewer, q, at("12:30")), map[string]string{
		"device": "null", "fleet.devices": "0", "devices.nodes": "[]", "devices.totalCount": "0",
	})
	h.expect(h.asks(operator.Viewer, q, at("13:30")), map[string]string{
		"device.osVersion": `"17.1"`, "device.status": `"ENROLLED"`, "device.queue": "[]", "device.commands.nodes": "[]",
		"fleet.enrolled": "1", "device.history.nodes": `[{"until":null,"value":"17.1"}]`, "fleet.byOsVersion": `[{"devices":1,"name":"17.1"}]`,
	})
	h.expect(h.asks(operator.Viewer, q, at("14:30")), map[string]string{
		"device.osVersion": `"17.1"`, "device.queue.0.requestType": `"DeviceInformation"`, "device.queue.0.state": `"QUEUED"`,
		"device.queue.0.result": "null", "device.queue.0.settledAt": "null", "device.commands.nodes": `[{"state":"QUEUED"}]`,
		"device.timeline.nodes": `[{"type":"device.command-queued"}]`,
	})
	h.expect(h.asks(operator.Viewer, q, nil), map[string]string{
		"device.osVersion": `"17.2"`, "device.queue": "[]", "device.commands.nodes": `[{"state":"ACKNOWLEDGED"}]`,
		"fleet.devices": "2", "devices.totalCount": "2", "devices.nodes.1.serialNumber": `"S2"`,
		"device.history.nodes": `[{"until":"2026-02-03T15:00:00Z","value":"17.1"},{"until":null,"value":"17.2"}]`,
	})
	history := h.asks(operator.Viewer, `{fleetHistory(from:"2026-02-03T12:30:00Z",to:"2026-02-03T15:30:00Z",every:"PT1H"){time enrolled}
		device(id:"U1"){changes(from:"2026-02-03T13:30:00Z",to:"2026-02-03T15:30:00Z"){key before after at}}}`, nil)
	h.expect(history, map[string]string{
		"fleetHistory.0.enrolled": "0", "fleetHistory.1.enrolled": "1", "fleetHistory.3.enrolled": "2",
		"fleetHistory.3.time": `"2026-02-03T15:30:00Z"`, "fleetHistory.4": "null",
		"device.changes.0": `{"after":"17.2","at":"2026-02-03T15:00:00Z","before":"17.1","key":"device.OSVersion"}`,
	})
}

func TestTheQueueThenIsInItsOrder(t *testing.T) {
	h := newHouse(t)
	h.enrols("U1", "S1", "iPad13,4", "17.1")
	for i, priority := range []int{0, 5, 0} {
		h.asks(operator.Operator, send, map[string]any{"in": map[string]any{"requestType": "ProfileList", "devices": []string{"U1"}, "priority": priority, "reason": fmt.Sprint(i)}})
	}
	uuid := h.connects("U1", device.Report{Status: device.Idle})
	h.connects("U1", device.Report{Status: device.NotNow, UUID: uuid})
	const q = `query($at: Time) { device(id: "S1", asOf: $at) { queue { reason state } } }`
	now := mustJSON(h.asks(operator.Viewer, q, nil).at("device.queue"))
	then := mustJSON(h.asks(operator.Viewer, q, map[string]any{"at": "2026-02-03T12:00:01Z"}).at("device.queue"))
	if now != then || !strings.HasPrefix(now, `[{"reason":"0","state":"DELIVERED"}`) {
		t.Errorf("the queue is\n%s, as of the same moment\n%s", now, then)
	}
}

func TestListsOfADevice(t *testing.T) {
	h := newHouse(t)
	h.enrols("U1", "S1", "iPad13,4", "17.1")
	for _, requestType := range []string{"InstalledApplicationList", "ProfileList", "CertificateList", "SecurityInfo"} {
		h.asks(operator.Operator, send, map[string]any{"in": map[string]any{"requestType": requestType, "devices": []string{"U1"}}})
	}
	h.answers("U1", `{"InstalledApplicationList":[{"Identifier":"com.a","Name":"A","Version":"7","ShortVersion":"1.2","BundleSize":5000000000},{"Identifier":"com.b"}]}`)
	h.answers("U1", `{"ProfileList":[{"PayloadIdentifier":"org.wifi","PayloadUUID":"P","PayloadDisplayName":"Wi-Fi","IsManaged":true}]}`)
	h.answers("U1", `{"CertificateList":[{"CommonName":"CA","IsIdentity":false,"Data":"AAAA"}]}`)
	h.answers("U1", `{"SecurityInfo":{"PasscodePresent":true,"HardwareEncryptionCaps":3}}`)
	got := h.asks(operator.Viewer, `{device(id:"U1"){ applications(first:1){totalCount pageInfo{hasNextPage endCursor} nodes{identifier name shortVersion bundleSize}}
		profiles{identifier uuid displayName isManaged since} certificates{commonName isIdentity notAfter} security } }`, nil)
	h.expect(got, map[string]string{
		"device.applications.totalCount":           "2",
		"device.applications.pageInfo.hasNextPage": "true",
		"device.applications.nodes":                `[{"bundleSize":5000000000,"identifier":"com.a","name":"A","shortVersion":"1.2"}]`,
		"device.profiles.0.identifier":             `"org.wifi"`,
		"device.profiles.0.displayName":            `"Wi-Fi"`,
		"device.profiles.0.isManaged":              "true",
		"device.certificates":                      `[{"commonName":"CA","isIdentity":false,"notAfter":null}]`,
		"device.security":                          `{"HardwareEncryptionCaps":3,"PasscodePresent":true}`,
	})
	next := h.asks(operator.Viewer, `query($c:String){device(id:"U1"){applications(after:$c){pageInfo{hasNextPage} nodes{identifier}}}}`,
		map[string]any{"c": got.text("device.applications.pageInfo.endCursor")})
	h.expect(next, map[string]string{"device.applications.nodes": `[{"identifier":"com.b"}]`, "device.applications.pageInfo.hasNextPage": "false"})
	found := h.asks(operator.Viewer, `{devices(filter:{fact:[{key:"security.PasscodePresent",op:EQ,value:true}],application:"com.a"}){nodes{serialNumber}}
		none:devices(filter:{fact:[{key:"security.PasscodePresent",op:EQ,value:false}]}){nodes{serialNumber}}}`, nil)
	h.expect(found, map[string]string{"devices.nodes": `[{"serialNumber":"S1"}]`, "none.nodes": "[]"})
}

func TestTakingBack(t *testing.T) {
	h := newHouse(t)
	h.enrols("U1", "S1", "iPad13,4", "17.1")
	one := h.asks(operator.Operator, `mutation{profileList(device:"U1"){uuid state}}`, nil)
	cancelled := h.asks(operator.Operator, `mutation($u:ID!){cancelCommand(uuid:$u,reason:"a slip"){state endedBecause settledAt}}`, map[string]any{"u": one.text("profileList.uuid")})
	h.expect(cancelled, map[string]string{"cancelCommand.state": `"CANCELLED"`, "cancelCommand.endedBecause": `"a slip"`})
	_, again := h.post(operator.Operator, `mutation($u:ID!){cancelCommand(uuid:$u,reason:"a slip"){state}}`, map[string]any{"u": one.text("profileList.uuid")})
	if len(again.Errors) != 1 || again.Errors[0].Extensions["code"] != "conflict" {
		t.Errorf("cancelled twice: %+v", again)
	}
	_, unknown := h.post(operator.Operator, `mutation{cancelCommand(uuid:"x",reason:"a slip"){state}}`, nil)
	if len(unknown.Errors) != 1 || unknown.Errors[0].Extensions["code"] != "not-found" {
		t.Errorf("cancelled what is not there: %+v", unknown)
	}
	h.asks(operator.Operator, `mutation{a:profileList(device:"U1"){uuid} b:securityInfo(device:"U1"){uuid}}`, nil)
	cleared := h.asks(operator.Operator, `mutation{clearQueue(device:"S1",reason:"anew"){state requestType}}`, nil)
	if got := mustJSON(cleared.at("clearQueue")); got != `[{"requestType":"ProfileList","state":"CANCELLED"},{"requestType":"SecurityInfo","state":"CANCELLED"}]` {
		t.Errorf("cleared %s", got)
	}
}

func TestWaking(t *testing.T) {
	h := newHouse(t)
	h.enrols("U1", "S1", "iPad13,4", "17.1")
	got := h.asks(operator.Operator, `mutation{wake(devices:["S1","nobody"]){device requested code reason}}`, nil)
	h.expect(got, map[string]string{
		"wake.0": `{"code":null,"device":"S1","reason":null,"requested":true}`,
		"wake.1": `{"code":"not-found","device":"nobody","reason":"no such device is known","requested":false}`,
	})
}

func TestWhatADeviceCannotTakeIsRefused(t *testing.T) {
	h := newHouse(t)
	h.enrols("U1", "S1", "MacBookPro18,1", "14.2")
	h.enrols("U2", "S2", "iPad13,4", "17.2")
	got := h.asks(operator.Operator, send, map[string]any{"in": map[string]any{"requestType": "ClearPasscode", "devices": []string{"U1", "U2"}}})
	h.expect(got, map[string]string{"sendCommand.refused.0.device": `"U1"`, "sendCommand.commands.0.device.serialNumber": `"S2"`})
	for name, in := range map[string]map[string]any{
		"unknown":    {"requestType": "Dance", "devices": []string{"U1"}},
		"wrong key":  {"requestType": "DeviceLock", "parameters": map[string]any{"Pin": 7}, "devices": []string{"U1"}},
		"no devices": {"requestType": "ProfileList"},
		"too many":   {"requestType": "ProfileList", "devices": make([]string, maxTargets+1)},
		"a list":     {"requestType": "ProfileList", "devices": []string{"U1"}, "parameters": []any{1}},
	} {
		_, out := h.post(operator.Operator, send, map[string]any{"in": in})
		if len(out.Errors) != 1 || out.Errors[0].Extensions["code"] != "invalid" {
			t.Errorf("%s: %+v", name, out)
		}
	}
}

func TestTokensByGraphQL(t *testing.T) {
	h := newHouse(t)
	made := h.asks(operator.Administrator, `mutation{createToken(name:"dashboard",role:VIEWER,expiresAt:"2026-03-01T00:00:00Z"){text token{id name role expiresAt}}}`, nil)
	h.tokens["new"] = made.text("createToken.text")
	h.expect(h.asks("new", "{me{name role}}", nil), map[string]string{"me": `{"name":"dashboard","role":"VIEWER"}`})
	revoked := h.asks(operator.Administrator, `mutation($id:ID!){revokeToken(id:$id,reason:"left"){revokedAt}}`, map[string]any{"id": made.text("createToken.token.id")})
	h.expect(revoked, map[string]string{"revokeToken.revokedAt": `"2026-02-03T12:00:00Z"`})
	if status, _ := h.post("new", "{me{name}}", nil); status != 401 {
		t.Errorf("a revoked token: %d, want 401", status)
	}
	list := h.asks(operator.Administrator, "{tokens{name role}}", nil)
	if n := len(list.at("tokens").([]any)); n != 5 {
		t.Errorf("%d tokens, want 5", n)
	}
	if strings.Contains(mustJSON(list), made.text("createToken.text")[20:]) {
		t.Error("the list shows a token's text")
	}
}

func TestEventsPageBothWays(t *testing.T) {
	h := newHouse(t)
	h.enrols("U1", "S1", "iPad13,4", "17.1")
	all := h.asks(operator.Viewer, `{events{nodes{position type id version stream correlationId summary device{serialNumber}} pageInfo{hasNextPage}}}`, nil)
	nodes := all.at("events.nodes").([]any)
	first := h.asks(operator.Viewer, `{events(first:2){nodes{position} pageInfo{endCursor hasNextPage}}}`, nil)
	next := h.asks(operator.Viewer, `query($c:String){events(first:2,after:$c){nodes{position} pageInfo{startCursor}}}`, map[string]any{"c": first.text("events.pageInfo.endCursor")})
	back := h.asks(operator.Viewer, `query($c:String){events(last:2,before:$c){nodes{position}}}`, map[string]any{"c": next.text("events.pageInfo.startCursor")})
	if a, b := mustJSON(first.at("events.nodes")), mustJSON(back.at("events.nodes")); a != b || len(nodes) < 5 {
		t.Errorf("forward %s, backward %s, %d in all", a, b, len(nodes))
	}
	one := h.asks(operator.Viewer, `query($p:ID!){event(position:$p){type} none:event(position:"99999"){type}}`, map[string]any{"p": next.text("events.nodes.0.position")})
	if one.text("event.type") == "" || one.at("none") != nil {
		t.Errorf("%+v", one)
	}
	for _, wrong := range []string{"{events(first:0){nodes{id}}}", "{events(first:1001){nodes{id}}}", `{events(after:"x"){nodes{id}}}`, `{event(position:"x"){id}}`} {
		_, out := h.post(operator.Viewer, wrong, nil)
		if len(out.Errors) != 1 || out.Errors[0].Extensions["code"] != "invalid" {
			t.Errorf("%s: %+v", wrong, out)
		}
	}
}

func TestTheServerTellsOfItself(t *testing.T) {
	h := newHouse(t)
	got := h.asks(operator.Viewer, `{log{size head} views{name version position lag rebuilding parked{stream}} pushCertificates{topic}
		commandTypes(platform:TVOS){requestType mutation destructive parameters{path type required}} me{id role mayChange mayAudit}}`, nil)
	if len(got.at("views").([]any)) == 0 || got.text("log.size") != "4" {
		t.Errorf("%+v", got)
	}
	h.expect(got, map[string]string{"me.mayChange": "false", "me.role": `"VIEWER"`, "pushCertificates": "[]"})
	types := mustJSON(got.at("commandTypes"))
	if !strings.Contains(types, `"RestartDevice"`) || strings.Contains(types, `"ActiveNSExtensions"`) {
		t.Errorf("the commands of tvOS: %.500s", types)
	}
}

func TestStepsOfTime(t *testing.T) {
	for text, want := range map[string]step{
		"P1D": {days: 1}, "P2W": {days: 14}, "P1M": {months: 1}, "PT90M": {time: 90 * time.Minute}, "P1DT12H": {days: 1, time: 12 * time.Hour}, "P1Y": {years: 1},
	} {
		if got, err := parseStep(text); err != nil || got != want {
			t.Errorf("%s is %+v, %v; want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "P", "PT", "1D", "P-1D", "P0D", "PT5S", "P1D ", "P99999D", "day"} {
		if got, err := parseStep(text); err == nil {
			t.Errorf("%q is %+v, want an error", text, got)
		}
	}
}
