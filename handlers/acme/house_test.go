package acme_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/authority"
	"github.com/rollcall-mdm/rollcall/domain/catalog"
	"github.com/rollcall-mdm/rollcall/domain/certificate"
	"github.com/rollcall-mdm/rollcall/domain/challenge"
	"github.com/rollcall-mdm/rollcall/domain/enrollment"
	"github.com/rollcall-mdm/rollcall/domain/issuance"
	"github.com/rollcall-mdm/rollcall/domain/operator"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/embedded"
	"github.com/rollcall-mdm/rollcall/eventstore/seal"
	"github.com/rollcall-mdm/rollcall/handlers"
	"github.com/rollcall-mdm/rollcall/handlers/acme"
	"github.com/rollcall-mdm/rollcall/handlers/mdm/mdmtest"
)

var ada = handlers.Caller{ID: "ada", Name: "Ada", Role: operator.Administrator}

// A house is an ACME door with a real log behind it, a clock that stands still until it is told, and a make-believe Apple.
type house struct {
	t          *testing.T
	log        eventstore.Log
	authority  *handlers.Authority
	challenges *handlers.Challenges
	door       *acme.Door
	web        *httptest.Server
	root       handlers.Root
	apple      *mdmtest.Hardware
	now        atomic.Int64
	serves     atomic.Pointer[echo.Echo] // behind web

	mu       sync.Mutex
	outcomes []string
}

func (h *house) clock() time.Time { return time.UnixMicro(h.now.Load()).UTC() }

// pseudonyms are transparent ones.
type pseudonyms struct{}

func (pseudonyms) Device(id string) string { return "d-" + id }

func stamp(words ...string) string { return "mark of " + strings.Join(words, "/") }

func repository[S any](h *house, kind string, fold func(S, domain.Event, time.Time) S) *eventstore.Repository[S, domain.Event] {
	codec := &seal.Codec[domain.Event]{Types: catalog.Events(), Keys: &seal.MemoryKeyring{}}
	return &eventstore.Repository[S, domain.Event]{Log: h.log, Codec: codec, Kind: kind, Fold: fold, Now: h.clock}
}

// build opens a house that believes its make-believe Apple. change may change its door before it opens.
func build(t *testing.T, change func(*house)) *house {
	t.Helper()
	log, err := embedded.Open(t.Context(), filepath.Join(t.TempDir(), "log.db"), embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	h := &house{t: t, log: log}
	h.now.Store(time.Now().UnixMicro()) // make-believe devices look at the real clock
	if h.apple, err = mdmtest.NewHardware(); err != nil {
		t.Fatal(err)
	}
	h.furnish(change)
	h.issue()
	if err := (&handlers.Invitations{Invitations: h.authority.Invitations}).OpenDefault(t.Context()); err != nil {
		t.Fatal(err)
	}
	return h
}

// furnish opens the door, anew if it was open before: as another server of the same house does, or the same one after a restart.
func (h *house) furnish(change func(*house)) {
	h.t.Helper()
	h.authority = &handlers.Authority{
		Log: h.log, Now: h.clock,
		Streams: repository(h, authority.Kind, authority.Authority.Evolve), Issuances: repository(h, issuance.Kind, issuance.Issuance.Evolve),
		Certificates: repository(h, certificate.Kind, certificate.Certificate.Evolve), Challenges: repository(h, challenge.Kind, challenge.Challenge.Evolve),
		Invitations: repository(h, enrollment.Kind, enrollment.Invitation.Evolve),
	}
	h.challenges = &handlers.Challenges{Key: [32]byte{1}, Invitations: h.authority.Invitations, Now: h.clock}
	h.door = &acme.Door{
		Authority: h.authority, Challenges: h.challenges, Attestations: &handlers.Attestations{Roots: []*x509.Certificate{h.apple.Root.Certificate}, Stamp: stamp},
		Key: [32]byte{2}, Pseudonyms: pseudonyms{}, Now: h.clock, Log: slog.New(slog.DiscardHandler),
		Observe: func(operation, outcome string) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.outcomes = append(h.outcomes, operation+" "+outcome)
		},
	}
	if change != nil {
		change(h)
	}
	if err := h.authority.Open(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
	if h.root.Certificate != nil {
		h.authority.Keep(h.root)
	}
	e := echo.New()
	e.HTTPErrorHandler = handlers.ErrorHandler(slog.New(slog.DiscardHandler))
	h.serves.Store(e)
	if h.web == nil {
		h.web = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.serves.Load().ServeHTTP(w, r) }))
		h.t.Cleanup(h.web.Close)
	}
	h.door.URL = h.web.URL
	h.door.Mount(e)
}

// issue has a root issue from now on.
func (h *house) issue() {
	h.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		h.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "Root"}, NotBefore: h.clock().Add(-time.Hour), NotAfter: h.clock().AddDate(10, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		h.t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		h.t.Fatal(err)
	}
	h.root = handlers.Root{Certificate: c, Key: key}
	if _, err := h.authority.Install(h.t.Context(), ada, h.root, authority.Made); err != nil {
		h.t.Fatal(err)
	}
}

// pass makes a challenge, as it stands in a profile.
func (h *house) pass(p handlers.Pass) string {
	h.t.Helper()
	if p.Road == "" {
		p.Road, p.Invitation = enrollment.Profile, enrollment.Default
	}
	text, err := h.challenges.New(h.t.Context(), p)
	if err != nil {
		h.t.Fatal(err)
	}
	return text
}

// client makes a client with an account.
func (h *house) client() *mdmtest.ACME {
	h.t.Helper()
	c, err := mdmtest.NewACME(h.t.Context(), h.web.URL+acme.DirectoryPath)
	if err == nil {
		err = c.Register(h.t.Context())
	}
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// A device orders, attests and certifies as one does that is as it should be; what is changed in it makes it one that is not.
type device struct {
	*mdmtest.Device
	h      *house
	client *mdmtest.ACME
	key    crypto.Signer

	says     mdmtest.Statements // instead of what is true of it
	apple    *mdmtest.Hardware  // that attests
	attested crypto.PublicKey   // instead of its key's
	fresh    []byte             // instead of what the order asks for
	silent   bool               // it attests nothing
}

func (h *house) device(seed uint64, platform mdmtest.Platform) *device {
	h.t.Helper()
	key := newKey(h.t)
	return &device{Device: mdmtest.New(seed, platform), h: h, client: h.client(), key: key, apple: h.apple, attested: key.Public()}
}

// object returns what the device answers an order with.
func (d *device) object(o mdmtest.ACMEOrder) string {
	d.h.t.Helper()
	says, fresh := d.says, d.fresh
	if says == nil {
		says = mdmtest.About(d.Device)
	}
	if fresh == nil {
		fresh = o.Challenge.Freshness()
	}
	var chain [][]byte
	if !d.silent {
		var err error
		says[[2]int{11, 1}] = string(fresh)
		if chain, err = d.apple.Say(says, d.attested); err != nil {
			d.h.t.Fatal(err)
		}
	}
	object, err := mdmtest.AttestationObject(chain)
	if err != nil {
		d.h.t.Fatal(err)
	}
	return object
}

// comes gets the device its certificate, or the problem that it meets.
func (d *device) comes(identifier string) (*x509.Certificate, error) {
	d.h.t.Helper()
	ctx := d.h.t.Context()
	o, err := d.client.Order(ctx, identifier)
	if err != nil {
		return nil, err
	}
	if err := d.client.Answer(ctx, o, d.object(o)); err != nil {
		return nil, err
	}
	chain, err := d.client.Certify(ctx, o, d.key)
	if err != nil {
		return nil, err
	}
	return chain[0], nil
}

// want fails unless err is the problem.
func want(t *testing.T, err error, problem string) {
	t.Helper()
	p, is := errors.AsType[*mdmtest.ACMEProblem](err)
	if problem == "" && err == nil {
		return
	}
	if !is || p.Type != "urn:ietf:params:acme:error:"+problem {
		t.Errorf("got %v, want the problem %q", err, problem)
	}
}

// events returns the events of a type, in order.
func events[E domain.Event](h *house) (list []E) {
	h.t.Helper()
	codec := &seal.Codec[domain.Event]{Types: catalog.Events(), Keys: &seal.MemoryKeyring{}}
	var zero E
	for env, err := range h.log.ReadAll(context.Background(), 0) {
		if err != nil {
			h.t.Fatal(err)
		}
		if env.Type != zero.EventType() {
			continue
		}
		e, err := codec.Decode(env)
		if err != nil {
			h.t.Fatal(err)
		}
		list = append(list, e.(E))
	}
	return list
}

// csr makes a request for a certificate.
func csr(t *testing.T, key crypto.Signer) []byte {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "device"}}, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}
