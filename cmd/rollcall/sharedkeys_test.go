package main

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/domain/operator"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/esdb/esdbtest"
	"github.com/rollcall-mdm/rollcall/eventstore/seal"
	"github.com/rollcall-mdm/rollcall/eventstore/seal/pgtest"
	"github.com/rollcall-mdm/rollcall/handlers"
)

// together says where servers keep what they share.
func together(store, keys string) storage {
	return storage{Store: store, keeping: keeping{Keys: keys}}
}

// openTogether opens a house that shares its log and its keys.
func openTogether(t *testing.T, at storage, dir string) (*past, error) {
	t.Helper()
	p := &past{t: t, dir: dir, now: morning}
	var err error
	p.house, err = openHouse(t.Context(), opening{storage: at, Dir: dir, Logger: slog.New(slog.DiscardHandler)},
		func() time.Time { p.now = p.now.Add(time.Second); return p.now })
	if err == nil {
		err = p.share(t.Context())
	}
	return p, err
}

func startStore(t *testing.T) string {
	t.Helper()
	store, err := esdbtest.Start(esdbtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	return store.URL()
}

func authenticated(d device.Device) ([]domain.Event, error) {
	return d.Authenticate(device.Authenticate{Identity: device.Identity{UDID: "U1", SerialNumber: "C02XYZ"}, Topic: "topic"}, morning)
}

// A device comes to the one server and goes on at the other, which has its keys, and its name in the log. Erased at the one, nothing of
// it opens at the other, and it can come back there.
func TestServersThatShareKeysServeTheSameDevices(t *testing.T) {
	at := together(startStore(t), pgtest.URL(t))
	one, err := openTogether(t, at, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { one.close() }()
	dir := t.TempDir()
	if _, err := openTogether(t, at, dir); !errors.Is(err, seal.ErrNoMasterKey) && (err == nil || !strings.Contains(err.Error(), "master key")) {
		t.Fatalf("without the master key: %v", err)
	}
	copyKeys(t, one.dir, dir, "master.key")
	two, err := openTogether(t, at, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { two.close() }()
	if one.pseudonyms != two.pseudonyms {
		t.Fatal("two servers give a device different names")
	}
	one.device("U1", authenticated)
	two.device("U1", func(d device.Device) ([]domain.Event, error) {
		return d.UpdateToken(device.TokenUpdate{Topic: "topic", Token: []byte("t"), PushMagic: "m"}, morning)
	})
	stream := eventstore.Stream{Kind: device.Kind, ID: one.pseudonyms.Device("U1")}
	who := handlers.Caller{ID: "t1", Name: "Ada", Role: operator.Administrator}
	if done, err := one.erase(t.Context(), who, seal.Of(stream), "sold"); err != nil || !done {
		t.Fatalf("erased: %v, %v", done, err)
	}
	_, err = two.devices.Update(t.Context(), stream.ID, eventstore.Meta{}, func(d device.Device, at time.Time) ([]domain.Event, error) {
		return d.Connect(device.Report{Status: device.Idle, Polls: 1}, at)
	})
	if refusal, refused := domain.Refused(err); !refused || refusal.Reason != domain.Unmanaged {
		t.Errorf("the second server takes the device's word: %v", err)
	}
	two.device("U1", authenticated)
	erased := false
	for env, err := range two.log.ReadStream(t.Context(), stream, 0, eventstore.Forward) {
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range []*past{one, two} {
			event, err := h.codec.Decode(env)
			if a, is := event.(device.Authenticated); is && (a.Identity.UDID == "U1") != erased || err != nil {
				t.Errorf("of version %d can be read %+v (%v)", env.Version, event, err)
			}
		}
		erased = erased || env.Type == device.SubjectErased{}.EventType()
	}
}

// Servers that start at the same moment on nothing make what they share once.
func TestServersThatStartTogetherShareOneBeginning(t *testing.T) {
	at := together(startStore(t), pgtest.URL(t))
	first := t.TempDir()
	if _, err := seal.OpenMasterKey(filepath.Join(first, "master.key")); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	var servers [3]*server
	for i := range servers {
		dir := t.TempDir()
		copyKeys(t, first, dir, "master.key")
		set := settings{
			storage: at, Data: dir, Listen: "127.0.0.1:0", URL: "http://mdm.example.com", PlainHTTP: true, Views: "sqlite", Identity: []string{"signature"},
			MaxBody: 1 << 20, LogFormat: "text", LogLevel: "error", Silent: time.Hour, Locations: time.Hour, identities: identities{CertificateDays: 365},
		}
		all.Go(func() {
			var err error
			if servers[i], err = openServer(t.Context(), set, time.Now); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	tokens := 0
	for _, s := range servers {
		if s == nil {
			continue
		}
		defer func() { _ = s.close() }()
		if _, err := os.Stat(s.path("admin-token")); err == nil {
			tokens++
		}
		for _, name := range []string{"index.key", "ledger.key", "ledger.pub", "device-ca.pem", "device-ca.key"} {
			one, oneErr := os.ReadFile(servers[0].path(name))
			other, otherErr := os.ReadFile(s.path(name))
			if oneErr != nil || otherErr != nil || !bytes.Equal(one, other) {
				t.Errorf("%s is not the same everywhere (%v, %v)", name, oneErr, otherErr)
			}
		}
		if roots := s.authority.Standing().Roots; len(roots) != 1 {
			t.Errorf("%d roots are in force", len(roots))
		}
	}
	if tokens != 1 {
		t.Errorf("%d administrator's tokens were made", tokens)
	}
}

// A rotation that was cut off before or after its end is settled by the next start, by what PostgreSQL says.
func TestARotationForAllServersThatWasCutOff(t *testing.T) {
	for _, changed := range []bool{false, true} {
		at := together(startStore(t), pgtest.URL(t))
		one, err := openTogether(t, at, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		one.device("U1", authenticated)
		before := one.keys.MasterKey()
		if err := one.custody.Next(""); err != nil {
			t.Fatal(err)
		}
		next, err := one.custody.OpenNext(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if changed {
			if _, err := one.keys.Rotate(t.Context(), next, nil); err != nil {
				t.Fatal(err)
			}
		}
		one.close() // killed
		if one, err = openTogether(t, at, one.dir); err != nil {
			t.Fatal(err)
		}
		want := before
		if changed {
			want = next.ID()
		}
		if got := one.keys.MasterKey(); got != want {
			t.Errorf("changed %v: the master key is %s, want %s", changed, got, want)
		}
		one.device("U1", func(d device.Device) ([]domain.Event, error) { return nil, nil })
		if err := one.custody.Next(""); err != nil {
			t.Errorf("changed %v: the master key cannot be changed again: %v", changed, err)
		}
		one.close()
	}
}

// A data directory whose keys were in a file goes over to PostgreSQL: all opens there as before, and what was erased stays erased.
func TestKeysMoveToPostgreSQL(t *testing.T) {
	store, keys := startStore(t), pgtest.URL(t)
	one := openShared(t, store, t.TempDir())
	dir := one.dir
	one.device("U1", authenticated)
	one.device("U2", func(d device.Device) ([]domain.Event, error) {
		return d.Authenticate(device.Authenticate{Identity: device.Identity{UDID: "U2"}, Topic: "topic"}, morning)
	})
	gone := seal.Of(eventstore.Stream{Kind: device.Kind, ID: one.pseudonyms.Device("U2")})
	who := handlers.Caller{ID: "t1", Name: "Ada", Role: operator.Administrator}
	if _, err := one.erase(t.Context(), who, gone, "sold"); err != nil {
		t.Fatal(err)
	}
	one.close()
	at := together(store, keys)
	if _, err := openTogether(t, at, dir); err == nil || !strings.Contains(err.Error(), "rollcall keys move") {
		t.Errorf("before they are moved: %v", err)
	}
	copied := t.TempDir()
	copyKeys(t, dir, copied, "index.key", "master.key")
	if _, err := openTogether(t, at, copied); err == nil || !strings.Contains(err.Error(), "has nothing of it") {
		t.Errorf("with a keyring that is empty: %v", err)
	}
	out := new(bytes.Buffer)
	move := &keysMoveCmd{stopped{storage: at, Data: dir, Out: out, Err: out}}
	if err := move.Run(t.Context()); err != nil || !strings.Contains(out.String(), "the keys of 2 subjects are in PostgreSQL") {
		t.Fatalf("%v: %s", err, out)
	}
	if err := move.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "holds no keys.db") {
		t.Errorf("moved again: %v", err)
	}
	one, err := openTogether(t, at, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { one.close() }()
	one.device("U1", func(d device.Device) ([]domain.Event, error) {
		if d.Known.SerialNumber != "C02XYZ" {
			t.Errorf("the device is %+v", d.Known)
		}
		return nil, nil
	})
	if n := one.keys.Epoch(gone, 1000); n != 1 {
		t.Errorf("the device that was erased is in epoch %d", n)
	}
	if _, err := one.keys.Keys(t.Context(), gone.String()); !errors.Is(err, seal.ErrDestroyed) {
		t.Errorf("its keys: %v", err)
	}
}

// One server changes the master key. The other was given the next one beforehand, goes over to it when it needs it, and opens by it
// from then on; one that was not is told what is missing.
func TestTheMasterKeyIsChangedForAllServers(t *testing.T) {
	at := together(startStore(t), pgtest.URL(t))
	one, err := openTogether(t, at, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { one.close() }()
	dir := t.TempDir()
	copyKeys(t, one.dir, dir, "master.key")
	two, err := openTogether(t, at, dir)
	if err != nil {
		t.Fatal(err)
	}
	one.device("U1", authenticated)
	if err := one.custody.Next(""); err != nil {
		t.Fatal(err)
	}
	if err := one.rotate(t.Context(), eventstore.Meta{}, "test", nil); err != nil {
		t.Fatal(err)
	}
	unprepared := t.TempDir()
	copyKeys(t, two.dir, unprepared, "master.key")
	subject := (eventstore.Stream{Kind: device.Kind, ID: one.pseudonyms.Device("U1")}).String()
	if _, err := two.keys.Keys(t.Context(), subject); !errors.Is(err, eventstore.ErrUnavailable) {
		t.Errorf("without the next master key: %v", err)
	}
	if _, err := openTogether(t, at, unprepared); err == nil || !strings.Contains(err.Error(), "put it in the place of the one from") {
		t.Errorf("a server that starts without it: %v", err)
	}
	text, err := os.ReadFile(filepath.Join(one.dir, "master.key"))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "master.key.next"), text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	two.device("U1", func(d device.Device) ([]domain.Event, error) {
		return d.UpdateToken(device.TokenUpdate{Topic: "topic", Token: []byte("t"), PushMagic: "m"}, morning)
	})
	two.close()
	if two, err = openTogether(t, at, dir); err != nil {
		t.Fatal(err)
	}
	two.close()
}

// What does not belong together is refused in a line that says what to do.
func TestServersThatDoNotBelongTogether(t *testing.T) {
	store, keys := startStore(t), pgtest.URL(t)
	at := together(store, keys)
	one, err := openTogether(t, at, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	one.device("U1", authenticated)
	one.close()
	if one, err = openTogether(t, at, one.dir); err != nil { // the keyring knows by now which log it is
		t.Fatal(err)
	}
	one.close()
	directory := func(files ...string) string {
		dir := t.TempDir()
		copyKeys(t, one.dir, dir, "master.key")
		for _, name := range files {
			if err := os.WriteFile(filepath.Join(dir, name), []byte("another\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	for want, try := range map[string]struct {
		at  storage
		dir string
	}{
		"belong to another log":                   {together(startStore(t), keys), directory()},
		"index.key in":                            {at, directory("index.key")},
		"move its keys to PostgreSQL first":       {at, directory("keys.db")},
		"--keys is no keyring":                    {together(store, "mysql://x"), directory()},
		"give one like postgres://":               {together(store, "postgres://u:geheim@127.0.0.1:x/y"), directory()},
		"keys.db is missing":                      {storage{Store: store}, directory("index.key")},
		"for servers that share a log":            {storage{}, inhabited(t)},
		"ask PostgreSQL for the lease of start: ": {together(store, "postgres://u:geheim@/x?host=/nowhere"), directory()},
	} {
		p, err := openTogether(t, try.at, try.dir)
		if err == nil {
			p.close()
		}
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// inhabited returns the directory of a server with an embedded log that runs.
func inhabited(t *testing.T) string {
	t.Helper()
	h, err := openHouse(t.Context(), opening{Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler)}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.close() })
	return h.dir
}

func TestRoles(t *testing.T) {
	apart := together("esdb://127.0.0.1:1", "postgres://x/y")
	for _, tt := range []struct {
		roles []string
		at    storage
		want  string
	}{
		{nil, storage{}, ""},
		{[]string{"checkin"}, apart, ""},
		{[]string{"connect", "enroll", "api", "workers"}, apart, ""},
		{[]string{"checkin", "connect", "enroll", "api", "workers"}, storage{}, ""},
		{[]string{"checkin"}, storage{}, "leaves connect to another server"},
		{[]string{"checkin"}, storage{Store: "esdb://127.0.0.1:1"}, "--keys postgres://"},
		{[]string{"check-in"}, apart, `"check-in" is none`},
	} {
		err := split{tt.roles}.check(tt.at)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %v, want %q", tt.roles, err, tt.want)
		}
	}
	if s := (split{[]string{"api"}}); s.has(checkin) || !s.has(checkin, api) || !(split{}).has(working) {
		t.Error("a server has other roles than it was told")
	}
}
