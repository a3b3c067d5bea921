package tests

import (
	"crypto/x509"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/catalog"
	"github.com/rollcall-mdm/rollcall/domain/certificate"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/domain/stranger"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/embedded"
	"github.com/rollcall-mdm/rollcall/eventstore/eventstoretest"
	proof "github.com/rollcall-mdm/rollcall/eventstore/ledger"
	"github.com/rollcall-mdm/rollcall/eventstore/seal"
	"github.com/rollcall-mdm/rollcall/handlers/mdm"
	"github.com/rollcall-mdm/rollcall/handlers/mdm/mdmtest"
	"github.com/rollcall-mdm/rollcall/projections"
)

// simulatedFleet is how many devices a simulation has.
const simulatedFleet = 8

// A simulation is a server without a network: its devices' door, its log with faults, its views; with a clock and a
// source of chance of its own. Everything happens one after the other.
type simulation struct {
	t      *testing.T
	rng    *rand.Rand
	clock  time.Time
	dir    string
	faults []eventstoretest.Fault

	file    *embedded.Log
	faulty  *eventstoretest.Faulty
	codec   *seal.Codec[domain.Event]
	roots   *x509.CertPool
	door    *mdm.Door
	web     http.Handler
	views   *projections.Views
	memory  *memorySnapshots
	fleet   []*simulated
	taken   map[string]string   // orders that were acknowledged, and whose they are
	settled map[string]string   // final answers that were acknowledged
	signed  map[int64]tlog.Hash // roots of the tree, by size

	events, met, broken, restarts, renewed int
}

// A simulated is a device of the simulation.
type simulated struct{ *mdmtest.Device }

// ServeHTTP is whatever server there is at the time.
func (s *simulation) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.web.ServeHTTP(w, r) }

func newSimulation(t *testing.T, seed uint64) *simulation {
	t.Helper()
	ca, err := mdmtest.NewCA("Test CA")
	if err != nil {
		t.Fatal(err)
	}
	s := &simulation{
		t: t, rng: shuffled(seed), clock: time.Date(2026, 1, 1, 8, 0, 0, 0, time.UTC), dir: scratch(t),
		faults: []eventstoretest.Fault{eventstoretest.Refused, eventstoretest.Lost, eventstoretest.Conflict},
		codec:  &seal.Codec[domain.Event]{Types: catalog.Events(), Keys: &seal.MemoryKeyring{}},
		roots:  x509.NewCertPool(), memory: &memorySnapshots{}, taken: map[string]string{}, settled: map[string]string{}, signed: map[int64]tlog.Hash{},
	}
	s.roots.AddCert(ca.Certificate)
	devices, err := mdmtest.Fleet{
		Size: simulatedFleet, Seed: seed, Server: mdmtest.ServerAt("http://mdm.example.com"), CA: ca, Proof: mdmtest.Proof{Way: mdmtest.ByHeader},
		Wire: mdmtest.Roundabout{RoundTripper: mdmtest.Local{Handler: s}}, Habits: mdmtest.Habits{NotNow: 0.2, Error: 0.1, FormatError: 0.05},
	}.Make()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range devices {
		s.fleet = append(s.fleet, &simulated{d})
	}
	s.start()
	t.Cleanup(func() { _ = errors.Join(s.views.Close(), s.file.Close()) })
	return s
}

// scratch returns a directory in memory where there is one: nobody pulls a plug here.
func scratch(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "rollcall-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func (s *simulation) now() time.Time {
	s.clock = s.clock.Add(time.Millisecond)
	return s.clock
}

// start opens the log and the views, and a door that remembers nothing but snapshots.
func (s *simulation) start() {
	s.t.Helper()
	var err error
	if s.file, err = embedded.Open(s.t.Context(), filepath.Join(s.dir, "log.db"), embedded.Options{}); err != nil {
		s.t.Fatal(err)
	}
	if s.views, err = projections.Open(s.t.Context(), filepath.Join(s.dir, "views.db"), projections.Options{}); err != nil {
		s.t.Fatal(err)
	}
	s.faulty = &eventstoretest.Faulty{Log: s.file}
	s.door = &mdm.Door{
		Pseudonyms: seal.NewPseudonyms([32]byte{1}), Now: s.now, Log: slog.New(slog.DiscardHandler),
		Identity: &mdm.Identity{
			Methods: []string{"header:X-Ssl-Client-Cert"}, Authorities: s.roots, TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		},
		Devices: &eventstore.Repository[device.Device, domain.Event]{
			Log: s.faulty, Codec: s.codec, Kind: device.Kind, Fold: device.Device.Evolve, Size: device.Size, Now: s.now,
			Snapshots: s.memory, Every: 7, CacheSize: 24 << 10,
		},
		Certificates: &eventstore.Repository[certificate.Certificate, domain.Event]{
			Log: s.faulty, Codec: s.codec, Kind: certificate.Kind, Fold: certificate.Certificate.Evolve, Now: s.now,
		},
		Strangers: &eventstore.Repository[mdm.Nobody, domain.Event]{
			Log: s.faulty, Codec: s.codec, Kind: stranger.Kind, Now: s.now,
			Fold: func(n mdm.Nobody, e domain.Event, at time.Time) mdm.Nobody { return n.Evolve(e, at) },
		},
	}
	web := echo.New()
	s.door.Mount(web.Group("/mdm"))
	s.web = web
}

// restart ends the server, and starts it again; what was signed so far is kept.
func (s *simulation) restart() {
	s.t.Helper()
	s.sign()
	if err := errors.Join(s.views.Close(), s.file.Close()); err != nil {
		s.t.Fatal(err)
	}
	s.restarts++
	s.start()
}

// sign remembers the tree's root as it is now.
func (s *simulation) sign() {
	s.t.Helper()
	size, err := s.file.Leaves(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	if s.signed[size], err = (&proof.Ledger{Tree: s.file}).Root(s.t.Context(), size); err != nil {
		s.t.Fatal(err)
	}
}

// fold lets the views catch up.
func (s *simulation) fold() {
	s.t.Helper()
	if err := s.views.CatchUp(s.t.Context(), s.file, s.codec.Views(), nil); err != nil {
		s.t.Fatal(err)
	}
}

// memorySnapshots keep the newest folded state of each device.
type memorySnapshots struct {
	mu   sync.Mutex
	kept map[eventstore.Stream]snapshot
}

type snapshot struct {
	state   device.Device
	version int64
}

// Load fulfils eventstore.Snapshots.
func (m *memorySnapshots) Load(stream eventstore.Stream) (device.Device, int64, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k, found := m.kept[stream]
	return k.state, k.version, found
}

// Save fulfils eventstore.Snapshots.
func (m *memorySnapshots) Save(stream eventstore.Stream, version int64, state device.Device) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.kept == nil {
		m.kept = map[eventstore.Stream]snapshot{}
	}
	m.kept[stream] = snapshot{state, version}
	return nil
}
