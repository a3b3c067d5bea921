package tests

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/catalog"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/embedded"
	"github.com/rollcall-mdm/rollcall/eventstore/seal"
)

// longLife is how many events a device of these tests has.
const longLife = 100_000

// An elder is a repository that holds a device with a long life.
type elder struct {
	*meter
	snapshots *embedded.Snapshots[device.Device]
	codec     *seal.Codec[domain.Event]
}

const elderID = "elder"

func newElder(tb testing.TB) *elder {
	tb.Helper()
	dir := tb.TempDir()
	log, err := embedded.Open(tb.Context(), filepath.Join(dir, "log.db"), embedded.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	keys := &seal.MemoryKeyring{}
	blobs := seal.Blobs{Keys: keys}
	e := &elder{meter: &meter{Log: log}, codec: &seal.Codec[domain.Event]{Types: catalog.Events(), Keys: keys}}
	e.snapshots, err = embedded.OpenSnapshots[device.Device](filepath.Join(dir, "snapshots.db"), embedded.SnapshotOptions{
		Fold: "1", Seal: blobs.SealBlob, Open: blobs.OpenBlob,
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _, _ = e.snapshots.Close(), log.Close() })
	e.change(tb, func(d device.Device, at time.Time) ([]domain.Event, error) {
		return d.Authenticate(device.Authenticate{
			Topic: "t", Identity: device.Identity{UDID: elderID}, Certificate: device.Certificate{Fingerprint: "f"},
		}, at)
	})
	e.change(tb, func(d device.Device, at time.Time) ([]domain.Event, error) {
		return d.UpdateToken(device.TokenUpdate{Topic: "t", Token: []byte("t"), PushMagic: "m", Identity: device.Identity{UDID: elderID},
			Certificate: device.Certificate{Fingerprint: "f"}}, at)
	})
	for range longLife / 1000 {
		e.change(tb, func(device.Device, time.Time) ([]domain.Event, error) {
			polls := make([]domain.Event, 1000)
			for i := range polls {
				polls[i] = device.Seen{Polls: 1}
			}
			return polls, nil
		})
	}
	for range 150 { // since the last snapshot
		e.change(tb, func(device.Device, time.Time) ([]domain.Event, error) {
			return []domain.Event{device.Seen{Polls: 1}}, nil
		})
	}
	return e
}

// cold returns a repository that remembers nothing.
func (e *elder) cold() *eventstore.Repository[device.Device, domain.Event] {
	return &eventstore.Repository[device.Device, domain.Event]{
		Log: e, Codec: e.codec, Kind: device.Kind, Fold: device.Device.Evolve, Snapshots: e.snapshots,
	}
}

func (e *elder) change(tb testing.TB, decide func(device.Device, time.Time) ([]domain.Event, error)) {
	tb.Helper()
	if _, err := e.cold().Update(tb.Context(), elderID, eventstore.Meta{}, decide); err != nil {
		tb.Fatal(err)
	}
}

// order queues a command and hands it out, by a repository that has just been made.
func (e *elder) order(tb testing.TB, n int) {
	tb.Helper()
	r, uuid := e.cold(), fmt.Sprint("C", n)
	for _, decide := range []func(device.Device, time.Time) ([]domain.Event, error){
		func(d device.Device, at time.Time) ([]domain.Event, error) {
			return d.Order("", device.Order{UUID: uuid, RequestType: "ProfileList", Body: device.Document("x")}, false, at)
		},
		func(d device.Device, at time.Time) ([]domain.Event, error) {
			return d.Connect(device.Report{Status: device.Idle}, at)
		},
		func(d device.Device, at time.Time) ([]domain.Event, error) {
			return d.Connect(device.Report{Status: device.Acknowledged, UUID: uuid}, at)
		},
	} {
		if _, err := r.Update(tb.Context(), elderID, eventstore.Meta{}, decide); err != nil {
			tb.Fatal(err)
		}
	}
}

// TestALongLifeCostsNoMoreThanAShortOne counts what a server reads that has just started, to handle a command for a device with
// a hundred thousand events: what has come since the last snapshot, and no more.
func TestALongLifeCostsNoMoreThanAShortOne(t *testing.T) {
	t.Parallel()
	e := newElder(t)
	before := e.bill()
	e.order(t, 0)
	cost := e.bill().less(before)
	if cost.Reads != 1 || cost.Rows > 201 || cost.Events != 3 {
		t.Errorf("a command for a device with %d events cost %+v", longLife, cost)
	}
	t.Logf("%+v", cost)
}

// BenchmarkACommandAfterALongLife orders, hands out and settles a command, each time by a server that has just started.
func BenchmarkACommandAfterALongLife(b *testing.B) {
	e := newElder(b)
	n := 0
	for b.Loop() {
		e.order(b, n)
		n++
	}
}
