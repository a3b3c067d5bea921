package wanted

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
)

var noon = time.Date(2026, 2, 3, 12, 0, 0, 0, time.UTC)

// after returns the thing after what was decided, and fails the test if that was refused.
func after(t *testing.T, thing Thing, decided []domain.Event, err error) Thing {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range decided {
		thing = thing.Evolve(e, noon)
	}
	return thing
}

func steps(version string) Content {
	return Content{Steps: []Step{{RequestType: "InstallApplication", Parameters: map[string]any{"Identifier": "com.example.app", "Version": version}}}}
}

func TestPut(t *testing.T) {
	first, err := Thing{}.Put("app/com.example.app", steps("1"), stamp)
	there := after(t, Thing{}, first, err)
	gone := after(t, there, []domain.Event{Withdrawn{"no more"}}, nil)
	daily := Content{Every: 24 * time.Hour, Steps: []Step{{RequestType: "SecurityInfo"}}}
	hasty := daily
	hasty.Every = minEvery - time.Second
	tests := []struct {
		name    string
		thing   Thing
		id      string
		content Content
		news    int
		refused string
	}{
		{"new", Thing{}, "app/com.example.app", steps("1"), 1, ""},
		{"the same again", there, "app/com.example.app", steps("1"), 0, ""},
		{"changed", there, "app/com.example.app", steps("2"), 1, ""},
		{"the same after it was withdrawn", gone, "app/com.example.app", steps("1"), 1, ""},
		{"an inventory", Thing{}, "inventory/daily", daily, 1, ""},
		{"too often", Thing{}, "inventory/daily", hasty, 0, "every 5 minutes at most"},
		{"without content", Thing{}, "profile/com.example.wifi", Content{}, 0, "has a content"},
		{"too long", Thing{}, "app/com.example.app", steps(strings.Repeat("x", maxSteps)), 0, "bytes"},
		{"of no kind", Thing{}, "com.example.app", steps("1"), 0, "is named"},
		{"of another kind", Thing{}, "book/com.example.app", steps("1"), 0, "is named"},
		{"without a name", Thing{}, "app/", steps("1"), 0, "is named"},
		{"with an odd name", Thing{}, "app/a\nb", steps("1"), 0, "is named"},
		{"with a long name", Thing{}, "app/" + strings.Repeat("x", maxID), steps("1"), 0, "is named"},
	}
	for _, tt := range tests {
		events, err := tt.thing.Put(tt.id, tt.content, stamp)
		expect(t, tt.name, events, tt.news, err, tt.refused)
	}
	if changed := after(t, gone, first, nil); len(changed.Assigned) > 0 || changed.Withdrawn || len(changed.Steps) != 1 {
		t.Errorf("what was withdrawn and put again is %+v", changed)
	}
}

func TestAssignments(t *testing.T) {
	first, err := Thing{}.Put("app/com.example.app", steps("1"), stamp)
	there := after(t, Thing{}, first, err)
	devices, users, base := Assignment{Group: "g"}, Assignment{Group: "g", Users: true}, Assignment{Group: "g", First: true}
	assigned := after(t, there, []domain.Event{Assigned{users}, Assigned{devices}}, nil)
	full := there
	for i := range maxGroups {
		full = full.Evolve(Assigned{Assignment{Group: string(rune('a'+i%26)) + strings.Repeat("x", i)}}, noon)
	}
	tests := []struct {
		name    string
		decide  func() ([]domain.Event, error)
		news    int
		refused string
	}{
		{"a group", func() ([]domain.Event, error) { return there.Assign(devices) }, 1, ""},
		{"the group again", func() ([]domain.Event, error) { return assigned.Assign(devices) }, 0, ""},
		{"the group, but first", func() ([]domain.Event, error) { return assigned.Assign(base) }, 1, ""},
		{"no group", func() ([]domain.Event, error) { return there.Assign(Assignment{}) }, 0, "names a group"},
		{"one group too many", func() ([]domain.Event, error) { return full.Assign(devices) }, 0, "at most"},
		{"what there is not", func() ([]domain.Event, error) { return Thing{}.Assign(devices) }, 0, "nothing of that name"},
		{"from the group's users", func() ([]domain.Event, error) { return assigned.Unassign(users) }, 1, ""},
		{"from who does not have it", func() ([]domain.Event, error) { return there.Unassign(users) }, 0, ""},
		{"what there is not from a group", func() ([]domain.Event, error) { return Thing{}.Unassign(users) }, 0, "nothing of that name"},
		{"from all", func() ([]domain.Event, error) { return assigned.Withdraw("no more") }, 1, ""},
		{"from all twice", func() ([]domain.Event, error) { return assigned.Evolve(Withdrawn{}, noon).Withdraw("no more") }, 0, "nothing of that name"},
	}
	for _, tt := range tests {
		events, err := tt.decide()
		expect(t, tt.name, events, tt.news, err, tt.refused)
	}
	if want := []Assignment{devices, users}; !reflect.DeepEqual(assigned.Assigned, want) {
		t.Errorf("assigned to %+v, want %+v", assigned.Assigned, want)
	}
	now := assigned.Evolve(Assigned{base}, noon) // in the place of the one that was not first
	if want := []Assignment{base, users}; !reflect.DeepEqual(now.Assigned, want) {
		t.Errorf("assigned to %+v, want %+v", now.Assigned, want)
	}
	if left := now.Evolve(Unassigned{base}, noon); !reflect.DeepEqual(left.Assigned, []Assignment{users}) {
		t.Errorf("left is %+v", left.Assigned)
	}
}

func expect(t *testing.T, name string, events []domain.Event, news int, err error, refused string) {
	t.Helper()
	if (err != nil) != (refused != "") || err != nil && !strings.Contains(err.Error(), refused) {
		t.Errorf("%s: refused with %v, want %q", name, err, refused)
	}
	if len(events) != news {
		t.Errorf("%s: %d events, want %d", name, len(events), news)
	}
}

// stamp is one whose key everybody knows.
func stamp(words ...string) string { return "stamp of " + strings.Join(words, " ") }

// Logs of before hold plain hashes as revisions. They are honoured as they stand: nothing is ordered anew.
func TestARevisionOfBeforeStaysUntilTheContentChanges(t *testing.T) {
	first, err := Thing{}.Put("app/com.example.app", steps("1"), func(...string) string { return "a plain hash" })
	there := after(t, Thing{}, first, err)
	if again, err := there.Put("app/com.example.app", steps("1"), stamp); err != nil || len(again) > 0 {
		t.Errorf("the same content again: %v, %v", again, err)
	}
	changed, err := there.Put("app/com.example.app", steps("2"), stamp)
	if got := after(t, there, changed, err); !strings.HasPrefix(got.Revision, "stamp of 0s [{") {
		t.Errorf("the revision is %s", got.Revision)
	}
}
