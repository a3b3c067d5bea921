package graphql

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/domain/operator"
)

// A list that did not change is stored once, and shown whole wherever it was told.
func TestAnUnchangedListIsShownWhole(t *testing.T) {
	h := newHouse(t)
	h.enrols("U1", "S1", "iPhone15,2", "17.2")
	list := `{"InstalledApplicationList":[` + strings.Repeat(`{"Identifier":"com.example.canary","Version":"1"},`, 20) + `{"Identifier":"com.example.last"}]}`
	for i := range 3 {
		h.does("U1", nil, func(d device.Device, at time.Time) ([]domain.Event, error) {
			return d.Order("", device.Order{UUID: fmt.Sprintf("apps-%d", i), RequestType: "InstalledApplicationList", Body: []byte("b")}, true, at)
		})
		h.answers("U1", list)
	}
	const q = `query($u: ID!) { command(uuid: $u) { state result } events(last: 1) { nodes { data } } }`
	for i := range 3 {
		_, out := h.post(operator.Viewer, q, map[string]any{"u": fmt.Sprintf("apps-%d", i)})
		h.expect(out, map[string]string{"command.state": `"ACKNOWLEDGED"`, "command.result": list})
		if data := fmt.Sprint(out.at("events.nodes.0.data")); !strings.Contains(data, "SameAs") || !strings.Contains(data, "com.example.last") {
			t.Errorf("the newest event's data: %s", data)
		}
	}
}
