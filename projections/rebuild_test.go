package projections

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

// peeking is a codec that opens what is sealed only if it is wanted.
type peeking struct{ inClear }

func (c peeking) DecodeIf(env eventstore.Envelope, wanted func(domain.Event) bool) (domain.Event, error) {
	e, err := c.Decode(env)
	if err != nil || wanted(openPart(e)) {
		return e, err
	}
	return openPart(e), nil
}

// anyViews draws the names of some views, of all, or of none, which means all.
func anyViews(t *rapid.T) (names []string) {
	for _, one := range views() {
		if rapid.Bool().Draw(t, one.name) {
			names = append(names, one.name)
		}
	}
	if rapid.Bool().Draw(t, "one alone") {
		return []string{rapid.SampledFrom([]string{"fleet", "fleet", "facts", "timeline", "commands", "wakeups", "groups"}).Draw(t, "which")}
	}
	return names
}

func TestARebuildEqualsTheLiveFold(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld()
		w.rarest = 6
		for range rapid.IntRange(1, 100).Draw(rt, "acts") {
			w.live(rt)
		}
		live, end := fresh(rt)
		defer end()
		foldHistory(rt, live, w.history, rapid.IntRange(1, 50).Draw(rt, "chunk"))
		want := dump(t, live)
		if err := live.Rebuild(t.Context(), w.history, peeking{}, nil, anyViews(rt)...); err != nil {
			rt.Fatal(err)
		}
		if got := dump(t, live); got != want {
			rt.Fatalf("rebuilt and live differ: %s", firstDifference(got, want))
		}
		if a, b := schemaOf(t, live), schemaOf(t, open(t)); a != b {
			rt.Fatalf("the rebuilt tables are\n%s\nand new ones\n%s", a, b)
		}
	})
}

// What a message about a bootstrap token tells of AwaitingConfiguration is no matter of its type alone.
func TestTheFleetRebuiltAloneKnowsWhoAwaitsConfiguration(t *testing.T) {
	for _, told := range []domain.Event{
		device.BootstrapTokenEscrowed{BootstrapToken: []byte("x"), AwaitingConfiguration: new(false)},
		device.BootstrapTokenDeleted{AwaitingConfiguration: new(false)},
		device.BootstrapTokenReleased{AwaitingConfiguration: new(false)},
	} {
		h := newHistory()
		h.add("d1", noon, authenticated(1), device.TokenUpdated{Topic: "t", Enrolled: true, AwaitingConfiguration: new(true)})
		h.add("d1", noon.Add(time.Minute), told)
		v := open(t)
		if err := v.CatchUp(t.Context(), h, peeking{}, nil); err != nil {
			t.Fatal(err)
		}
		want := dump(t, v)
		if err := v.Rebuild(t.Context(), h, peeking{}, nil, "fleet"); err != nil {
			t.Fatal(err)
		}
		if got := dump(t, v); got != want {
			t.Errorf("%T: %s", told, firstDifference(got, want))
		}
	}
}

// schemaOf is all that a file is made of.
func schemaOf(t testing.TB, v *Views) string {
	var lines []string
	if err := v.read(t.Context(), func(tx Tx) error {
		return tx.Query(`SELECT type, name, sql FROM sqlite_master ORDER BY type, name`, nil, func(r Row) error {
			lines = append(lines, r.Text(0)+" "+r.Text(1)+" "+strings.ReplaceAll(r.Text(2), `"`, ""))
			return nil
		})
	}); err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}

// T44: whoever reads while views are rebuilt never sees a position, or an answer, go back.
func TestReadersNeverSeeAPositionGoBackWhileViewsAreRebuilt(t *testing.T) {
	h := newHistory()
	for i := range 50 {
		id := fmt.Sprintf("d%d", i)
		h.add(id, noon, authenticated(1), token(true))
		h.told(id, "u"+id, "DeviceInformation", `{"QueryResponses":{"OSVersion":"17.2"}}`, noon)
	}
	v := open(t)
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- v.Run(ctx, h, peeking{}) }()
	head, _ := h.Head(ctx)
	if err := v.Wait(ctx, head); err != nil {
		t.Fatal(err)
	}
	var others sync.WaitGroup
	var done atomic.Bool
	for range 2 {
		others.Go(func() { readForward(t, v, &done) })
	}
	others.Go(func() { // and somebody writes
		for i := 0; !done.Load(); i++ {
			at := h.told("d1", fmt.Sprintf("w%d", i), "SecurityInfo", `{"SecurityInfo":{"FDE_Enabled":true}}`, noon.Add(time.Duration(i)*time.Minute))
			if err := v.Wait(ctx, at); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for i := range 8 {
		names := [][]string{nil, {"fleet"}, {"facts", "timeline"}}[i%3]
		if err := v.Rebuild(ctx, h, peeking{}, nil, names...); err != nil {
			t.Error(err)
		}
	}
	done.Store(true)
	others.Wait()
	head, _ = h.Head(ctx)
	if err := v.Wait(ctx, head); err != nil {
		t.Error(err)
	}
	stop()
	if err := <-ran; err != nil {
		t.Error(err)
	}
	again := folded(t, h)
	if a, b := dump(t, v), dump(t, again); a != b {
		t.Error(firstDifference(a, b))
	}
	if left, err := filepath.Glob(v.path + "*"); err != nil || len(left) != 4 { // the link, the file and its companions
		t.Errorf("left: %v, %v", left, err)
	}
}

// readForward reads until all is done, and wants everything to grow only.
func readForward(t *testing.T, v *Views, done *atomic.Bool) {
	before, events := map[string]eventstore.Position{}, 0
	for !done.Load() {
		list, err := v.List(t.Context())
		if err != nil {
			t.Error(err)
			return
		}
		for _, one := range list {
			if one.Position < before[one.Name] {
				t.Errorf("%s went back from %d to %d", one.Name, before[one.Name], one.Position)
			}
			before[one.Name] = one.Position
		}
		fleet, err := v.Fleet(t.Context(), Now)
		if err != nil || fleet.Devices != 50 {
			t.Errorf("%d devices, %v", fleet.Devices, err)
		}
		page, err := v.Events(t.Context(), EventFilter{Device: "d1"}, Page{Last: 1})
		if err != nil || len(page.Edges) != 1 || int(page.Edges[0].Node.Position) < events {
			t.Errorf("the last event was at %d, and is %+v, %v", events, page.Edges, err)
			return
		}
		events = int(page.Edges[0].Node.Position)
	}
}

// renewed is today's list of views with another version of one.
func renewed(name string, version, reads int) []view {
	list := views()
	for i := range list {
		if list[i].name == name {
			list[i].version, list[i].reads = version, reads
		}
	}
	return list
}

func openRenewed(t *testing.T, path string, list []view) *Views {
	t.Helper()
	v, err := Open(t.Context(), path, Options{Pause: -1, Readers: 1, views: list})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = v.Close() })
	return v
}

func TestAViewOfAnotherVersionIsServedUntilItIsBuiltAnew(t *testing.T) {
	h := newHistory()
	h.add("d1", noon, authenticated(1), token(true))
	h.told("d1", "1", "DeviceInformation", `{"QueryResponses":{"OSVersion":"17.2"}}`, noon)
	path := filepath.Join(t.TempDir(), "views.db")
	v := openAt(t, path)
	follow(t, v, h)
	want := strings.ReplaceAll(dump(t, v), "checkpoints|fleet|2|", "checkpoints|fleet|3|")
	if err := errors.Join(v.writer.Exec(`UPDATE fleet_spans SET build = 'as the old fold had it'`), v.Close()); err != nil {
		t.Fatal(err)
	}
	v = openRenewed(t, path, renewed("fleet", 3, 1))
	if stale, asked := v.Stale(); len(stale) != 1 || stale[0] != "fleet" || !asked {
		t.Fatalf("stale: %v, asked: %v", stale, asked)
	}
	if d, found, err := v.Device(t.Context(), "d1", Now); err != nil || !found || d.BuildVersion != "as the old fold had it" {
		t.Errorf("the old one is not served: %+v, %v, %v", d, found, err)
	}
	if err := v.Rebuild(t.Context(), h, peeking{}, nil, "wakeups"); err != nil { // what is stale is rebuilt with it
		t.Fatal(err)
	}
	if stale, _ := v.Stale(); len(stale) != 0 {
		t.Errorf("stale: %v", stale)
	}
	if got := dump(t, v); got != want {
		t.Errorf("built anew:\n%s\nwant:\n%s", got, want)
	}
}

func TestAViewThatIsNewToTheFileIsBuiltBesideTheOthers(t *testing.T) {
	h := newHistory()
	h.add("d1", noon, authenticated(1), token(true))
	path := filepath.Join(t.TempDir(), "views.db")
	v := openRenewed(t, path, views()[:len(views())-1])
	follow(t, v, h)
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	last := views()[len(views())-1].name
	for range 2 { // the second time it is stale still
		v = openAt(t, path)
		if stale, asked := v.Stale(); len(stale) != 1 || stale[0] != last || !asked || v.Position() == 0 {
			t.Fatalf("stale: %v, asked: %v, at %d", stale, asked, v.Position())
		}
		follow(t, v, h)
		if err := v.Close(); err != nil {
			t.Fatal(err)
		}
		h.add("d2", noon, authenticated(1))
	}
	v = openAt(t, path)
	if err := v.CatchUp(t.Context(), h, inClear{}, nil); err != nil {
		t.Fatal(err)
	}
	follow(t, v, h)
	again := folded(t, h)
	if a, b := dump(t, v), dump(t, again); a != b {
		t.Error(firstDifference(a, b))
	}
}

func TestAViewThatTodaysQuestionsDoNotFitAnswersNothingUntilItIsBuilt(t *testing.T) {
	for name, list := range map[string][]view{
		"an older one": renewed("fleet", 4, 4), "one of a newer program": renewed("fleet", 1, 0),
	} {
		t.Run(name, func(t *testing.T) {
			h := newHistory()
			h.add("d1", noon, authenticated(1), token(true))
			path := filepath.Join(t.TempDir(), "views.db")
			v := openAt(t, path)
			follow(t, v, h)
			if err := v.Close(); err != nil {
				t.Fatal(err)
			}
			v = openRenewed(t, path, list)
			if _, _, err := v.Device(t.Context(), "d1", Now); !errors.Is(err, ErrBuilding) {
				t.Errorf("it answered: %v", err)
			}
			if _, err := v.List(t.Context()); err != nil {
				t.Errorf("how it stands cannot be asked: %v", err)
			}
			ctx, stop := context.WithCancel(t.Context())
			over, end := context.WithCancel(ctx)
			end()
			if err := v.Ready(over); !errors.Is(err, context.Canceled) {
				t.Errorf("it is ready: %v", err)
			}
			ran, ready := make(chan error, 1), make(chan error, 1)
			go func() { ran <- v.Run(ctx, h, inClear{}) }() // which waits
			go func() { ready <- v.Ready(ctx) }()
			if err := v.Rebuild(ctx, h, inClear{}, nil); err != nil {
				t.Fatal(err)
			}
			if err := v.Wait(ctx, h.add("d2", noon, authenticated(1))); err != nil {
				t.Fatal(err)
			}
			if _, found, err := v.Device(t.Context(), "d2", Now); err != nil || !found {
				t.Errorf("it does not answer: %v, %v", found, err)
			}
			if err := <-ready; err != nil {
				t.Errorf("nobody was told that it answers: %v", err)
			}
			stop()
			if err := <-ran; err != nil {
				t.Error(err)
			}
		})
	}
}

// stubborn is a history that cannot be read to its end.
type stubborn struct {
	*history
	why error
}

func (s stubborn) Head(context.Context) (eventstore.Position, error) { return 0, s.why }

func TestARebuildThatFailsChangesNothing(t *testing.T) {
	h := newHistory()
	h.add("d1", noon, authenticated(1), token(true))
	v := folded(t, h)
	want := dump(t, v)
	trouble := errors.New("the log is away")
	if err := v.Rebuild(t.Context(), stubborn{h, trouble}, inClear{}, nil, "fleet"); !errors.Is(err, trouble) {
		t.Errorf("%v", err)
	}
	if _, refused := domain.Refused(v.Rebuild(t.Context(), h, inClear{}, nil, "weather")); !refused {
		t.Error("a view that nobody knows was rebuilt")
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if err := v.Rebuild(stopped, h, inClear{}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if list := must[[]View](t)(v.List(t.Context())); !strings.Contains(list[0].RebuildError, "canceled") {
		t.Errorf("%+v", list[0])
	}
	under, err := v.BeginRebuild("fleet")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.BeginRebuild(); !errors.Is(err, ErrRebuilding) {
		t.Errorf("a second one began: %v", err)
	}
	for _, view := range must[[]View](t)(v.List(t.Context())) {
		if view.Rebuilding != (view.Name == "fleet") || view.RebuildError != "" {
			t.Errorf("%+v", view)
		}
	}
	if err := under.Do(t.Context(), stubborn{h, trouble}, inClear{}, nil); !errors.Is(err, trouble) {
		t.Errorf("%v", err)
	}
	if got := dump(t, v); got != want {
		t.Errorf("it changed:\n%s", got)
	}
	if left, err := filepath.Glob(v.path + ".*"); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestWhatARebuildLeftIsSweptAtTheNextOpening(t *testing.T) {
	h := newHistory()
	h.add("d1", noon, authenticated(1), token(true))
	path := filepath.Join(t.TempDir(), "views.db")
	v := openAt(t, path)
	follow(t, v, h)
	if err := errors.Join(v.Rebuild(t.Context(), h, inClear{}, nil), v.Close()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{".2", ".2-journal", ".7", ".7-wal", ".link", "-wal", ".backup"} {
		if err := os.WriteFile(path+name, []byte("left by a crash"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	v = openAt(t, path)
	if _, found, err := v.Device(t.Context(), "d1", Now); err != nil || !found {
		t.Errorf("%v, %v", found, err)
	}
	left, err := filepath.Glob(path + "*")
	if err != nil || len(left) != 5 || !strings.Contains(strings.Join(left, " "), ".backup") { // the link, three files, and what is not ours
		t.Errorf("left: %v, %v", left, err)
	}
	if err := errors.Join(v.Close(), Remove(path)); err != nil {
		t.Fatal(err)
	}
	if left, err := filepath.Glob(path + "*"); err != nil || len(left) != 1 {
		t.Errorf("left after Remove: %v, %v", left, err)
	}
	if _, _, err := openAt(t, path).Device(t.Context(), "d1", Now); err != nil {
		t.Error(err)
	}
}

func TestADeviceThatWasGivenUpIsFoldedAgainAsItWas(t *testing.T) {
	h := newHistory()
	h.add("d1", noon, authenticated(1))
	h.add("d1", noon, device.Seen{Polls: 1}) // before its token
	h.add("d1", noon, token(true), device.PresumedUnmanaged{Reason: "silent"})
	v := folded(t, h)
	want := dump(t, v)
	if err := v.Rebuild(t.Context(), h, inClear{}, nil, "fleet"); err != nil {
		t.Fatal(err)
	}
	if got := dump(t, v); got != want {
		t.Error(firstDifference(got, want))
	}
}
