package mdmtest_test

import (
	"crypto/x509"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

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

// A house is the real devices' door on a real log.
type house struct {
	t    *testing.T
	door *mdm.Door
	wire mdmtest.Wire
	ca   *mdmtest.CA
}

func newHouse(t *testing.T, methods ...string) *house {
	t.Helper()
	log, err := embedded.Open(t.Context(), filepath.Join(t.TempDir(), "log.db"), embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	ca, err := mdmtest.NewCA("Device CA")
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(ca.Certificate)
	codec := &seal.Codec[domain.Event]{Types: catalog.Events(), Keys: &seal.MemoryKeyring{}}
	door := &mdm.Door{
		Pseudonyms: seal.NewPseudonyms([32]byte{1}),
		Identity: &mdm.Identity{
			Methods: methods, Authorities: pool, TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		},
		Devices: &eventstore.Repository[device.Device, domain.Event]{
			Log: log, Codec: codec, Kind: device.Kind, Fold: device.Device.Evolve, Size: device.Size,
		},
		Certificates: &eventstore.Repository[certificate.Certificate, domain.Event]{
			Log: log, Codec: codec, Kind: certificate.Kind, Fold: certificate.Certificate.Evolve,
		},
		Strangers: &eventstore.Repository[mdm.Nobody, domain.Event]{
			Log: log, Codec: codec, Kind: stranger.Kind,
			Fold: func(n mdm.Nobody, e domain.Event, at time.Time) mdm.Nobody { return n.Evolve(e, at) },
		},
	}
	web := echo.New()
	door.Mount(web.Group("/mdm"))
	return &house{t, door, mdmtest.Roundabout{RoundTripper: mdmtest.Local{Handler: web}}, ca}
}

// order queues a command for a channel and returns its UUID.
func (h *house) order(d *mdmtest.Device, u *mdmtest.User, q mdmtest.Question) string {
	h.t.Helper()
	_, user, _ := strings.Cut(d.ChannelID(u), ":")
	channel := device.ChannelID("")
	if u != nil {
		channel = device.ChannelID(h.door.Pseudonyms.Channel(d.ID(), user))
	}
	uuid := mdmtest.NewUUID()
	o := device.Order{UUID: uuid, RequestType: q.RequestType, Body: mdmtest.RawCommand(q, uuid)}
	_, err := h.door.Devices.Update(h.t.Context(), h.door.Pseudonyms.Device(d.ID()), eventstore.Meta{},
		func(dev device.Device, at time.Time) ([]domain.Event, error) { return dev.Order(channel, o, true, at) })
	if err != nil {
		h.t.Fatal(err)
	}
	return uuid
}

// TestDevicesAtTheRealDoor plays a fleet, with users, NotNow and errors, to Rollcall itself in every way of identity.
func TestDevicesAtTheRealDoor(t *testing.T) {
	for _, way := range []string{"header:X-Ssl-Client-Cert", "rfc9440:Client-Cert", "signature", "signature-sha1"} {
		t.Run(way, func(t *testing.T) {
			proof, err := mdmtest.ParseProof(way)
			if err != nil {
				t.Fatal(err)
			}
			h := newHouse(t, "header:X-Ssl-Client-Cert", "header:Client-Cert", "signature")
			h.ca.RSA = way == "signature-sha1"
			devices, err := mdmtest.Fleet{
				Size: 8, Seed: 21, Users: true, Server: mdmtest.ServerAt("http://mdm.example.com"), CA: h.ca, Proof: proof, Wire: h.wire,
				Habits: mdmtest.Habits{NotNow: 0.2, Error: 0.1},
			}.Make()
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range devices {
				h.live(d)
			}
		})
	}
}

// live lets the device enrol, carry out ten commands on each of its channels, and leave.
func (h *house) live(d *mdmtest.Device) {
	h.t.Helper()
	enrol(h.t, d)
	for _, u := range append([]*mdmtest.User{nil}, d.Users...) {
		var queued []string
		for i := range 10 {
			question := mdmtest.Inventory[i%len(mdmtest.Inventory)]
			if u != nil {
				question = mdmtest.Question{RequestType: "ProfileList"} // users have little else
			}
			queued = append(queued, h.order(d, u, question))
		}
		var delivered []mdmtest.Delivery
		for range 50 {
			done, err := d.SessionOf(h.t.Context(), u)
			if err != nil {
				h.t.Fatalf("%s: %v", d.ChannelID(u), err)
			}
			delivered = append(delivered, done...)
			if len(done) == 0 {
				break
			}
		}
		if err := mdmtest.Check(queued, delivered).Err(); err != nil {
			h.t.Errorf("%s: %v", d.ChannelID(u), err)
		}
	}
	if err := d.CheckOut(h.t.Context()); err != nil {
		h.t.Error(err)
	}
}
