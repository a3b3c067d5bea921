package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/esdb/esdbtest"
	"github.com/rollcall-mdm/rollcall/eventstore/seal"
	"github.com/rollcall-mdm/rollcall/projections"
)

// copyKeys gives a directory the keys of another one.
func copyKeys(t *testing.T, from, to string, names ...string) {
	t.Helper()
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(to, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// Two servers serve one log, and each makes keys of its own. A device whose keys the other has made is told to come again, and
// nothing is written in its name; views park its stream and say why. With the other's keys the server takes it up again.
func TestAServerWithoutTheKeysOfADeviceWritesNothingOfIt(t *testing.T) {
	store, err := esdbtest.Start(esdbtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	one := openShared(t, store.URL(), t.TempDir())
	here, dir := one.dir, t.TempDir()
	one.close()
	copyKeys(t, here, dir, "index.key", "keys.db", "master.key")
	one = openShared(t, store.URL(), here)
	two := openShared(t, store.URL(), dir)
	one.device("U1", func(d device.Device) ([]domain.Event, error) {
		return d.Authenticate(device.Authenticate{Identity: device.Identity{UDID: "U1"}, Topic: "topic"}, morning)
	})
	stream := eventstore.Stream{Kind: device.Kind, ID: one.pseudonyms.Device("U1")}
	_, err = two.devices.Update(t.Context(), stream.ID, eventstore.Meta{}, func(d device.Device, at time.Time) ([]domain.Event, error) {
		return d.Connect(device.Report{Status: device.Idle, Polls: 1}, at)
	})
	if _, refused := domain.Refused(err); refused || !errors.Is(err, seal.ErrNoKeys) {
		t.Errorf("the server without the keys says %v", err)
	}
	views, err := projections.Open(t.Context(), filepath.Join(dir, "views.db"), projections.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer views.Close()
	rebuild := func(p *past, names ...string) map[string]string {
		t.Helper()
		if err := views.Rebuild(t.Context(), p.log, p.codec.Views(), nil, names...); err != nil {
			t.Fatal(err)
		}
		list, err := views.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		parked := map[string]string{}
		for _, view := range list {
			for _, p := range view.Parked {
				parked[view.Name+" "+p.Stream.String()] = p.Error
			}
		}
		return parked
	}
	if why := rebuild(two)["fleet "+stream.String()]; !strings.Contains(why, "put a newer keys.db in the data directory") {
		t.Errorf("the fleet view says of the device: %q", why)
	}
	one.close()
	two.close()
	copyKeys(t, here, dir, "keys.db")
	two = openShared(t, store.URL(), dir)
	defer func() { two.close() }()
	names, err := views.Digestible(t.Context(), two.log, two.codec.Views())
	if err != nil || len(names) == 0 {
		t.Fatalf("with the keys of the other server %q can be folded (%v)", names, err)
	}
	if parked := rebuild(two, names...); len(parked) != 0 {
		t.Errorf("with the keys of the other server are parked %v", parked)
	}
	two.device("U1", func(d device.Device) ([]domain.Event, error) {
		return d.UpdateToken(device.TokenUpdate{Topic: "topic", Token: []byte("t"), PushMagic: "m"}, morning)
	})
}
