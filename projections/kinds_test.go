package projections

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain/command"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/domain/group"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

func TestKindsOfDevicesOfAGroup(t *testing.T) {
	h := newHistory()
	labs := eventstore.Stream{Kind: group.Kind, ID: "labs"}
	for id, d := range map[string]device.Authenticated{
		"d1": {Generation: 1, ProductName: "Mac14,2", OSVersion: "15.1"}, "d2": {Generation: 1, ProductName: "Mac14,3", OSVersion: "15.1"},
		"d3": {Generation: 1, ProductName: "iPad13,4", OSVersion: "18.1"}, "d4": {Generation: 1, ProductName: "iPad13,4", OSVersion: "18.1"},
	} {
		h.add(id, noon, d)
	}
	before := h.by(ada, labs, noon, group.Created{Name: "Labs"}, group.MembersAdded{Devices: []string{"d1", "d2", "d3"}})
	h.add("d2", noon.Add(time.Hour), device.Authenticated{Generation: 2, ProductName: "Mac14,3", OSVersion: "26.0"})
	v := folded(t, h)
	for at, want := range map[eventstore.Position][]string{
		before: {"2 MACOS 15.1", "1 IPADOS 18.1"},
		Now:    {"1 IPADOS 18.1", "1 MACOS 15.1", "1 MACOS 26.0"},
	} {
		kinds, err := v.Kinds(t.Context(), DeviceQuery{AsOf: at, Filter: DeviceFilter{Group: "labs"}})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, k := range kinds {
			got = append(got, fmt.Sprintf("%d %s %s", k.Devices, k.Example.Platform, k.Example.OSVersion))
		}
		if at == Now { // as many of each: by appearance, which the history's map does not fix
			slices.Sort(got)
		}
		if !slices.Equal(got, want) {
			t.Errorf("at %d there are %v, want %v", at, got, want)
		}
	}
	none, err := v.Kinds(t.Context(), DeviceQuery{AsOf: Now, Filter: DeviceFilter{Group: "nobody"}})
	if err != nil || len(none) > 0 {
		t.Errorf("of a group that is not there: %v, %v", none, err)
	}
}

func TestATargetIsWhatIsKnown(t *testing.T) {
	for _, c := range []struct {
		device Device
		want   command.Target
	}{
		{Device{}, command.Target{}},
		{Device{Platform: IPadOS, OSVersion: "18.1", Supervised: new(true), EnrollmentType: "automated"},
			command.Target{Platform: command.IOS, Version: "18.1", Supervised: command.Yes, Automated: command.Yes, UserEnrolment: command.No}},
		{Device{Platform: MacOS, Supervised: new(false), UserApproved: new(true), EnrollmentType: "user"},
			command.Target{Platform: command.MacOS, Supervised: command.No, UserApproved: command.Yes, UserEnrolment: command.Yes}},
	} {
		if got := c.device.Target(); got != c.want {
			t.Errorf("%+v is %+v, want %+v", c.device, got, c.want)
		}
	}
}
