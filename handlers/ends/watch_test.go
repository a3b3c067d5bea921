package ends

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"log/slog"
	"math/big"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/authority"
	"github.com/rollcall-mdm/rollcall/domain/catalog"
	"github.com/rollcall-mdm/rollcall/domain/certificate"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/domain/operator"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/embedded"
	"github.com/rollcall-mdm/rollcall/eventstore/seal"
	"github.com/rollcall-mdm/rollcall/handlers"
	"github.com/rollcall-mdm/rollcall/projections"
)

var start = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// A yard is a log with views, a watch that looks when it is told to, and a clock that the test moves.
type yard struct {
	*testing.T
	log     eventstore.Log
	views   *projections.Views
	devices *eventstore.Repository[device.Device, domain.Event]
	certs   *eventstore.Repository[certificate.Certificate, domain.Event]
	watch   *Watch
	now     time.Time
	printed bytes.Buffer
}

func newYard(t *testing.T) *yard {
	y := &yard{T: t, now: start}
	dir := t.TempDir()
	log, err := embedded.Open(t.Context(), filepath.Join(dir, "log.db"), embedded.Options{})
	y.check(err)
	y.log = log
	y.views, err = projections.Open(t.Context(), filepath.Join(dir, "views.db"), projections.Options{})
	y.check(err)
	codec := &seal.Codec[domain.Event]{Types: catalog.Events(), Keys: new(seal.MemoryKeyring)}
	y.devices = kept(y, codec, device.Kind, device.Device.Evolve)
	y.certs = kept(y, codec, certificate.Kind, certificate.Certificate.Evolve)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- y.views.Run(ctx, log, codec.Views()) }()
	t.Cleanup(func() {
		stop()
		if err := errors.Join(<-ended, y.views.Close(), log.Close()); err != nil {
			t.Error(err)
		}
	})
	roots := &handlers.Authority{Log: log, Streams: kept(y, codec, authority.Kind, authority.Authority.Evolve), Now: y.clock}
	y.check(roots.Open(t.Context()))
	y.watch = &Watch{Views: y.views, Authority: roots, Certificates: y.certs, Now: y.clock, Logger: slog.New(slog.NewTextHandler(&y.printed, nil))}
	return y
}

func kept[S any](y *yard, codec *seal.Codec[domain.Event], kind string, fold func(S, domain.Event, time.Time) S) *eventstore.Repository[S, domain.Event] {
	return &eventstore.Repository[S, domain.Event]{Log: y.log, Codec: codec, Kind: kind, Fold: fold, Now: y.clock}
}

func (y *yard) clock() time.Time { return y.now }

func (y *yard) check(err error) {
	y.Helper()
	if err != nil {
		y.Fatal(err)
	}
}

// look has the watch look once, and returns the events that it recorded.
func (y *yard) look() (told []domain.Event) {
	y.Helper()
	before := y.settle()
	y.check(y.watch.Look(y.Context()))
	codec := &seal.Codec[domain.Event]{Types: catalog.Events(), Keys: new(seal.MemoryKeyring)}
	for env, err := range y.log.ReadAll(y.Context(), before) {
		y.check(err)
		e, err := codec.Decode(env) // nothing that is told is sealed
		y.check(err)
		told = append(told, e)
	}
	return told
}

// settle waits until the views show all there is, and returns how far that is.
func (y *yard) settle() eventstore.Position {
	y.Helper()
	head, err := y.log.Head(y.Context())
	y.check(err)
	y.check(y.views.Wait(y.Context(), head))
	return head
}

// root has a root issue that is good from now on for so many days.
func (y *yard) root(days int) string {
	y.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	y.check(err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Root"}, NotBefore: y.now, NotAfter: y.now.AddDate(0, 0, days),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	y.check(err)
	c, err := x509.ParseCertificate(der)
	y.check(err)
	_, err = y.watch.Authority.Install(y.Context(), handlers.Caller{Role: operator.Administrator}, handlers.Root{Certificate: c, Key: key}, authority.Made)
	y.check(err)
	return handlers.Fingerprint(c)
}

// daily looks each day, from the first of so many days before an end to the third after it, and returns how many days were left
// each time that something was told.
func (y *yard) daily(before int, end time.Time, told func() bool) (days []int) {
	y.Helper()
	for left := before; left >= -3; left-- {
		y.now = end.AddDate(0, 0, -left)
		if told() {
			days = append(days, left)
		}
		if again := told(); again {
			y.Errorf("%d days before the end it is told twice", left)
		}
	}
	return days
}

var alarms = []int{60, 30, 14, 7, 1, 0}

func TestTheEndOfARootIsTold(t *testing.T) {
	y := newYard(t)
	old := y.root(3650)
	end := y.now.AddDate(0, 0, 3650)
	told := func() bool {
		events := y.look()
		for _, e := range events {
			if r, is := e.(authority.RootExpiring); !is || r.Fingerprint != old || !r.NotAfter.Equal(end) {
				t.Errorf("told is %+v", e)
			}
		}
		return len(events) == 1
	}
	if got := y.daily(400, end, told); !slices.Equal(got, append([]int{365}, alarms...)) {
		t.Errorf("told %v days before its end: want what it issues to be cut short first", got)
	}
	if n := strings.Count(y.printed.String(), "rollcall ca roll"); n != len(alarms)+1 {
		t.Errorf("the log has %d lines that say what to do", n)
	}
}

func TestTheEndOfARootThatIssuesNoLongerIsToldToo(t *testing.T) {
	y := newYard(t)
	old := y.root(3650)
	end := y.now.AddDate(0, 0, 3650)
	y.now = y.now.AddDate(0, 0, 1)
	y.root(7300)
	got := y.daily(400, end, func() bool { return len(y.look()) == 1 })
	if !slices.Equal(got, alarms) {
		t.Errorf("told %v days before its end", got)
	}
	if _, err := y.watch.Authority.Retire(t.Context(), handlers.Caller{Role: operator.Administrator}, old, "over"); err != nil {
		t.Error(err)
	}
}

func TestTheEndOfWhatIsInFilesIsTold(t *testing.T) {
	y := newYard(t)
	end := start.AddDate(1, 0, 0)
	y.watch.Files = func() []handlers.End {
		return []handlers.End{{Kind: handlers.EndsServer, Name: "CN=mdm.example.com", NotBefore: start, NotAfter: end}}
	}
	lines := 0
	told := func() bool {
		y.look()
		before := lines
		lines = strings.Count(y.printed.String(), "--tls-cert")
		return lines == before+1
	}
	if got := y.daily(100, end, told); !slices.Equal(got, alarms) {
		t.Errorf("told %v days before its end", got)
	}
	if strings.Count(y.printed.String(), "mdm.example.com") != len(alarms) {
		t.Errorf("the log does not say whose it is: %s", &y.printed)
	}
}

// enrols has a device come in with a certificate that is good for so many days, issued here or elsewhere.
func (y *yard) enrols(name, fingerprint string, days int, here bool) {
	y.Helper()
	end := y.now.AddDate(0, 0, days)
	decide := func(c certificate.Certificate, _ time.Time) ([]domain.Event, error) {
		bound, err := c.Bind(name)
		if !here || err != nil {
			return bound, err
		}
		issued, err := c.Issue(certificate.Issued{Serial: "1", NotBefore: y.now, NotAfter: end, PublicKey: "k", Session: "s"})
		return append(issued, bound...), err
	}
	_, err := y.certs.Update(y.Context(), fingerprint, eventstore.Meta{}, decide)
	y.check(err)
	c := device.Certificate{Fingerprint: fingerprint, Serial: "1", NotAfter: end}
	for _, decide := range []func(device.Device, time.Time) ([]domain.Event, error){
		func(d device.Device, at time.Time) ([]domain.Event, error) {
			return d.Authenticate(device.Authenticate{Identity: device.Identity{UDID: name}, Topic: "t", ProductName: "Mac14,2", OSVersion: "15.1", Certificate: c}, at)
		},
		func(d device.Device, at time.Time) ([]domain.Event, error) {
			return d.UpdateToken(device.TokenUpdate{Topic: "t", Token: []byte("t"), PushMagic: "m", Certificate: c}, at)
		},
	} {
		_, err := y.devices.Update(y.Context(), name, eventstore.Meta{}, decide)
		y.check(err)
	}
}

func TestARenewalThatDidNotEndInTimeIsToldOnce(t *testing.T) {
	y := newYard(t)
	y.enrols("d1", "ours", 360, true)
	y.enrols("d2", "theirs", 360, false)
	y.enrols("d3", "left", 360, true)
	_, err := y.devices.Update(t.Context(), "d3", eventstore.Meta{}, func(d device.Device, _ time.Time) ([]domain.Event, error) { return d.CheckOut() })
	y.check(err)
	end := y.now.AddDate(0, 0, 360)
	var got []string
	days := y.daily(100, end, func() bool {
		told := y.look()
		for _, e := range told {
			late, is := e.(certificate.RenewalOverdue)
			if !is || !late.NotAfter.Equal(end) {
				t.Fatalf("told is %+v", e)
			}
			got = append(got, late.Device)
		}
		return len(told) > 0
	})
	if !slices.Equal(days, []int{60, 30}) || !slices.Equal(got, []string{"d1", "d2"}) {
		t.Errorf("told %v days before the end, of %v", days, got)
	}
	y.settle()
	late := true
	list, err := y.views.Certificates(t.Context(), projections.CertificateFilter{Overdue: &late, AsOf: projections.Now}, projections.Page{First: 10})
	y.check(err)
	e, err := y.views.Endings(t.Context(), y.now)
	y.check(err)
	if len(list.Edges) != 2 || list.Edges[0].Node.OverdueAt.IsZero() || e.Late != 2 {
		t.Errorf("listed are %+v, counted %d", list.Nodes(), e.Late)
	}
	if n := strings.Count(y.printed.String(), "were not renewed in time"); n != 2 {
		t.Errorf("the log has %d lines of it", n)
	}
	y.enrols("d1", "next", 360, true) // it comes in again, and is no longer missed
	y.settle()
	if list, err = y.views.Certificates(t.Context(), projections.CertificateFilter{Overdue: &late, AsOf: projections.Now}, projections.Page{First: 10}); err != nil || len(list.Edges) != 1 {
		t.Errorf("afterwards listed are %+v (%v)", list.Nodes(), err)
	}
}
