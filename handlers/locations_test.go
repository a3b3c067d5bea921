package handlers

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/catalog"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/embedded"
	"github.com/rollcall-mdm/rollcall/eventstore/seal"
	"github.com/rollcall-mdm/rollcall/projections"
)

// A lostDevice is a log in which a device told where it is, with a keyring in a file.
type lostDevice struct {
	*testing.T
	dir       string
	now       time.Time
	log       eventstore.Log
	master    seal.MasterKey
	keys      *seal.FileKeyring
	codec     *seal.Codec[domain.Event]
	forgetter *Forgetter
}

func (l *lostDevice) ok(err error) {
	l.Helper()
	if err != nil {
		l.Fatal(err)
	}
}

var lostStream = eventstore.Stream{Kind: device.Kind, ID: "D1"}

func newLostDevice(t *testing.T) *lostDevice {
	l := &lostDevice{T: t, dir: t.TempDir(), now: time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)}
	log, err := embedded.Open(t.Context(), filepath.Join(l.dir, "log.db"), embedded.Options{})
	l.ok(err)
	l.log = log
	l.master, err = seal.OpenMasterKey(filepath.Join(l.dir, "master.key"))
	l.ok(err)
	views, err := projections.Open(t.Context(), filepath.Join(l.dir, "views.db"), projections.Options{})
	l.ok(err)
	l.forgetter = &Forgetter{Views: views, Keep: 48 * time.Hour, Now: func() time.Time { return l.now }, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	l.openKeys()
	t.Cleanup(func() {
		l.ok(views.Close())
		l.ok(l.log.Close())
		l.ok(l.keys.Close())
	})
	return l
}

func (l *lostDevice) keyring() string { return filepath.Join(l.dir, "keys.db") }

// openKeys opens the keyring as it is now, and all that uses it.
func (l *lostDevice) openKeys() {
	l.Helper()
	var err error
	l.keys, err = seal.OpenKeyring(l.keyring(), l.master, 0)
	l.ok(err)
	l.codec = &seal.Codec[domain.Event]{Types: catalog.Events(), Keys: l.keys}
	l.forgetter.Keys = dayKeys{l.keys, func() {}}
	l.forgetter.Devices = &eventstore.Repository[device.Device, domain.Event]{
		Log: l.log, Codec: l.codec, Kind: device.Kind, Fold: device.Device.Evolve, Now: l.forgetter.Now,
	}
}

// tells has the device enrol and tell where it is.
func (l *lostDevice) tells() {
	l.Helper()
	_, err := l.forgetter.Devices.Update(l.Context(), lostStream.ID, eventstore.Meta{}, func(d device.Device, at time.Time) ([]domain.Event, error) {
		events, err := d.Authenticate(device.Authenticate{Identity: device.Identity{UDID: "U1"}, Topic: "topic"}, at)
		return append(events, device.Located{UUID: "u", Day: at.Format(time.DateOnly), Location: json.RawMessage(`{"Latitude":48.1}`)}), err
	})
	l.ok(err)
}

// look lets the views catch up and the forgetter look.
func (l *lostDevice) look() {
	l.Helper()
	l.ok(l.forgetter.Views.CatchUp(l.Context(), l.log, l.codec.Views(), nil))
	l.ok(l.forgetter.Look(l.Context(), false))
	l.ok(l.forgetter.Views.CatchUp(l.Context(), l.log, l.codec.Views(), nil))
}

// open reports whether the location can be opened.
func (l *lostDevice) open() (can bool) {
	l.Helper()
	for env, err := range l.log.ReadStream(l.Context(), lostStream, 0, eventstore.Forward) {
		l.ok(err)
		e, err := l.codec.Decode(env)
		l.ok(err)
		if located, is := e.(device.Located); is {
			can = len(located.Location) > 0
		}
	}
	return can
}

// dayKeys are the keys of locations; after says that some were destroyed.
type dayKeys struct {
	seal.Keyring
	after func()
}

func (k dayKeys) ForgetLocations(ctx context.Context, id, day string, version int64) error {
	defer k.after()
	return seal.Forget(ctx, k.Keyring, seal.Subject{Stream: eventstore.Stream{Kind: device.Kind, ID: id}, Within: device.LocationSubject(day)}, version)
}

// A keyring that is put back from a backup has keys of locations that were forgotten meanwhile: they are destroyed again
// as soon as the program starts.
func TestAnOldKeyringBringsNoLocationsBack(t *testing.T) {
	l := newLostDevice(t)
	l.tells()
	backup := filepath.Join(l.dir, "backup.db")
	l.ok(seal.CopyDatabase(t.Context(), l.keyring(), backup))
	l.look()
	if !l.open() {
		t.Fatal("the location is forgotten too early")
	}
	l.now = l.now.Add(72 * time.Hour)
	l.look()
	if l.open() {
		t.Fatal("the location is not forgotten")
	}
	l.ok(l.keys.Close())
	l.ok(os.Rename(backup, l.keyring()))
	for _, left := range []string{"-wal", "-shm"} {
		_ = os.Remove(l.keyring() + left) // there need be none
	}
	l.openKeys()
	if !l.open() {
		t.Fatal("the backup has no key of the location: this test shows nothing")
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	l.forgetter.Keys = dayKeys{l.keys, stop}
	l.ok(l.forgetter.Run(ctx))
	if l.open() {
		t.Error("the old keyring has brought the location back")
	}
}
