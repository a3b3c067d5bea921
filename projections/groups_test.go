package projections

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/domain/group"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

func TestRules(t *testing.T) {
	for text, good := range map[string]bool{
		`{"status":["ENROLLED"],"platform":["MACOS"],"osVersion":"26","supervised":false,"search":"lab","application":"org.example.app"}`: true,
		`{"fact":[{"key":"security.FDE_Enabled","op":"EQ","value":false}]}`:                                                               true,
		`{"fact":[{"key":"security.FDE_Enabled","op":"MISSING"}]}`:                                                                        true,
		`{}`:                                    false, // everybody, by mistake
		`{"platform":[]}`:                       false,
		`{"seenBefore":"2026-01-01T00:00:00Z"}`: false, // would change by itself
		`{"group":"labs"}`:                      false,
		`{"fact":[{"key":"a","op":"LIKE","value":1}]}`: false,
		`{"fact":[{"key":"a","op":"EQ"}]}`:             false,
		`[]`:                                           false,
		`{`:                                            false,
	} {
		_, err := ParseRule(json.RawMessage(text))
		if _, refused := domain.Refused(err); (err == nil) != good || err != nil && !refused {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestAGroupIsWhoBelongedToItThen(t *testing.T) {
	h := newHistory()
	labs := eventstore.Stream{Kind: group.Kind, ID: "labs"}
	for _, id := range []string{"d1", "d2", "d3"} {
		h.add(id, noon, device.Authenticated{Generation: 1, Topic: "topic", ProductName: "Mac14,2"})
	}
	h.by(ada, labs, noon, group.Created{Name: "Labs"}, group.MembersAdded{Devices: []string{"d1", "d2", "unheard"}})
	before := h.by(ada, labs, noon.Add(time.Hour), group.MembersRemoved{Devices: []string{"d1"}}) - 1
	h.by(ada, labs, noon.Add(2*time.Hour), group.Changed{Name: "Laboratories"})
	gone := h.by(ada, labs, noon.Add(3*time.Hour), group.Deleted{Reason: "moved"})
	again := h.by(ada, labs, noon.Add(4*time.Hour), group.Created{Name: "Labs again"}, group.MembersAdded{Devices: []string{"d3"}})
	v := folded(t, h)
	for at, want := range map[eventstore.Position][]string{
		before: {"d1", "d2"}, before + 1: {"d2"}, gone - 1: {"d2"}, gone: nil, again: {"d3"}, Now: {"d3"},
	} {
		l, err := v.Devices(t.Context(), DeviceQuery{AsOf: at, Filter: DeviceFilter{Group: "labs"}})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, d := range l.Nodes() {
			got = append(got, d.ID)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("at %d labs has %v, want %v", at, got, want)
		}
	}
	if g, found, err := v.Group(t.Context(), "labs", gone-1); err != nil || !found || g.Name != "Laboratories" ||
		!g.CreatedAt.Equal(noon) || !g.Since.Equal(noon.Add(2*time.Hour)) || g.CreatedBy.Name != ada.Name {
		t.Errorf("before it was deleted it was %+v, %v, %v", g, found, err)
	}
	if _, found, err := v.Group(t.Context(), "labs", gone); err != nil || found {
		t.Errorf("deleted, and still found: %v", err)
	}
}

func TestGroupsAreToldInSentences(t *testing.T) {
	h := newHistory()
	labs := eventstore.Stream{Kind: group.Kind, ID: "labs"}
	h.by(ada, labs, noon, group.Created{Name: "Labs"}, group.MembersAdded{Devices: []string{"d1", "d2"}},
		group.MembersRemoved{Devices: []string{"d1"}}, group.Changed{Name: "Laboratories"}, group.Deleted{Reason: "they moved out"},
		group.Created{Name: "Macs", Rule: json.RawMessage(`{"platform":["MACOS"]}`)})
	v := folded(t, h)
	var told []string
	for _, env := range h.events {
		event, err := inClear{}.Decode(env)
		if err != nil {
			t.Fatal(err)
		}
		sentence, err := v.Summarise(t.Context(), env, event)
		if err != nil {
			t.Fatal(err)
		}
		told = append(told, sentence)
	}
	want := `Ada made the group Labs, whose members are named one by one
Ada put 2 devices into the group Labs
Ada took 1 device out of the group Labs
Ada changed the group Laboratories
Ada gave up the group Laboratories: they moved out
Ada made the group Macs, whose members are chosen by a rule`
	if got := strings.Join(told, "\n"); got != want {
		t.Errorf("told:\n%s\nwant:\n%s", got, want)
	}
}
