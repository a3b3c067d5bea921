package main

import (
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/domain/operator"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/esdb/esdbtest"
	"github.com/rollcall-mdm/rollcall/eventstore/seal"
	"github.com/rollcall-mdm/rollcall/handlers"
)

// openShared opens a house whose log is in an EventStoreDB.
func openShared(t *testing.T, store, dir string) *past {
	t.Helper()
	p := &past{t: t, dir: dir, now: morning}
	var err error
	p.house, err = openHouse(t.Context(), opening{storage: storage{Store: store}, Dir: dir, Logger: slog.New(slog.DiscardHandler)},
		func() time.Time { p.now = p.now.Add(time.Second); return p.now })
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Two servers share a log, and have the same keys. What the one erases, the other forgets as soon as it reads of it, and it
// seals nothing with the keys that are gone.
func TestWhatAnotherServerErasedIsForgottenHere(t *testing.T) {
	store, err := esdbtest.Start(esdbtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	one := openShared(t, store.URL(), t.TempDir())
	authenticate := func(d device.Device) ([]domain.Event, error) {
		return d.Authenticate(device.Authenticate{Identity: device.Identity{UDID: "U1", SerialNumber: "C02XYZ"}, Topic: "topic"}, morning)
	}
	one.device("U1", authenticate)
	stream := eventstore.Stream{Kind: device.Kind, ID: one.pseudonyms.Device("U1")}
	dir := t.TempDir()
	one.close()
	copyKeys(t, one.dir, dir, "index.key", "keys.db", "master.key")
	one = openShared(t, store.URL(), one.dir)
	defer func() { one.close() }()
	two := openShared(t, store.URL(), dir)
	defer func() { two.close() }()
	subject := stream.String()
	if _, err := two.keys.Keys(t.Context(), subject); err != nil {
		t.Fatalf("the second server does not have the keys: %v", err)
	}
	who := handlers.Caller{ID: "t1", Name: "Ada", Role: operator.Administrator}
	if done, err := one.erase(t.Context(), who, seal.Subject{Stream: stream}, "sold"); err != nil || !done {
		t.Fatalf("erased: %v, %v", done, err)
	}
	_, err = two.devices.Update(t.Context(), stream.ID, eventstore.Meta{}, func(d device.Device, at time.Time) ([]domain.Event, error) {
		return d.Connect(device.Report{Status: device.Idle, Polls: 1}, at)
	})
	if refusal, refused := domain.Refused(err); !refused || refusal.Reason != domain.Unmanaged {
		t.Errorf("the second server takes the device's word: %v", err)
	}
	if _, err := two.keys.Keys(t.Context(), subject); !errors.Is(err, seal.ErrDestroyed) {
		t.Errorf("the second server still has the keys: %v", err)
	}
	two.device("U1", authenticate)
	erased := int64(-1)
	for env, err := range two.log.ReadStream(t.Context(), stream, 0, eventstore.Forward) {
		if err != nil {
			t.Fatal(err)
		}
		event, err := two.codec.Decode(env)
		if _, is := event.(device.SubjectErased); is {
			erased = env.Version
		}
		if a, is := event.(device.Authenticated); is && (a.Identity.UDID == "U1") != (erased >= 0) || err != nil {
			t.Errorf("of version %d can be read %+v (%v)", env.Version, event, err)
		}
	}
}
