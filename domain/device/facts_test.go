package device_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
)

// told is a device's answer to a command that it was handed.
func told(requestType, result string) events {
	return events{
		device.CommandQueued{UUID: "q-" + requestType, RequestType: requestType, Body: []byte("x")},
		device.CommandAcknowledged{UUID: "q-" + requestType, RequestType: requestType, Result: json.RawMessage(result)},
	}
}

var (
	unsupervised = told("DeviceInformation", `{"QueryResponses":{"IsSupervised":false,"OSVersion":"18.1"}}`)
	profiles     = told("ProfileList", `{"ProfileList":[
		{"PayloadIdentifier":"ours","IsManaged":true,"PayloadContent":[]},
		{"PayloadIdentifier":"theirs","IsManaged":false,"PayloadContent":[{"PayloadType":"com.apple.wifi.managed"}]},
		{"PayloadIdentifier":"enrolment","IsManaged":false,"PayloadContent":[{"PayloadType":"com.apple.mdm"}]}]}`)
	apps = told("ManagedApplicationList", `{"ManagedApplicationList":{"com.example.ours":{"Status":"Managed"}}}`)
)

// limited is a device whose enrolment grants some rights.
func limited(rights int) events {
	e := seen
	e.AccessRights = rights
	return events{e, pinned, token}
}

// What the device has told of itself, and what is refused for it, in words.
func TestTheDomainRefusesWhatCannotWork(t *testing.T) {
	of := func(requestType, params string) device.Order {
		return device.Order{UUID: "1", RequestType: requestType, Body: []byte("x"), Parameters: json.RawMessage(params)}
	}
	byod := seen
	byod.Identity = device.Identity{EnrollmentID: "E"}
	old := seen
	old.OSVersion = "9.0"
	shared := users
	shared.User.UserID = "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF"
	tv := seen
	tv.ProductName = "AppleTV11,1"
	installed := told("InstallProvisioningProfile", `{}`)
	waits := func(requestType string) domain.Event {
		return device.CommandQueued{UUID: "w", RequestType: requestType, Body: []byte("x")}
	}
	for _, c := range []struct {
		name    string
		given   events
		order   device.Order
		because string
	}{
		{"a right that is not granted", limited(1), of("DeviceLock", ""), "the access right to lock the device"},
		{"a right that is", limited(4), of("DeviceLock", ""), ""},
		{"rights that are not known", enrolled, of("DeviceLock", ""), ""},
		{"supervision that is not known", enrolled, of("RestartDevice", ""), ""},
		{"not supervised", then(enrolled, unsupervised), of("RestartDevice", ""), "needs a supervised device"},
		{"supervised by now", then(enrolled, unsupervised, told("DeviceInformation", `{"QueryResponses":{"IsSupervised":true}}`)), of("RestartDevice", ""), ""},
		{"enrolled anew: not known again", then(enrolled, unsupervised, events{again(2, "A"), token}), of("RestartDevice", ""), ""},
		{"an OS that is too old", events{old, pinned, token}, of("RestartDevice", ""), "came with iOS 10.3"},
		{"an OS that was updated", then(events{old, pinned, token}, unsupervised), of("DeviceLock", ""), ""},
		{"an OS that is too new", then(enrolled, told("DeviceInformation", `{"QueryResponses":{"OSVersion":"27.0"}}`)), of("OSUpdateStatus", ""), "went with iOS 27.0"},
		{"another platform", events{tv, pinned, token}, of("DeviceLock", ""), "does not exist on tvOS"},
		{"a key of another platform", enrolled, of("DeviceLock", `{"PIN":"(secret)"}`), "PIN does not exist on iOS"},
		{"a User Enrolment", events{byod, pinned, token}, of("EraseDevice", ""), "not allowed in a User Enrolment"},
		{"by Automated Device Enrolment or not", then(enrolled, told("SecurityInfo", `{"SecurityInfo":{"ManagementStatus":{"EnrolledViaDEP":false}}}`)), of("UserConfigured", ""), "needs a device that was enrolled by Automated Device Enrolment"},
		{"a Shared iPad", events{seen, pinned, token, shared}, of("ClearPasscode", ""), "does not exist on a Shared iPad"},
		{"a Shared iPad that says that it is one", then(enrolled, told("DeviceInformation", `{"QueryResponses":{"IsMultiUser":true}}`)), of("ClearPasscode", ""), "does not exist on a Shared iPad"},
		{"a profile that somebody else installed", then(enrolled, profiles), of("RemoveProfile", `{"Identifier":"theirs"}`), "not installed by this server"},
		{"a profile of ours", then(enrolled, profiles), of("RemoveProfile", `{"Identifier":"ours"}`), ""},
		{"the enrolment profile itself", then(enrolled, profiles), of("RemoveProfile", `{"Identifier":"enrolment"}`), ""},
		{"a profile of which nothing is known", then(enrolled, profiles), of("RemoveProfile", `{"Identifier":"new"}`), ""},
		{"a profile that may come with one that waits", then(enrolled, profiles, one(waits("InstallProfile"))), of("RemoveProfile", `{"Identifier":"theirs"}`), ""},
		{"a profile that was perhaps taken over since", then(enrolled, profiles, told("InstallProfile", `{}`)), of("RemoveProfile", `{"Identifier":"theirs"}`), ""},
		{"a provisioning profile of nobody's", enrolled, of("RemoveProvisioningProfile", `{"UUID":"u"}`), "installed no provisioning profile"},
		{"a provisioning profile of ours", then(enrolled, installed), of("RemoveProvisioningProfile", `{"UUID":"u"}`), ""},
		{"a provisioning profile that waits", then(enrolled, one(waits("InstallProvisioningProfile"))), of("RemoveProvisioningProfile", `{"UUID":"u"}`), ""},
		{"an app before anything is known", enrolled, of("RemoveApplication", `{"Identifier":"com.example.theirs"}`), ""},
		{"an app that is not managed", then(enrolled, apps), of("RemoveApplication", `{"Identifier":"com.example.theirs"}`), "the app is not managed"},
		{"an app that is", then(enrolled, apps), of("RemoveApplication", `{"Identifier":"com.example.ours"}`), ""},
		{"an app that was perhaps installed since", then(enrolled, apps, told("InstallApplication", `{}`)), of("RemoveApplication", `{"Identifier":"com.example.theirs"}`), ""},
		{"an app on a supervised device with OS 26", then(enrolled, apps, told("DeviceInformation", `{"QueryResponses":{"OSVersion":"26.0","IsSupervised":true}}`)),
			of("RemoveApplication", `{"Identifier":"com.example.theirs"}`), ""},
		{"a command that the catalogue does not have", enrolled, of("Telepathy", ""), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := fold(c.given, morning).Order("", c.order, false, noon)
			refusal, refused := domain.Refused(err)
			switch {
			case refused != (c.because != ""):
				t.Fatalf("the answer is %s, %v", show(got), err)
			case refused && !strings.Contains(refusal.Text, c.because):
				t.Errorf("it is refused because %q, want %q", refusal.Text, c.because)
			}
			c.order.Raw = true
			raw, err := fold(c.given, morning).Order("", c.order, false, noon)
			if err != nil || !strings.Contains(raw[0].(device.CommandQueued).Against, c.because) || (c.because == "") != (raw[0].(device.CommandQueued).Against == "") {
				t.Errorf("ordered raw it is %s, %v", show(raw), err)
			}
		})
	}
}

// Lesson 52: a command is judged anew before it is handed out, for the device may have changed meanwhile.
func TestWhatNoLongerFitsIsSettled(t *testing.T) {
	idle := func(d device.Device) (events, error) { return d.Connect(device.Report{Status: device.Idle}, noon) }
	restart := device.CommandQueued{UUID: "r", RequestType: "RestartDevice", Body: []byte("x")}
	gone := device.CommandSuperseded{UUID: "r", RequestType: "RestartDevice", Reason: "RestartDevice needs a supervised device"}
	raw := restart
	raw.Raw = true
	out := device.CommandDelivered{UUID: "r", RequestType: "RestartDevice", Attempt: 1, NewSession: true}
	twice := out
	twice.Attempt = 2
	check(t, []decision{
		{"it fits", then(enrolled, one(restart)), idle, one(out), 0},
		{"it no longer fits: settled with the reason, and the next", then(enrolled, one(restart), unsupervised, one(waiting("1"))), idle,
			events{gone, first("1", 1)}, 0},
		{"it no longer fits, and nothing else waits", then(enrolled, one(restart), unsupervised), idle, events{gone, device.Seen{Polls: 1}}, 0},
		{"somebody wrote it himself", then(enrolled, one(raw), unsupervised), idle, one(out), 0},
		{"it is at the device already", then(enrolled, events{restart, out}, unsupervised), idle, one(twice), 0},
	})
	d := fold(then(enrolled, one(restart), unsupervised), morning).Evolve(gone, noon)
	if own, _ := d.Channel(""); len(own.Queue) != 0 {
		t.Errorf("it waits on: %+v", own.Queue)
	}
}
