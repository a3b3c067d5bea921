package graphql

import (
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/domain/operator"
)

// declares lets a device report its status.
func (h *house) declares(udid, status string) {
	h.t.Helper()
	h.does(udid, nil, func(d device.Device, _ time.Time) ([]domain.Event, error) {
		return d.ReportDeclarationStatus("", []byte(status))
	})
}

func TestADeclarationSaysOnWhichDevicesItCannotWork(t *testing.T) {
	h := newHouse(t)
	h.enrols("U1", "S1", "iPad13,4", "16.7")
	h.enrols("U2", "S2", "iPad13,4", "18.1")
	h.enrols("U3", "S3", "AppleTV11,1", "18.1")
	h.asks(operator.Operator, `mutation{createGroup(id:"all", name:"All", rule:{status:[ENROLLED]}){id}}`, nil)
	const put = `mutation{putDeclaration(identifier:"os", type:"com.apple.configuration.softwareupdate.enforcement.specific",
		payload:{TargetOSVersion:"18.4", TargetLocalDateTime:"2026-03-01T18:00:00"}){unsuitable{devices}}}`
	h.expect(h.asks(operator.Operator, put, nil), map[string]string{"putDeclaration.unsuitable": `[]`})
	// Before it is assigned, it is looked at what would be.
	h.expect(h.asks(operator.Viewer, `{declaration(identifier:"os"){unsuitable(group:"all"){because devices platform osVersion groupId example{serialNumber}} users:unsuitable(group:"all", users:true){devices}}}`, nil),
		map[string]string{
			"declaration.unsuitable": `[{"because":"com.apple.configuration.softwareupdate.enforcement.specific came with iOS 17.0; the device has 16.7","devices":1,"example":{"serialNumber":"S1"},"groupId":"all","osVersion":"16.7","platform":"IPADOS"},` +
				`{"because":"com.apple.configuration.softwareupdate.enforcement.specific came with tvOS 18.4; the device has 18.1","devices":1,"example":{"serialNumber":"S3"},"groupId":"all","osVersion":"18.1","platform":"TVOS"}]`,
			"declaration.users": `[{"devices":1},{"devices":1},{"devices":1}]`,
		})
	h.expect(h.asks(operator.Operator, `mutation{assignDeclaration(identifier:"os", group:"all"){unsuitable{osVersion}}}`, nil),
		map[string]string{"assignDeclaration.unsuitable": `[{"osVersion":"16.7"},{"osVersion":"18.1"}]`})
	// Put anew, it warns again.
	h.expect(h.asks(operator.Operator, `mutation{putDeclaration(identifier:"os", type:"com.apple.configuration.softwareupdate.enforcement.specific",
		payload:{TargetOSVersion:"18.5", TargetLocalDateTime:"2026-03-01T18:00:00"}){unsuitable{osVersion}}}`, nil),
		map[string]string{"putDeclaration.unsuitable": `[{"osVersion":"16.7"},{"osVersion":"18.1"}]`})
	// Each device says so too, and that it is not given what it has not said that it takes.
	h.declares("U2", `{"StatusItems":{"management":{"client-capabilities":{"supported-payloads":{"declarations":{"activations":["com.apple.activation.simple"],
		"configurations":["com.apple.configuration.softwareupdate.enforcement.specific","com.apple.configuration.management.status-subscriptions"]}}}}}}`)
	h.expect(h.asks(operator.Viewer, `{one:device(id:"S1"){declarations{identifier unsuitable withheld settled}} two:device(id:"S2"){declarations{identifier unsuitable withheld settled}}}`, nil),
		map[string]string{
			"one.declarations.2": `{"identifier":"os","settled":false,"unsuitable":"com.apple.configuration.softwareupdate.enforcement.specific came with iOS 17.0; the device has 16.7","withheld":true}`,
			"two.declarations.2": `{"identifier":"os","settled":false,"unsuitable":null,"withheld":false}`,
		})
	if _, out := h.post(operator.Viewer, `{declaration(identifier:"os"){unsuitable(group:"nobody"){devices}}}`, nil); len(out.Errors) != 1 || out.Errors[0].Extensions["code"] != "not-found" {
		t.Errorf("of a group that is not there: %+v", out)
	}
}
