package graphql

import (
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain/operator"
)

func TestGroupsHoldWhoWasPutIn(t *testing.T) {
	h := newHouse(t)
	h.enrols("U1", "S1", "MacBookPro18,1", "14.2")
	h.enrols("U2", "S2", "iPad13,4", "17.2")
	h.expect(h.asks(operator.Operator, `mutation{createGroup(id:"labs", name:"Labs", description:"Room 7"){id name description rule createdBy devices{totalCount}}}`, nil),
		map[string]string{
			"createGroup.id": `"labs"`, "createGroup.name": `"Labs"`, "createGroup.description": `"Room 7"`, "createGroup.rule": "null",
			"createGroup.createdBy": `"Ada the operator"`, "createGroup.devices.totalCount": "0",
		})
	h.pass(time.Hour)
	h.expect(h.asks(operator.Operator, `mutation{addToGroup(group:"labs", devices:["S1","U2","nobody"]){group{devices{nodes{serialNumber}}} refused{device code}}}`, nil),
		map[string]string{
			"addToGroup.group.devices.nodes": `[{"serialNumber":"S1"},{"serialNumber":"S2"}]`,
			"addToGroup.refused":             `[{"code":"not-found","device":"nobody"}]`,
		})
	h.pass(time.Hour)
	h.expect(h.asks(operator.Operator, `mutation{removeFromGroup(group:"labs", devices:["S1"]){group{devices{nodes{serialNumber}}}}}`, nil),
		map[string]string{"removeFromGroup.group.devices.nodes": `[{"serialNumber":"S2"}]`})
	h.expect(h.asks(operator.Viewer, `{device(id:"U1"){groups{id}} then:device(id:"U1", asOf:"2026-02-03T13:30:00Z"){groups{id devices{nodes{serialNumber}}}}
		devices(filter:{group:"labs"}){totalCount nodes{serialNumber}} groups{nodes{name}} group(id:"labs", asOf:"2026-02-03T11:00:00Z"){id}}`, nil),
		map[string]string{
			"device.groups": `[]`, "then.groups.0.devices.nodes": `[{"serialNumber":"S1"},{"serialNumber":"S2"}]`,
			"devices.totalCount": "1", "devices.nodes": `[{"serialNumber":"S2"}]`, "groups.nodes": `[{"name":"Labs"}]`, "group": "null",
		})
	h.expect(h.asks(operator.Operator, `mutation{deleteGroup(id:"labs", reason:"moved out"){id}}`, nil), map[string]string{"deleteGroup": "null"})
	h.expect(h.asks(operator.Viewer, `{groups{nodes{id}} then:groups(asOf:"2026-02-03T13:30:00Z"){nodes{id}} devices(filter:{group:"labs"}){totalCount}}`, nil),
		map[string]string{"groups.nodes": `[]`, "then.nodes": `[{"id":"labs"}]`, "devices.totalCount": "0"})
}

func TestGroupsChooseByTheirRule(t *testing.T) {
	h := newHouse(t)
	h.enrols("U1", "S1", "MacBookPro18,1", "14.2")
	h.enrols("U2", "S2", "iPad13,4", "17.2")
	h.expect(h.asks(operator.Operator, `mutation{createGroup(id:"new", name:"New", rule:{platform:[IPADOS,MACOS], fact:[{key:"device.OSVersion", op:GE, value:"17"}]}){
		rule devices{nodes{serialNumber}}}}`, nil),
		map[string]string{
			"createGroup.rule":          `{"fact":[{"key":"device.OSVersion","op":"GE","value":"17"}],"platform":["IPADOS","MACOS"]}`,
			"createGroup.devices.nodes": `[{"serialNumber":"S2"}]`,
		})
	h.enrols("U3", "S3", "MacBookPro18,1", "26.1") // fits, and belongs to it without more ado
	h.expect(h.asks(operator.Viewer, `{group(id:"new"){devices(filter:{platform:[MACOS]}){nodes{serialNumber}}} device(id:"S3"){groups{id}}}`, nil),
		map[string]string{"group.devices.nodes": `[{"serialNumber":"S3"}]`, "device.groups": `[{"id":"new"}]`})
	h.expect(h.asks(operator.Operator, `mutation{changeGroup(id:"new", name:"Old", rule:{osVersion:"14"}){name devices{nodes{serialNumber}}}}`, nil),
		map[string]string{"changeGroup.name": `"Old"`, "changeGroup.devices.nodes": `[{"serialNumber":"S1"}]`})
}

func TestGroupsThatMakeNoSenseAreRefused(t *testing.T) {
	h := newHouse(t)
	h.enrols("U1", "S1", "MacBookPro18,1", "14.2")
	h.asks(operator.Operator, `mutation{createGroup(id:"rule", name:"By rule", rule:{osVersion:"14"}){id} more:createGroup(id:"list", name:"By name"){id}}`, nil)
	for query, code := range map[string]string{
		`mutation{createGroup(id:"a b", name:"x"){id}}`:                                         "invalid",
		`mutation{createGroup(id:"a", name:""){id}}`:                                            "invalid",
		`mutation{createGroup(id:"list", name:"Another"){id}}`:                                  "conflict",
		`mutation{createGroup(id:"a", name:"x", rule:{}){id}}`:                                  "invalid",
		`mutation{createGroup(id:"a", name:"x", rule:{seenBefore:"2026-01-01T00:00:00Z"}){id}}`: "invalid",
		`mutation{createGroup(id:"a", name:"x", rule:{group:"list"}){id}}`:                      "invalid",
		`mutation{createGroup(id:"a", name:"x", rule:{fact:[{key:"", op:EQ, value:1}]}){id}}`:   "invalid",
		`mutation{addToGroup(group:"rule", devices:["S1"]){refused{code}}}`:                     "conflict",
		`mutation{addToGroup(group:"none", devices:["S1"]){refused{code}}}`:                     "not-found",
		`mutation{changeGroup(id:"none", name:"x"){id}}`:                                        "not-found",
		`mutation{deleteGroup(id:"none", reason:""){id}}`:                                       "not-found",
		`{group(id:"list"){devices(filter:{group:"rule"}){totalCount}}}`:                        "invalid",
	} {
		if _, out := h.post(operator.Operator, query, nil); len(out.Errors) != 1 || out.Errors[0].Extensions["code"] != code {
			t.Errorf("%s: %s, want %s", query, mustJSON(out), code)
		}
	}
	for _, query := range []string{
		`mutation{createGroup(id:"a", name:"x"){id}}`, `mutation{addToGroup(group:"list", devices:["S1"]){group{id}}}`, `mutation{deleteGroup(id:"list", reason:""){id}}`,
	} {
		if _, out := h.post(operator.Viewer, query, nil); len(out.Errors) != 1 || out.Errors[0].Extensions["code"] != "forbidden" {
			t.Errorf("a viewer asked %s: %s", query, mustJSON(out))
		}
	}
}
