package graphql

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/domain/operator"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

// What a newer program wrote is shown with what is open in it; the views that would have to understand it say that they
// left the device alone, and go on with the others.
func TestAnEventOfANewerProgramIsShown(t *testing.T) {
	h := newHouse(t)
	h.enrols("U1", "S1", "iPhone15,2", "17.2")
	stream := eventstore.Stream{Kind: device.Kind, ID: h.names.Device("U1")}
	last := int64(eventstore.NoStream)
	for env, err := range h.log.ReadStream(context.Background(), stream, -1, eventstore.Backward) {
		h.ok(err)
		last = env.Version
		break
	}
	newer := []eventstore.Envelope{{
		ID: eventstore.NewUUID(), Type: "device.taught-to-fly", Time: noon, Data: json.RawMessage(`{"Height":7}`),
		Actor: eventstore.Actor{Kind: eventstore.ByDevice, ID: stream.ID},
	}}
	h.ok(h.log.Append(context.Background(), stream, last, newer))
	h.ok(h.views.Wait(context.Background(), newer[0].Position))
	h.enrols("U2", "S2", "iPhone15,2", "17.2") // views go on
	_, out := h.post(operator.Viewer, `{
		device(id: "U1") { timeline(last: 1) { nodes { type summary data evidence { bytes } } } }
		other: device(id: "U2") { status }
		views { name parked { stream error } }
	}`, nil)
	h.expect(out, map[string]string{
		"device.timeline.nodes.0.type":    `"device.taught-to-fly"`,
		"device.timeline.nodes.0.summary": `"an event that this program does not know (device.taught-to-fly): a newer one wrote it"`,
		"device.timeline.nodes.0.data":    `{"Height":7}`,
		"other.status":                    `"ENROLLED"`,
	})
	if !strings.Contains(mustJSON(out.Data), `a newer one wrote it: \"device.taught-to-fly\"`) {
		t.Errorf("no view says that it left the device alone: %s", mustJSON(out.Data))
	}
}
