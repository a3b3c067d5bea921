package projections

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

// fresh opens views in a directory of their own, which is removed at once when the check ends.
func fresh(t *rapid.T) (*Views, func()) {
	dir, err := os.MkdirTemp("", "views")
	if err != nil {
		t.Fatal(err)
	}
	v, err := Open(context.Background(), filepath.Join(dir, "views.db"), Options{Pause: -1, Readers: 1})
	if err != nil {
		t.Fatal(err)
	}
	return v, func() { _, _ = v.Close(), os.RemoveAll(dir) }
}

// foldHistory folds a history in chunks of a size.
func foldHistory(t *rapid.T, v *Views, h *history, size int) {
	for chunk := range slices.Chunk(h.events[v.Position():], size) {
		if err := v.foldChunk(chunk, inClear{}); err != nil {
			t.Fatal(err)
		}
	}
}

// everything is all that can be asked as of a moment.
type everything struct {
	Invitations  []Invitation
	Certificates [][]Certificate
	Roots        []Root

	Devices []Device
	Users   map[string][]UserChannel
	Facts   map[string][]Fact
	Fleet   Fleet
	Enabled []string // devices that a predicate over facts chooses
	Groups  []Group
	Members map[string][]string // of each group
	Within  map[string][]Group  // of each device

	Declarations []Declaration
	Wanted       map[string]Wanted // of each device
	Managed      map[string][]Managed
	Things       []WantedThing
	Standings    map[string][2]Standings // of each device: its own, and a user's
	Updates      []UpdateCount
}

func everythingAt(t *rapid.T, v *Views, asOf eventstore.Position) everything {
	ctx := context.Background()
	all := everything{Users: map[string][]UserChannel{}, Facts: map[string][]Fact{}}
	check := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	l, err := v.Devices(ctx, DeviceQuery{AsOf: asOf})
	check(err)
	all.Devices = l.Nodes()
	for i, d := range all.Devices {
		all.Users[d.ID], err = v.Users(ctx, d.ID, asOf)
		check(err)
		all.Facts[d.ID], err = v.Facts(ctx, d.ID, "", asOf)
		check(err)
		all.Devices[i].ID = d.ID
	}
	for d := range all.Facts {
		for i := range all.Facts[d] { // whether a fact will end is not known at the moment itself
			all.Facts[d][i].Until, all.Facts[d][i].UntilPosition = time.Time{}, 0
		}
	}
	all.Fleet, err = v.Fleet(ctx, asOf)
	check(err)
	on, err := v.Devices(ctx, DeviceQuery{AsOf: asOf, Order: DeviceOrder{By: ByLastSeen, Descending: true}, Filter: DeviceFilter{
		Facts: []FactFilter{{Key: "device.OSVersion", Op: GE, Value: []byte(`"17.2"`)}},
	}})
	check(err)
	for _, d := range on.Nodes() {
		all.Enabled = append(all.Enabled, d.ID)
	}
	all.Updates, err = v.Updates(ctx, asOf)
	check(err)
	grouped(t, v, asOf, &all)
	certified(t, v, asOf, &all)
	return all
}

// certified asks for ways in, certificates and roots.
func certified(t *rapid.T, v *Views, asOf eventstore.Position, all *everything) {
	ctx, yes, no := context.Background(), true, false
	ways, err := v.Invitations(ctx, asOf, Page{})
	if err != nil {
		t.Fatal(err)
	}
	all.Invitations = ways.Nodes()
	for _, f := range []CertificateFilter{{}, {Device: "d1"}, {Revoked: &yes}, {Revoked: &no}, {Speaks: &yes}, {Speaks: &no}, {Overdue: &yes}, {Overdue: &no}, {Serial: "4711"}, {ExpiresBefore: noon.AddDate(0, 6, 0)}} {
		f.AsOf = asOf
		l, err := v.Certificates(ctx, f, Page{})
		if err != nil {
			t.Fatal(err)
		}
		all.Certificates = append(all.Certificates, l.Nodes())
	}
	if all.Roots, err = v.Roots(ctx, asOf, noon.AddDate(0, 6, 0)); err != nil {
		t.Fatal(err)
	}
}

// grouped asks for the groups, and checks that a group has the devices that say they are in it.
func grouped(t *rapid.T, v *Views, asOf eventstore.Position, all *everything) {
	ctx := context.Background()
	all.Members, all.Within, all.Wanted = map[string][]string{}, map[string][]Group{}, map[string]Wanted{}
	declared, err := v.Declarations(ctx, asOf, Page{})
	if err != nil {
		t.Fatal(err)
	}
	all.Declarations = declared.Nodes()
	list, err := v.Groups(ctx, asOf, Page{})
	if err != nil {
		t.Fatal(err)
	}
	all.Groups = list.Nodes()
	for _, g := range all.Groups {
		q := DeviceQuery{AsOf: asOf, Filter: DeviceFilter{Group: g.ID}}
		l, err := v.Devices(ctx, q)
		n, countErr := v.CountDevices(ctx, q)
		if err != nil || countErr != nil || n != len(l.Edges) {
			t.Fatalf("%s: %d devices, counted %d, %v, %v", g.ID, len(l.Edges), n, err, countErr)
		}
		for _, d := range l.Nodes() {
			all.Members[g.ID] = append(all.Members[g.ID], d.ID)
		}
	}
	all.Managed, all.Standings = map[string][]Managed{}, map[string][2]Standings{}
	things, err := v.WantedThings(ctx, asOf, Page{})
	if err != nil {
		t.Fatal(err)
	}
	all.Things = things.Nodes()
	for _, d := range all.Devices {
		if all.Managed[d.ID], err = v.Managed(ctx, d.ID, asOf); err != nil {
			t.Fatal(err)
		}
		for i := range all.Managed[d.ID] { // whether it will end is not known at the moment itself
			all.Managed[d.ID][i].Until, all.Managed[d.ID][i].UntilPosition = time.Time{}, 0
		}
		var both [2]Standings
		for i, channel := range []device.ChannelID{"", "anna"} {
			if both[i], err = v.Standings(ctx, d.ID, channel, asOf, noon); err != nil {
				t.Fatal(err)
			}
		}
		all.Standings[d.ID] = both
		within, err := v.GroupsOf(ctx, d.ID, asOf)
		if err != nil {
			t.Fatal(err)
		}
		all.Within[d.ID] = within
		if all.Wanted[d.ID], err = v.Wanted(ctx, d.ID, "", asOf); err != nil {
			t.Fatal(err)
		}
		w := all.Wanted[d.ID]
		w.Told = "" // known of the present alone
		all.Wanted[d.ID] = w
		for _, g := range all.Groups {
			if slices.Contains(all.Members[g.ID], d.ID) != slices.ContainsFunc(within, func(w Group) bool { return w.ID == g.ID }) {
				t.Fatalf("%s has %v, but %s is in %v", g.ID, all.Members[g.ID], d.ID, within)
			}
		}
	}
}

func TestAsOfEqualsAReplayCutOffThere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := lived(t, 40)
		whole, closeWhole := fresh(t)
		defer closeWhole()
		foldHistory(t, whole, w.history, rapid.IntRange(1, 100).Draw(t, "chunk"))
		moment := eventstore.Position(rapid.IntRange(0, len(w.events)).Draw(t, "moment"))
		cut, closeCut := fresh(t)
		defer closeCut()
		foldHistory(t, cut, w.upTo(moment), 100)
		want, got := everythingAt(t, cut, Now), everythingAt(t, whole, moment)
		if !reflect.DeepEqual(want, got) {
			t.Fatalf("as of %d:\n%+v\na replay cut off there:\n%+v", moment, got, want)
		}
		if now, then := everythingAt(t, whole, Now), everythingAt(t, whole, eventstore.Position(len(w.events))); !reflect.DeepEqual(now, then) {
			t.Fatalf("now:\n%+v\nas of the last position:\n%+v", now, then)
		}
	})
}

func TestViewsAgreeWithTheAggregate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := lived(t, 60)
		v, end := fresh(t)
		defer end()
		foldHistory(t, v, w.history, 100)
		ctx := context.Background()
		for id, d := range w.declarations {
			seen, found, err := v.Declaration(ctx, id, Now)
			if err != nil || found == d.Withdrawn || found && (seen.ServerToken != d.ServerToken || !slices.Equal(seen.Assigned, d.Assigned)) {
				t.Fatalf("%s: view %+v, %v, %v; aggregate %+v", id, seen, found, err, d)
			}
		}
		for id, d := range w.devices {
			own, _ := d.Channel("")
			if wanted, err := v.Wanted(ctx, id, "", Now); err != nil || wanted.Told != own.Announced {
				t.Fatalf("%s: the view says that it was told of %q, %v; the aggregate says %q", id, wanted.Told, err, own.Announced)
			}
		}
		for id, g := range w.groups {
			seen, found, err := v.Group(ctx, id, Now)
			if err != nil || found == g.Deleted || found && (seen.Name != g.Name || string(seen.Rule) != string(g.Rule)) {
				t.Fatalf("%s: view %+v, %v, %v; aggregate %+v", id, seen, found, err, g)
			}
		}
		for id, d := range w.devices {
			seen, found, err := v.Device(ctx, id, Now)
			if err != nil || found != (d.Status != "") || found && (seen.Status != d.Status || seen.Generation != d.Generation) {
				t.Fatalf("%s: view %+v, %v, %v; aggregate %+v", id, seen, found, err, d)
			}
			queue, err := v.Queue(ctx, id)
			if err != nil {
				t.Fatal(err)
			}
			var waiting int
			for _, c := range d.Channels {
				waiting += len(c.Queue)
			}
			if len(queue) != waiting || seen.QueueLength != waiting {
				t.Fatalf("%s: %d wait for the view, %d counted, %d for the aggregate", id, len(queue), seen.QueueLength, waiting)
			}
			offered(t, w, d, queue)
		}
	})
}

// offered checks that the first command of the view's queue is the one that the device would be handed.
func offered(t *rapid.T, w *world, d device.Device, queue []Command) {
	at := w.clock.Add(90 * time.Minute) // scheduled ones may be offered by then; some have expired
	events, err := d.Connect(device.Report{Status: device.Idle}, at)
	if err != nil || d.Status != device.StatusEnrolled {
		return
	}
	held := map[string]bool{}
	own, _ := d.Channel("")
	for _, item := range own.Queue {
		held[item.UUID] = w.held(d, "", item)
	}
	for _, e := range events {
		handed, is := e.(device.CommandDelivered)
		if !is {
			continue
		}
		for _, c := range queue {
			gone := !c.ExpiresAt.IsZero() && !at.Before(c.ExpiresAt) && c.State != Delivered
			if c.Channel == "" && !gone && !held[c.UUID] && !at.Before(c.NotBefore) {
				if c.UUID != handed.UUID {
					t.Fatalf("the view would hand out %s, the device %s", c.UUID, handed.UUID)
				}
				return
			}
		}
	}
}

func TestTwoFoldsAgreeWhereverTheyWereInterrupted(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := lived(rt, 40)
		smooth, end := fresh(rt)
		defer end()
		foldHistory(rt, smooth, w.history, 1000)
		dir, err := os.MkdirTemp("", "views")
		if err != nil {
			rt.Fatal(err)
		}
		defer func() { _ = os.RemoveAll(dir) }()
		rough := interrupted(rt, w.history, filepath.Join(dir, "views.db"))
		defer func() { _ = rough.Close() }()
		if a, b := dump(t, smooth), dump(t, rough); a != b {
			rt.Fatalf("one fold:\n%s\nan interrupted one:\n%s", a, b)
		}
	})
}

// interrupted folds a history in pieces; now and then it leaves a transaction open and starts anew.
func interrupted(t *rapid.T, h *history, path string) *Views {
	for {
		v, err := Open(context.Background(), path, Options{Pause: -1, Readers: 1})
		if err != nil {
			t.Fatal(err)
		}
		rest := h.events[v.Position():]
		if len(rest) == 0 {
			return v
		}
		n := rapid.IntRange(len(rest)/3+1, len(rest)).Draw(t, "piece")
		if err := v.foldChunk(rest[:n], inClear{}); err != nil {
			t.Fatal(err)
		}
		if err := v.writer.Exec("BEGIN IMMEDIATE"); err != nil {
			t.Fatal(err)
		}
		p := &page{envs: rest[n:]}
		v.opener(inClear{}).open(p)
		if err := v.foldAll(p); err != nil {
			t.Fatal(err)
		}
		if err := v.Close(); err != nil { // the open transaction is lost
			t.Fatal(err)
		}
	}
}

func TestPagesHaveNoGapsAndNoRepeats(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := lived(t, 40)
		v, end := fresh(t)
		defer end()
		foldHistory(t, v, w.history, 100)
		ctx := context.Background()
		n := rapid.IntRange(1, 7).Draw(t, "n")
		by := rapid.SampledFrom([]DeviceKey{ByAppearance, ByName, BySerial, ByOSVersion, ByEnrolled, ByLastSeen}).Draw(t, "by")
		order := DeviceOrder{By: by, Descending: rapid.Bool().Draw(t, "descending")}
		asOf := rapid.SampledFrom([]eventstore.Position{Now, eventstore.Position(len(w.events) / 2)}).Draw(t, "as of")
		paged(t, n, func(p Page) (Listing[Entry], error) { return v.Events(ctx, EventFilter{}, p) })
		paged(t, n, func(p Page) (Listing[Entry], error) { return v.Events(ctx, EventFilter{Device: "d1", Search: "e"}, p) })
		paged(t, n, func(p Page) (Listing[Entry], error) { return v.People(ctx, EventFilter{}, p) })
		paged(t, n, func(p Page) (Listing[Declaration], error) { return v.Declarations(ctx, asOf, p) })
		paged(t, n, func(p Page) (Listing[Group], error) { return v.Groups(ctx, asOf, p) })
		paged(t, n, func(p Page) (Listing[Invitation], error) { return v.Invitations(ctx, asOf, p) })
		paged(t, n, func(p Page) (Listing[Certificate], error) {
			return v.Certificates(ctx, CertificateFilter{AsOf: asOf}, p)
		})
		paged(t, n, func(p Page) (Listing[Command], error) { return v.Commands(ctx, CommandFilter{}, p) })
		paged(t, n, func(p Page) (Listing[Fact], error) { return v.History(ctx, "d1", "device.OSVersion", p) })
		paged(t, n, func(p Page) (Listing[Device], error) {
			return v.Devices(ctx, DeviceQuery{Page: p, Order: order, AsOf: asOf})
		})
	})
}

// paged checks a list: page by page forward, page by page backward, and all at once, it is the same.
func paged[T any](t *rapid.T, n int, list func(Page) (Listing[T], error)) {
	ask := func(p Page) Listing[T] {
		l, err := list(p)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	whole := ask(Page{First: MaxPage})
	var forward, backward []Edge[T]
	for p := (Page{First: n}); ; {
		l := ask(p)
		forward = append(forward, l.Edges...)
		if !l.HasNext {
			break
		}
		p.After = l.Edges[len(l.Edges)-1].Cursor
	}
	for p := (Page{Last: n}); ; {
		l := ask(p)
		backward = append(slices.Clone(l.Edges), backward...)
		if !l.HasPrevious {
			break
		}
		p.Before = l.Edges[0].Cursor
	}
	text := func(edges []Edge[T]) string {
		written, _ := json.Marshal(append([]Edge[T]{}, edges...))
		return string(written)
	}
	if text(forward) != text(whole.Edges) || text(backward) != text(whole.Edges) {
		t.Fatalf("at once:\n%+v\nforward:\n%+v\nbackward:\n%+v", whole.Edges, forward, backward)
	}
	if len(whole.Edges) > 2 { // between two cursors stands what stands between them
		middle := ask(Page{First: MaxPage, After: whole.Edges[0].Cursor, Before: whole.Edges[len(whole.Edges)-1].Cursor})
		if text(middle.Edges) != text(whole.Edges[1:len(whole.Edges)-1]) {
			t.Fatalf("between the ends of %+v: %+v", whole.Edges, middle.Edges)
		}
	}
}

func TestMomentsFollowTheClockEvenIfItIsSetBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := lived(t, 40)
		v, end := fresh(t)
		defer end()
		foldHistory(t, v, w.history, 100)
		latest := time.Time{}
		at := noon.Add(time.Duration(rapid.IntRange(-10, 100_000).Draw(t, "at")) * time.Second)
		want := eventstore.Position(0)
		for _, env := range w.events {
			if env.Time.After(latest) {
				latest = env.Time
			}
			if !latest.After(at) {
				want = env.Position
			}
		}
		if got, err := v.PositionAt(context.Background(), at); err != nil || got != want {
			t.Fatalf("the position at %v is %d (%v), want %d", at, got, err, want)
		}
	})
}
