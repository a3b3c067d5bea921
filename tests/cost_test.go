package tests

import (
	"context"
	"crypto/x509"
	"iter"
	"net/netip"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"golang.org/x/sync/errgroup"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/catalog"
	"github.com/rollcall-mdm/rollcall/domain/certificate"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/domain/stranger"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/embedded"
	"github.com/rollcall-mdm/rollcall/eventstore/seal"
	"github.com/rollcall-mdm/rollcall/handlers/mdm"
	"github.com/rollcall-mdm/rollcall/handlers/mdm/mdmtest"
)

// A meter is a log that counts what is asked of it.
type meter struct {
	eventstore.Log
	reads, rows, appends, events, others atomic.Int64
}

// A bill is what something cost at the log.
type bill struct{ Reads, Rows, Appends, Events, Others int64 }

func (m *meter) bill() bill {
	return bill{m.reads.Load(), m.rows.Load(), m.appends.Load(), m.events.Load(), m.others.Load()}
}

func (b bill) less(c bill) bill {
	return bill{b.Reads - c.Reads, b.Rows - c.Rows, b.Appends - c.Appends, b.Events - c.Events, b.Others - c.Others}
}

func (m *meter) Append(ctx context.Context, s eventstore.Stream, expected int64, events []eventstore.Envelope) error {
	m.appends.Add(1)
	m.events.Add(int64(len(events)))
	return m.Log.Append(ctx, s, expected, events)
}

func (m *meter) ReadStream(ctx context.Context, s eventstore.Stream, from int64, d eventstore.Direction) iter.Seq2[eventstore.Envelope, error] {
	m.reads.Add(1)
	return func(yield func(eventstore.Envelope, error) bool) {
		for env, err := range m.Log.ReadStream(ctx, s, from, d) {
			m.rows.Add(1)
			if !yield(env, err) {
				return
			}
		}
	}
}

func (m *meter) ReadAll(ctx context.Context, after eventstore.Position) iter.Seq2[eventstore.Envelope, error] {
	m.others.Add(1)
	return m.Log.ReadAll(ctx, after)
}

func (m *meter) Head(ctx context.Context) (eventstore.Position, error) {
	m.others.Add(1)
	return m.Log.Head(ctx)
}

// metered opens the devices' door on a metered log. Repositories keep so many bytes of what they have folded.
func metered(t *testing.T, cached int) (*meter, mdmtest.Fleet) {
	t.Helper()
	log, err := embedded.Open(t.Context(), filepath.Join(t.TempDir(), "log.db"), embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	ca, err := mdmtest.NewCA("Test CA")
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca.Certificate)
	m := &meter{Log: log}
	codec := &seal.Codec[domain.Event]{Types: catalog.Events(), Keys: &seal.MemoryKeyring{}}
	door := &mdm.Door{
		Pseudonyms: seal.NewPseudonyms([32]byte{1}),
		Identity: &mdm.Identity{
			Methods: []string{"header:X-Ssl-Client-Cert"}, Authorities: roots, TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		},
		Devices: &eventstore.Repository[device.Device, domain.Event]{
			Log: m, Codec: codec, Kind: device.Kind, Fold: device.Device.Evolve, Size: device.Size, CacheSize: cached,
		},
		Certificates: &eventstore.Repository[certificate.Certificate, domain.Event]{
			Log: m, Codec: codec, Kind: certificate.Kind, Fold: certificate.Certificate.Evolve, CacheSize: cached,
		},
		Strangers: &eventstore.Repository[mdm.Nobody, domain.Event]{
			Log: m, Codec: codec, Kind: stranger.Kind,
			Fold: func(n mdm.Nobody, e domain.Event, at time.Time) mdm.Nobody { return n.Evolve(e, at) },
		},
	}
	web := echo.New()
	door.Mount(web.Group("/mdm"))
	return m, mdmtest.Fleet{
		Mix: []mdmtest.Platform{mdmtest.IOS}, Server: mdmtest.ServerAt("http://mdm.example.com"), CA: ca,
		Proof: mdmtest.Proof{Way: mdmtest.ByHeader}, Wire: mdmtest.Roundabout{RoundTripper: mdmtest.Local{Handler: web}},
	}
}

// TestEnrolmentCostDoesNotGrowWithTheFleet counts what the log has to do for one enrolment when few devices are known,
// and when many are: with a cache of folded states, and with none.
func TestEnrolmentCostDoesNotGrowWithTheFleet(t *testing.T) {
	t.Parallel()
	const few, many = 9, 2_009
	for name, cached := range map[string]int{"cached": 32 << 20, "not cached": -1} {
		t.Run(name, func(t *testing.T) {
			m, fleet := metered(t, cached)
			fleet.Size = many + 1
			devices, err := fleet.Make()
			if err != nil {
				t.Fatal(err)
			}
			enrolAll(t, devices[:few])
			early := m.costOf(t, devices[few])
			enrolAll(t, devices[few+1:many])
			late := m.costOf(t, devices[many])
			if early != late {
				t.Errorf("device %d cost %+v, device %d cost %+v", few+1, early, many+1, late)
			}
			if early.Appends != 3 || early.Events != 4 || early.Others != 0 { // the certificate's, the device's, its token
				t.Errorf("an enrolment cost %+v", early)
			}
			t.Logf("%+v", late)
		})
	}
}

func (m *meter) costOf(t *testing.T, d *mdmtest.Device) bill {
	t.Helper()
	before := m.bill()
	if err := d.Enrol(t.Context()); err != nil {
		t.Fatal(err)
	}
	return m.bill().less(before)
}

func enrolAll(t *testing.T, devices []*mdmtest.Device) {
	t.Helper()
	var g errgroup.Group
	g.SetLimit(32)
	for _, d := range devices {
		g.Go(func() error { return d.Enrol(t.Context()) })
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
}
