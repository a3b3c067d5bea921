package group_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/group"
)

type events = []domain.Event

func fold(history events) (g group.Group) {
	for _, e := range history {
		g = g.Evolve(e, time.Time{})
	}
	return g
}

var (
	labs   = group.Created{Name: "Labs"}
	macs   = group.Created{Name: "Macs", Rule: json.RawMessage(`{"platform":["MACOS"]}`)}
	within = group.MembersAdded{Devices: []string{"a", "c"}}
)

func TestDecisions(t *testing.T) {
	for _, test := range []struct {
		name  string
		given events
		when  func(group.Group) (events, error)
		then  events
		no    domain.Reason
	}{
		{"a group is made", nil,
			func(g group.Group) (events, error) { return g.Create(group.Definition{Name: "Labs"}) }, events{labs}, 0},
		{"the same group again is no news", events{labs},
			func(g group.Group) (events, error) { return g.Create(group.Definition{Name: "Labs"}) }, nil, 0},
		{"another group under its id is refused", events{labs},
			func(g group.Group) (events, error) { return g.Create(group.Definition{Name: "Kiosks"}) }, nil, domain.Conflict},
		{"a deleted group's id is free", events{labs, within, group.Deleted{}},
			func(g group.Group) (events, error) { return g.Create(group.Definition{Name: "Labs"}) }, events{labs}, 0},
		{"a group has a name", nil,
			func(g group.Group) (events, error) { return g.Create(group.Definition{Name: " "}) }, nil, domain.Invalid},
		{"a group is renamed", events{labs},
			func(g group.Group) (events, error) { return g.Change(group.Definition{Name: "Laboratories"}) },
			events{group.Changed{Name: "Laboratories"}}, 0},
		{"a group that is not there cannot be changed", nil,
			func(g group.Group) (events, error) { return g.Change(group.Definition{Name: "Labs"}) }, nil, domain.NotFound},
		{"a static group takes no rule", events{labs},
			func(g group.Group) (events, error) {
				return g.Change(group.Definition{Name: "Labs", Rule: json.RawMessage(`{}`)})
			}, nil, domain.Conflict},
		{"a dynamic group takes another rule", events{macs},
			func(g group.Group) (events, error) {
				return g.Change(group.Definition{Name: "Macs", Rule: json.RawMessage(`{"osVersion":"26"}`)})
			}, events{group.Changed{Name: "Macs", Rule: json.RawMessage(`{"osVersion":"26"}`)}}, 0},
		{"members come in sorted, each once, without those that are there", events{labs, within},
			func(g group.Group) (events, error) { return g.Add([]string{"d", "a", "b", "d"}) },
			events{group.MembersAdded{Devices: []string{"b", "d"}}}, 0},
		{"members who are there already are no news", events{labs, within},
			func(g group.Group) (events, error) { return g.Add([]string{"a"}) }, nil, 0},
		{"a dynamic group takes no members", events{macs},
			func(g group.Group) (events, error) { return g.Add([]string{"a"}) }, nil, domain.Conflict},
		{"members go", events{labs, within},
			func(g group.Group) (events, error) { return g.Remove([]string{"c", "x"}) },
			events{group.MembersRemoved{Devices: []string{"c"}}}, 0},
		{"a deleted group takes no members", events{labs, group.Deleted{}},
			func(g group.Group) (events, error) { return g.Add([]string{"a"}) }, nil, domain.NotFound},
		{"a group is deleted", events{labs},
			func(g group.Group) (events, error) { return g.Delete("moved out") }, events{group.Deleted{Reason: "moved out"}}, 0},
		{"a group that is gone cannot be deleted", events{labs, group.Deleted{}},
			func(g group.Group) (events, error) { return g.Delete("") }, nil, domain.NotFound},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := test.when(fold(test.given))
			refusal, refused := domain.Refused(err)
			if refused != (test.no != 0) || refused && refusal.Reason != test.no || !refused && err != nil {
				t.Fatalf("refused with %v, want %v", err, test.no)
			}
			if len(got) != len(test.then) || len(got) > 0 && !reflect.DeepEqual(got, test.then) {
				t.Errorf("decided %v, want %v", got, test.then)
			}
		})
	}
}

func TestIDs(t *testing.T) {
	for id, good := range map[string]bool{
		"labs": true, "Room-7_b.2": true, "": false, "a b": false, "a/b": false, "ü": false, fmt.Sprintf("%065d", 0): false,
	} {
		if err := group.CheckID(id); (err == nil) != good {
			t.Errorf("%q: %v", id, err)
		}
	}
}

func TestManyMembersMakeManyEvents(t *testing.T) {
	var devices []string
	for i := range 2500 {
		devices = append(devices, fmt.Sprintf("%04d", i))
	}
	got, err := fold(events{labs}).Add(devices)
	if err != nil || len(got) != 3 {
		t.Fatalf("%d events, %v; want 3", len(got), err)
	}
	if g := fold(append(events{labs}, got...)); !slices.Equal(g.Members, devices) {
		t.Errorf("the group has %d members, want %d", len(g.Members), len(devices))
	}
}

// Whatever is added and removed, a group holds what a plain set holds, and no earlier state changes with it.
func TestAGroupIsASet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g, set := fold(events{labs}), map[string]bool{}
		for range rapid.IntRange(0, 20).Draw(t, "steps") {
			some := rapid.SliceOfN(rapid.StringMatching(`[a-f]`), 0, 6).Draw(t, "devices")
			before, decide := slices.Clone(g.Members), g.Add
			adds := rapid.Bool().Draw(t, "add")
			if !adds {
				decide = g.Remove
			}
			for _, id := range some {
				if set[id] = adds; !adds {
					delete(set, id)
				}
			}
			happened, err := decide(some)
			if err != nil {
				t.Fatal(err)
			}
			after := g
			for _, e := range happened {
				after = after.Evolve(e, time.Time{})
			}
			if !slices.Equal(g.Members, before) {
				t.Fatalf("evolving wrote through to the state before: %v, want %v", g.Members, before)
			}
			g = after
		}
		if len(g.Members) != len(set) {
			t.Fatalf("the group has %v, want %v", g.Members, set)
		}
		for id := range set {
			if !g.Has(id) {
				t.Fatalf("the group lacks %s", id)
			}
		}
	})
}
