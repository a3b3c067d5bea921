package graphql

import (
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain/operator"
)

// Updates of operating systems are told as of any moment: of one device, and counted over the fleet.
func TestUpdatesAsOfAMoment(t *testing.T) {
	h := newHouse(t)
	h.enrols("U1", "S1", "iPad13,18", "18.1")
	h.enrols("U2", "S2", "iPad13,18", "18.1")
	ask := func(udid, requestType, keys, answer string) {
		h.asks(operator.Operator, `mutation { `+requestType+`(device: "`+udid+`"`+keys+`) { uuid } }`, nil)
		h.answers(udid, answer)
	}
	available := `{"AvailableOSUpdates":[{"ProductKey":"P1","HumanReadableName":"iPadOS 18.2","Version":"18.2"}]}`
	before := h.clock()
	h.pass(time.Hour)
	ask("U1", "availableOSUpdates", "", available)
	ask("U2", "availableOSUpdates", "", available)
	could := h.clock()
	h.pass(time.Hour)
	ask("U1", "scheduleOSUpdate", `, updates: [{ProductKey: "P1", InstallAction: "InstallASAP"}]`, `{"UpdateResults":[{"ProductKey":"P1","InstallAction":"InstallASAP","Status":"Downloading"}]}`)
	ask("U1", "oSUpdateStatus", "", `{"OSUpdateStatus":[{"ProductKey":"P1","Status":"Downloading","DownloadPercentComplete":0.5}]}`)
	would := h.clock()
	h.pass(time.Hour)
	ask("U1", "availableOSUpdates", "", `{"AvailableOSUpdates":[]}`)

	const fleet = `query($at: Time) { osUpdates(asOf: $at) { version available scheduled statuses } }`
	const one = `query($at: Time) { device(id: "U1", asOf: $at) { osUpdates { version available { value } scheduled { action } status { percent } } } }`
	for _, c := range []struct {
		what              string
		at                any
		ofFleet, ofDevice string
	}{
		{"before anybody told", before, `[]`, `[]`},
		{"it could be installed", could, `[{"available":2,"scheduled":0,"statuses":{},"version":"18.2"}]`,
			`[{"available":{"value":{"HumanReadableName":"iPadOS 18.2","ProductKey":"P1","Version":"18.2"}},"scheduled":null,"status":null,"version":"18.2"}]`},
		{"it was scheduled", would, `[{"available":2,"scheduled":1,"statuses":{"Downloading":1},"version":"18.2"}]`,
			`[{"available":{"value":{"HumanReadableName":"iPadOS 18.2","ProductKey":"P1","Version":"18.2"}},"scheduled":{"action":"InstallASAP"},"status":{"percent":0.5},"version":"18.2"}]`},
		{"it is installed", nil, `[{"available":1,"scheduled":0,"statuses":{"Downloading":1},"version":"18.2"}]`,
			`[{"available":null,"scheduled":null,"status":{"percent":0.5},"version":null}]`},
	} {
		t.Run(c.what, func(t *testing.T) {
			at := map[string]any{"at": c.at}
			h.expect(h.asks(operator.Viewer, fleet, at), map[string]string{"osUpdates": c.ofFleet})
			h.expect(h.asks(operator.Viewer, one, at), map[string]string{"device.osUpdates": c.ofDevice})
		})
	}
}
