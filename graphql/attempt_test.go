package graphql

import (
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/domain/operator"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

// Deliveries of one session are known by it, and as of a moment an attempt tells what had come back by then.
func TestAttemptsBySessionAndMoment(t *testing.T) {
	h := newHouse(t)
	h.enrols("U1", "C02XYZ", "Mac14,2", "15.1")
	for _, ask := range []string{"profileList", "securityInfo"} {
		h.asks(operator.Operator, `mutation { `+ask+`(device: "U1") { uuid } }`, nil)
	}
	h.pass(time.Minute)
	first := h.connects("U1", device.Report{Status: device.Idle})
	between := h.clock()
	h.pass(time.Minute)
	second := h.connects("U1", device.Report{Status: device.NotNow, UUID: first})
	h.connects("U1", device.Report{Status: device.Acknowledged, UUID: second})
	h.pass(time.Minute)
	h.connects("U1", device.Report{Status: device.Idle})
	query := `query($at: Time) { device(id: "U1", asOf: $at) { commands { nodes { uuid attempts { number session outcome } } } } }`
	sessions, outcomes := map[string][]any{}, map[string][]any{}
	read := func(at any) {
		clear(sessions)
		clear(outcomes)
		h.ok(h.views.Wait(t.Context(), headOf(t, h)))
		nodes, _ := h.asks(operator.Viewer, query, map[string]any{"at": at}).at("device.commands.nodes").([]any)
		for _, n := range nodes {
			c := n.(map[string]any)
			for _, a := range c["attempts"].([]any) {
				uuid := c["uuid"].(string)
				sessions[uuid] = append(sessions[uuid], a.(map[string]any)["session"])
				outcomes[uuid] = append(outcomes[uuid], a.(map[string]any)["outcome"])
			}
		}
	}
	read(nil)
	if len(sessions[first]) != 2 || len(sessions[second]) != 1 || sessions[first][0] != sessions[second][0] || sessions[first][1] == sessions[first][0] {
		t.Errorf("sessions: %v", sessions)
	}
	if outcomes[first][0] != "the device put it off (NotNow)" || outcomes[first][1] != "nothing has come back yet" {
		t.Errorf("outcomes: %v", outcomes)
	}
	read(between.Format(time.RFC3339Nano))
	if len(outcomes[first]) != 1 || outcomes[first][0] != "nothing has come back yet" || len(outcomes[second]) != 0 {
		t.Errorf("outcomes of then: %v", outcomes)
	}
}

func headOf(t *testing.T, h *house) eventstore.Position {
	head, err := h.log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return head
}
