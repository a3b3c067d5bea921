package renew

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/catalog"
	"github.com/rollcall-mdm/rollcall/domain/certificate"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/domain/profile"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/embedded"
	"github.com/rollcall-mdm/rollcall/eventstore/seal"
	"github.com/rollcall-mdm/rollcall/projections"
)

const topic = "com.apple.mgmt.External.1"

// A yard is a log with views, a worker that works when it is told to, and a clock that the test moves.
type yard struct {
	*testing.T
	log     eventstore.Log
	views   *projections.Views
	devices *eventstore.Repository[device.Device, domain.Event]
	certs   *eventstore.Repository[certificate.Certificate, domain.Event]
	worker  *Worker
	now     time.Time
	who     string // the device that speaks
	wishes  []Wish
	fails   error // what making a profile ends with
}

func newYard(t *testing.T) *yard {
	y := &yard{T: t, who: "d1", now: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)}
	clock := func() time.Time { return y.now }
	dir := t.TempDir()
	log, err := embedded.Open(t.Context(), filepath.Join(dir, "log.db"), embedded.Options{})
	y.check(err)
	y.log = log
	codec := &seal.Codec[domain.Event]{Types: catalog.Events(), Keys: new(seal.MemoryKeyring)}
	y.views, err = projections.Open(t.Context(), filepath.Join(dir, "views.db"), projections.Options{})
	y.check(err)
	y.devices = &eventstore.Repository[device.Device, domain.Event]{Log: log, Codec: codec, Kind: device.Kind, Fold: device.Device.Evolve, Now: clock}
	y.certs = &eventstore.Repository[certificate.Certificate, domain.Event]{Log: log, Codec: codec, Kind: certificate.Kind, Fold: certificate.Certificate.Evolve, Now: clock}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- y.views.Run(ctx, log, codec.Views()) }()
	t.Cleanup(func() {
		stop()
		if err := errors.Join(<-ended, y.views.Close(), log.Close()); err != nil {
			t.Error(err)
		}
	})
	y.worker = &Worker{Views: y.views, Devices: y.devices, Now: clock, Profile: func(_ context.Context, w Wish) ([]byte, error) {
		y.wishes = append(y.wishes, w)
		return []byte(`<?xml version="1.0" encoding="UTF-8"?><plist version="1.0"><dict><key>PayloadIdentifier</key><string>p</string><key>PayloadUUID</key><string>u</string><key>PayloadType</key><string>Configuration</string><key>PayloadContent</key><array><dict><key>PayloadType</key><string>com.apple.mdm</string><key>Topic</key><string>` + topic + `</string></dict></array></dict></plist>`), y.fails
	}}
	y.worker.prepare()
	return y
}

func (y *yard) check(err error) {
	y.Helper()
	if err != nil {
		y.Fatal(err)
	}
}

// issue records a certificate that is good for 300 days from now.
func (y *yard) issue(fingerprint string) device.Certificate { return y.issueOn(fingerprint, "profile") }

func (y *yard) issueOn(fingerprint, road string) device.Certificate {
	y.Helper()
	end := y.now.AddDate(0, 0, 300)
	_, err := y.certs.Update(y.Context(), fingerprint, eventstore.Meta{}, func(c certificate.Certificate, _ time.Time) ([]domain.Event, error) {
		return c.Issue(certificate.Issued{Serial: "1", NotBefore: y.now, NotAfter: end, PublicKey: "k", Session: "s", Road: road, Invitation: "default"})
	})
	y.check(err)
	return device.Certificate{Fingerprint: fingerprint, Serial: "1", NotAfter: end}
}

func (y *yard) does(decide func(device.Device, time.Time) ([]domain.Event, error)) {
	y.Helper()
	_, err := y.devices.Update(y.Context(), y.who, eventstore.Meta{}, decide)
	y.check(err)
}

// enrols has the device authenticate and give a token, with a certificate.
func (y *yard) enrols(c device.Certificate, renewal string) {
	y.Helper()
	y.does(func(d device.Device, at time.Time) ([]domain.Event, error) {
		return d.Authenticate(device.Authenticate{Identity: device.Identity{UDID: y.who}, Topic: topic, ProductName: "Mac14,2", OSVersion: "15.1", Certificate: c, Renewal: renewal, AccessRights: 8191}, at)
	})
	y.does(func(d device.Device, at time.Time) ([]domain.Event, error) {
		return d.UpdateToken(device.TokenUpdate{Topic: topic, Token: []byte("t"), PushMagic: "m", Certificate: c}, at)
	})
}

// round lets the worker look once, and returns the renewal that waits then.
func (y *yard) round() (waits device.Item, found bool) {
	y.Helper()
	head, err := y.log.Head(y.Context())
	y.check(err)
	y.check(y.views.Wait(y.Context(), head))
	y.check(y.worker.round(y.Context()))
	d, _, err := y.devices.Load(y.Context(), y.who)
	y.check(err)
	own, _ := d.Channel("")
	for _, item := range own.Queue {
		if item.Renews {
			return *item, true
		}
	}
	return device.Item{}, false
}

func (y *yard) says(status, uuid string) {
	y.Helper()
	y.does(func(d device.Device, at time.Time) ([]domain.Event, error) {
		return d.Connect(device.Report{Status: status, UUID: uuid, ErrorChain: json.RawMessage(`[]`)}, at)
	})
}

func TestACertificateIsRenewedInTimeAndThatIsProved(t *testing.T) {
	y := newYard(t)
	y.enrols(y.issue("old"), "")
	y.now = y.now.AddDate(0, 0, 199)
	if _, found := y.round(); found {
		t.Error("it is renewed before two thirds of its life are over")
	}
	y.now = y.now.AddDate(0, 0, 2)
	first, found := y.round()
	if !found || first.RequestType != "InstallProfile" || y.wishes[0] != (Wish{Device: "d1", Order: first.UUID, Road: "profile", Topic: topic, Rights: 8191, Lasts: 24 * time.Hour}) {
		t.Fatalf("%t %s %+v", found, first.RequestType, y.wishes)
	}
	if again, _ := y.round(); again.UUID != first.UUID || len(y.wishes) != 1 {
		t.Error("one that waits is ordered again")
	}
	y.says(device.Idle, "")
	y.says(device.Error, first.UUID)
	if _, found := y.round(); found {
		t.Error("what failed is tried again at once")
	}
	y.now = y.now.Add(25 * time.Hour)
	second, found := y.round()
	if !found || second.UUID == first.UUID {
		t.Fatal("what failed is not tried again")
	}
	y.says(device.Idle, "")
	y.enrols(y.issue("new"), second.UUID)
	y.says(device.Acknowledged, second.UUID)
	y.now = y.now.AddDate(0, 0, 2)
	if _, found := y.round(); found || len(y.wishes) != 2 {
		t.Error("a certificate that was followed is renewed again")
	}
	d, _, err := y.devices.Load(t.Context(), "d1")
	y.check(err)
	if d.Generation != 1 {
		t.Errorf("the renewal is told as enrolment %d", d.Generation)
	}
	old, _, err := y.views.Certificate(t.Context(), "old", projections.Now)
	y.check(err)
	next, _, err := y.views.Certificate(t.Context(), "new", projections.Now)
	y.check(err)
	if old.FollowedBy != "new" || old.Device != "" || next.Follows != "old" || next.Device != "d1" {
		t.Errorf("the old one %+v, the new one %+v", old, next)
	}
}

func TestRenewalsComeToAnEnd(t *testing.T) {
	y := newYard(t)
	y.enrols(y.issue("old"), "")
	y.now = y.now.AddDate(0, 0, 201)
	for range 10 {
		if item, found := y.round(); found {
			y.says(device.Idle, "")
			y.says(device.Error, item.UUID)
		}
		y.now = y.now.Add(25 * time.Hour)
	}
	if len(y.wishes) != 6 {
		t.Errorf("it was tried %d times", len(y.wishes))
	}
}

func TestWhoIsNotRenewed(t *testing.T) {
	y := newYard(t)
	y.enrols(y.issue("old"), "")
	y.now = y.now.AddDate(0, 0, 201)
	y.fails = errors.New("no push certificate")
	if _, found := y.round(); found || len(y.wishes) != 1 {
		t.Error("a profile that could not be made was ordered")
	}
	y.fails = nil
	y.does(func(d device.Device, at time.Time) ([]domain.Event, error) {
		return d.Order("", device.Order{UUID: "by-hand", RequestType: "InstallProfile", Body: []byte("<plist/>"), Renews: true}, false, at)
	})
	if _, _ = y.round(); len(y.wishes) != 1 {
		t.Error("a device that somebody renews by hand is renewed too")
	}
	y.does(func(d device.Device, _ time.Time) ([]domain.Event, error) { return d.CheckOut() })
	if _, _ = y.round(); len(y.wishes) != 1 {
		t.Error("a device that has left is renewed")
	}
}

// Devices that answer no more stay in the list, and their certificates end before all others.
func TestDevicesThatAreGoneKeepNobodyFromHisTurn(t *testing.T) {
	y := newYard(t)
	y.worker.page = 2
	for _, lost := range []string{"lost-1", "lost-2", "lost-3"} {
		y.who = lost
		y.enrols(y.issue(lost), "")
		y.now = y.now.Add(time.Hour)
	}
	y.who = "d1"
	y.enrols(y.issue("old"), "")
	y.now = y.now.AddDate(0, 0, 201)
	if _, found := y.round(); found || len(y.wishes) != 2 {
		t.Errorf("%d are ordered at once", len(y.wishes))
	}
	if _, found := y.round(); !found {
		t.Error("its turn never came")
	}
}

func TestACertificateThatHasEndedIsNotRenewed(t *testing.T) {
	y := newYard(t)
	y.enrols(y.issue("old"), "")
	y.now = y.now.AddDate(0, 0, 301)
	if _, found := y.round(); found {
		t.Error("a device that nobody believes is ordered to renew")
	}
}

// The profile that renews an account-driven enrolment names its mode and its account; without the account there is none.
func TestAccountDrivenEnrolmentsAreRenewedForTheirAccount(t *testing.T) {
	for _, tt := range []struct {
		name, road, account string
		own                 bool // a person's own device
		want                *Wish
	}{
		{"a person's own device", "account", "ada@example.com", true, &Wish{Mode: profile.BYOD, Account: "ada@example.com"}},
		{"the organisation's", "account", "ada@example.com", false, &Wish{Mode: profile.ADDE, Account: "ada@example.com", Rights: 8191}},
		{"of an account that nobody knows", "account", "", true, nil},
		{"of another road, though somebody signed in", "ade", "ada@example.com", false, &Wish{Rights: 8191}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			y := newYard(t)
			c := y.issueOn("old", tt.road)
			y.does(func(d device.Device, at time.Time) ([]domain.Event, error) {
				m := device.Authenticate{Identity: device.Identity{UDID: "U1"}, Topic: topic, ProductName: "iPhone15,2", OSVersion: "18.1", Certificate: c, AccessRights: 8191, Person: domain.Person{Account: tt.account}}
				if tt.own {
					m.Identity, m.AccessRights = device.Identity{EnrollmentID: "E1"}, 0
				}
				return d.Authenticate(m, at)
			})
			y.does(func(d device.Device, at time.Time) ([]domain.Event, error) {
				return d.UpdateToken(device.TokenUpdate{Topic: topic, Token: []byte("t"), PushMagic: "m", Certificate: c}, at)
			})
			y.now = y.now.AddDate(0, 0, 201)
			order, found := y.round()
			if tt.want == nil {
				if found || len(y.wishes) > 0 {
					t.Errorf("it is renewed with %+v", y.wishes)
				}
				return
			}
			want := *tt.want
			want.Device, want.Order, want.Road, want.Topic, want.Lasts = "d1", order.UUID, tt.road, topic, 24*time.Hour
			if !found || len(y.wishes) != 1 || y.wishes[0] != want {
				t.Errorf("it is renewed with %+v, want %+v", y.wishes, want)
			}
		})
	}
}
