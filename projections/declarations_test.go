package projections

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/declaration"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/domain/group"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

func TestWhatAChannelIsToHave(t *testing.T) {
	h := newHistory()
	h.add("d1", noon, device.Authenticated{Generation: 1, Topic: "topic", ProductName: "Mac14,2"}, device.TokenUpdated{Topic: "topic", Enrolled: true})
	h.by(ada, eventstore.Stream{Kind: group.Kind, ID: "labs"}, noon, group.Created{Name: "Labs"}, group.MembersAdded{Devices: []string{"d1"}})
	h.by(ada, eventstore.Stream{Kind: group.Kind, ID: "macs"}, noon, group.Created{Name: "Macs", Rule: json.RawMessage(`{"platform":["MACOS"]}`)})
	pass, about := eventstore.Stream{Kind: declaration.Kind, ID: "pass"}, eventstore.Stream{Kind: declaration.Kind, ID: "about"}
	put := declaration.Put{Type: "com.apple.management.properties", ServerToken: "t1", Shown: json.RawMessage(`{}`)}
	h.by(ada, pass, noon.Add(time.Hour), put, declaration.Assigned{Assignment: declaration.Assignment{Group: "labs"}},
		declaration.Assigned{Assignment: declaration.Assignment{Group: "macs"}})
	h.by(ada, about, noon.Add(2*time.Hour), put, declaration.Assigned{Assignment: declaration.Assignment{Group: "macs", Users: true}})
	then := h.by(ada, pass, noon.Add(3*time.Hour), declaration.Put{Type: put.Type, ServerToken: "t2", Shown: json.RawMessage(`{}`)}) - 1
	v := folded(t, h)
	ctx := t.Context()
	own := must[Wanted](t)(v.Wanted(ctx, "d1", "", Now))
	if len(own.Assigned) != 1 || own.Assigned[0].Identifier != "pass" || own.Assigned[0].ServerToken != "t2" || !own.Changed.Equal(noon.Add(3*time.Hour)) {
		t.Errorf("the device is to have %+v", own)
	}
	if user := must[Wanted](t)(v.Wanted(ctx, "d1", "anna", Now)); len(user.Assigned) != 1 || user.Assigned[0].Identifier != "about" {
		t.Errorf("its user is to have %+v", user)
	}
	if was := must[Wanted](t)(v.Wanted(ctx, "d1", "", then)); was.Assigned[0].ServerToken != "t1" || !was.Changed.Equal(noon.Add(2*time.Hour)) {
		t.Errorf("it was to have %+v", was)
	}
}

func TestStatusReportsBecomeFacts(t *testing.T) {
	const declared = `[{"identifier":"pass","active":true,"valid":"valid","server-token":"t"}]`
	for _, test := range []struct {
		name    string
		reports []string
		key     string
		want    string // empty: nothing is known
	}{
		{"an item that a command tells too", []string{`{"StatusItems":{"device":{"operating-system":{"version":"18.1"}}}}`}, "device.OSVersion", `"18.1"`},
		{"FileVault", []string{`{"StatusItems":{"diskmanagement":{"filevault":{"enabled":false}}}}`}, "security.FDE_Enabled", `false`},
		{"an item of its own", []string{`{"StatusItems":{"softwareupdate":{"install-state":"prepared"}}}`}, "status.softwareupdate.install-state", `"prepared"`},
		{"a member of an item", []string{`{"StatusItems":{"softwareupdate":{"pending-version":{"os-version":"26.2"}}}}`}, "status.softwareupdate.pending-version.os-version", `"26.2"`},
		{"an entry of a list", []string{`{"StatusItems":{"mdm":{"app":[{"identifier":"a.b","state":"managed"}]}}}`}, "status.mdm.app.a.b", `{"identifier":"a.b","state":"managed"}`},
		{"an entry that another report does not name", []string{`{"StatusItems":{"mdm":{"app":[{"identifier":"a"}]}}}`, `{"StatusItems":{"mdm":{"app":[{"identifier":"b"}]}}}`},
			"status.mdm.app.a", `{"identifier":"a"}`},
		{"an entry that was removed", []string{`{"StatusItems":{"mdm":{"app":[{"identifier":"a"}]}}}`, `{"StatusItems":{"mdm":{"app":[{"identifier":"a","_removed":true}]}}}`},
			"status.mdm.app.a", ``},
		{"an entry that a full report does not name", []string{`{"StatusItems":{"mdm":{"app":[{"identifier":"a"}]}}}`, `{"StatusItems":{"mdm":{"app":[{"identifier":"b"}]}},"FullReport":true}`},
			"status.mdm.app.a", ``},
		{"a failure that is told no more of", []string{`{"StatusItems":{"softwareupdate":{"failure-reason":{"count":2,"reason":"no space"}}}}`, `{"StatusItems":{"softwareupdate":{"failure-reason":{"count":0}}}}`},
			"status.softwareupdate.failure-reason.reason", ``},
		{"what that report tells still", []string{`{"StatusItems":{"softwareupdate":{"failure-reason":{"count":2,"reason":"no space"}}}}`, `{"StatusItems":{"softwareupdate":{"failure-reason":{"count":0}}}}`},
			"status.softwareupdate.failure-reason.count", `0`},
		{"a version that is pending no more", []string{`{"StatusItems":{"softwareupdate":{"pending-version":{"os-version":"26.2","build-version":"25C1"}}}}`, `{"StatusItems":{"softwareupdate":{"pending-version":null}}}`},
			"status.softwareupdate.pending-version.os-version", ``},
		{"a list without identifiers", []string{`{"StatusItems":{"x":{"y":[1,2]}}}`}, "status.x.y", `[1,2]`},
		{"an item that is taken back", []string{`{"StatusItems":{"x":1}}`, `{"StatusItems":{"x":null}}`}, "status.x", ``},
		{"a declaration", []string{`{"StatusItems":{"management":{"declarations":{"configurations":` + declared + `}}}}`}, "declaration.pass",
			`{"active":true,"identifier":"pass","server-token":"t","valid":"valid"}`},
		{"a declaration that is gone", []string{`{"StatusItems":{"management":{"declarations":{"configurations":` + declared + `}}}}`,
			`{"StatusItems":{"management":{"declarations":{"configurations":[]}}}}`}, "declaration.pass", ``},
		{"capabilities", []string{`{"StatusItems":{"management":{"client-capabilities":{"supported-versions":["1.0.0"]}}}}`}, capabilities, `{"supported-versions":["1.0.0"]}`},
		{"a push token", []string{`{"StatusItems":{"mdm":{"push-token":"canary"}}}`}, "status.mdm.push-token", ``},
		{"nothing that anybody knows", []string{`{"Errors":[{"StatusItem":"x","Reasons":[]}]}`}, "status.x", ``},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newHistory()
			h.add("d1", noon, device.Authenticated{Generation: 1, Topic: "topic"}, device.TokenUpdated{Topic: "topic", Enrolled: true})
			for _, report := range test.reports {
				h.add("d1", noon, domain.Event(device.DeclarationStatusReported{Report: json.RawMessage(report)}))
			}
			v := folded(t, h)
			var got string
			for _, f := range must[[]Fact](t)(v.Facts(t.Context(), "d1", test.key, Now)) {
				if f.Key == test.key {
					got = string(f.Value)
				}
			}
			if got != test.want {
				t.Errorf("%s is %s, want %s", test.key, got, test.want)
			}
		})
	}
}

func TestAStatusReportTellsTheVersion(t *testing.T) {
	h := newHistory()
	h.add("d1", noon, device.Authenticated{Generation: 1, Topic: "topic", OSVersion: "17.1"}, device.TokenUpdated{Topic: "topic", Enrolled: true},
		device.DeclarationStatusReported{Report: json.RawMessage(`{"StatusItems":{"device":{"operating-system":{"version":"18.2","build-version":"22C"}}}}`)})
	d, found, err := folded(t, h).Device(t.Context(), "d1", Now)
	if err != nil || !found || d.OSVersion != "18.2" || d.BuildVersion != "22C" {
		t.Errorf("the device runs %s (%s), %v", d.OSVersion, d.BuildVersion, err)
	}
}
