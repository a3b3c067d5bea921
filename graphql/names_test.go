package graphql

import (
	"strings"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/domain/operator"
)

// T82: a device is renamed, taken out of management and enrolled anew, and whoever managed it is gone: its history is whole, and
// tells who acted by the name of that time, and of which device. So does what was true then.
func TestHistoryKeepsTheNamesOfItsTime(t *testing.T) {
	h := newHouse(t)
	h.enrols("U1", "S1", "iPad13,18", "18.1")
	made := h.asks(operator.Administrator, `mutation { createToken(name: "Grace", role: OPERATOR) { text token { id } } }`, nil)
	h.tokens["grace"] = made.text("createToken.text")
	h.asks("grace", `mutation { sendCommand(input: {requestType: "ProfileList", devices: ["U1"], reason: "ticket 1"}) { commands { uuid } } }`, nil)
	h.answers("U1", `{"ProfileList":[]}`)
	before := h.asks(operator.Auditor, `{ device(id: "U1") { timeline(first: 50) { edges { node { summary position actor { name } } } } } }`, nil)

	h.asks(operator.Administrator, `mutation($id: ID!) { revokeToken(id: $id, reason: "left") { name } }`, map[string]any{"id": made.text("createToken.token.id")})
	then := h.clock()
	h.pass(time.Hour)
	h.does("U1", nil, func(d device.Device, _ time.Time) ([]domain.Event, error) { return d.CheckOut() })
	h.enrols("U1", "S1", "iPad14,8", "19.0") // it is called otherwise now
	after := h.asks(operator.Auditor, `{ device(id: "U1") { timeline(first: 50) { edges { node { summary position actor { name } } } } } }`, nil)

	all := mustJSON(after)
	told := before.at("device.timeline.edges").([]any)
	now := after.at("device.timeline.edges").([]any)
	if len(now) < len(told)+3 {
		t.Fatalf("%d entries became %d", len(told), len(now))
	}
	position := func(edge any) any { return edge.(map[string]any)["node"].(map[string]any)["position"] }
	whole := map[any]any{}
	for _, edge := range now {
		whole[position(edge)] = edge.(map[string]any)["node"].(map[string]any)["actor"]
	}
	for _, edge := range told {
		if mustJSON(whole[position(edge)]) != mustJSON(edge.(map[string]any)["node"].(map[string]any)["actor"]) {
			t.Errorf("the entry at %v is by %s now, and was %s", position(edge), mustJSON(whole[position(edge)]), mustJSON(edge))
		}
	}
	for _, told := range []string{"Grace asked The iPad13,18 for its profiles", "The iPad14,8 authenticated (iPad14,8 19.0), enrolment 2"} {
		if !strings.Contains(all, told) {
			t.Errorf("it is not told that %q:\n%s", told, all)
		}
	}
	was := h.asks(operator.Auditor, `query($at: Time!) { device(id: "U1", asOf: $at) { name generation status } }`, map[string]any{"at": then})
	h.expect(was, map[string]string{"device": `{"generation":1,"name":"The iPad13,18","status":"ENROLLED"}`})
	is := h.asks(operator.Auditor, `{ device(id: "U1") { name generation status } }`, nil)
	h.expect(is, map[string]string{"device": `{"generation":2,"name":"The iPad14,8","status":"ENROLLED"}`})
}
