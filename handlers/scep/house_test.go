package scep_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	library "github.com/smallstep/scep"
	"github.com/smallstep/scep/x509util"

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
	"github.com/rollcall-mdm/rollcall/handlers/scep"
)

var noon = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

var ada = handlers.Caller{ID: "ada", Name: "Ada", Role: operator.Administrator}

// A house is a SCEP door with a real log behind it, and a clock that stands still until it is told.
type house struct {
	t          *testing.T
	log        eventstore.Log
	authority  *handlers.Authority
	challenges *handlers.Challenges
	door       *scep.Door
	web        *httptest.Server
	root       handlers.Root
	decrypted  atomic.Int64 // how often the root's key opened something
	now        atomic.Int64
	keys       int // that were used

	mu       sync.Mutex
	outcomes []string
}

func (h *house) clock() time.Time { return time.UnixMicro(h.now.Load()).UTC() }

// A counting key counts what it opens.
type counting struct {
	*rsa.PrivateKey
	count *atomic.Int64
}

func (c counting) Decrypt(r io.Reader, message []byte, opts crypto.DecrypterOpts) ([]byte, error) {
	c.count.Add(1)
	return c.PrivateKey.Decrypt(r, message, opts)
}

func repository[S any](h *house, log eventstore.Log, kind string, fold func(S, domain.Event, time.Time) S) *eventstore.Repository[S, domain.Event] {
	codec := &seal.Codec[domain.Event]{Types: catalog.Events(), Keys: &seal.MemoryKeyring{}}
	return &eventstore.Repository[S, domain.Event]{Log: log, Codec: codec, Kind: kind, Fold: fold, Now: h.clock}
}

// build opens a house with one root and the default invitation. change may change its door before it opens.
func build(t *testing.T, change func(*house)) *house {
	t.Helper()
	log, err := embedded.Open(t.Context(), filepath.Join(t.TempDir(), "log.db"), embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	h := &house{t: t, log: log}
	h.now.Store(noon.UnixMicro())
	h.furnish(log, change)
	h.roll()
	if err := (&handlers.Invitations{Invitations: h.authority.Invitations}).OpenDefault(t.Context()); err != nil {
		t.Fatal(err)
	}
	return h
}

// furnish opens the door over a log.
func (h *house) furnish(log eventstore.Log, change func(*house)) {
	h.authority = &handlers.Authority{
		Log: log, CRL: "http://crl.example.com/crl", Now: h.clock,
		Streams: repository(h, log, authority.Kind, authority.Authority.Evolve), Issuances: repository(h, log, issuance.Kind, issuance.Issuance.Evolve),
		Certificates: repository(h, log, certificate.Kind, certificate.Certificate.Evolve), Challenges: repository(h, log, challenge.Kind, challenge.Challenge.Evolve),
		Invitations: repository(h, log, enrollment.Kind, enrollment.Invitation.Evolve),
	}
	h.challenges = &handlers.Challenges{Key: [32]byte{1}, Invitations: h.authority.Invitations, Now: h.clock}
	h.door = &scep.Door{
		Authority: h.authority, Challenges: h.challenges, Log: slog.New(slog.DiscardHandler),
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
	e := echo.New()
	e.HTTPErrorHandler = handlers.ErrorHandler(slog.New(slog.DiscardHandler))
	h.door.Mount(e)
	h.web = httptest.NewServer(e)
	h.t.Cleanup(h.web.Close)
}

// roll has another root issue from now on.
func (h *house) roll() {
	h.t.Helper()
	key := h.key()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(h.clock().Unix()), Subject: pkix.Name{CommonName: fmt.Sprintf("Root of %d", h.clock().Unix())}, NotBefore: h.clock().Add(-time.Hour), NotAfter: h.clock().AddDate(10, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		h.t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		h.t.Fatal(err)
	}
	h.root = handlers.Root{Certificate: c, Key: counting{key, &h.decrypted}}
	if _, err := h.authority.Install(h.t.Context(), ada, h.root, authority.Made); err != nil {
		h.t.Fatal(err)
	}
}

// pool holds keys that all houses share: to make one takes long. Within a house none is used twice.
var pool struct {
	sync.Mutex
	keys []*rsa.PrivateKey
}

// key returns an RSA key that this house has not seen.
func (h *house) key() *rsa.PrivateKey {
	h.t.Helper()
	pool.Lock()
	defer pool.Unlock()
	if h.keys == len(pool.keys) {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			h.t.Fatal(err)
		}
		pool.keys = append(pool.keys, key)
	}
	h.keys++
	return pool.keys[h.keys-1]
}

// pass makes a challenge.
func (h *house) pass(p handlers.Pass) string {
	h.t.Helper()
	if p.Road == "" {
		p.Road = enrollment.Profile
	}
	text, err := h.challenges.New(h.t.Context(), p)
	if err != nil {
		h.t.Fatal(err)
	}
	return text
}

// A client is one that asks for a certificate, as the library does it.
type client struct {
	h      *house
	key    *rsa.PrivateKey
	signer *x509.Certificate // its own, self-signed at first
	kind   library.MessageType
	name   string
	roots  []*x509.Certificate
}

func (h *house) client() *client {
	h.t.Helper()
	c := &client{h: h, key: h.key(), kind: library.PKCSReq, name: "a device", roots: []*x509.Certificate{h.root.Certificate}}
	c.signer = selfSigned(h.t, c.key, h.clock())
	return c
}

func selfSigned(t testing.TB, key crypto.Signer, now time.Time) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "SCEP SIGNER"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// message makes a message with a request in it.
func (c *client) message(challenge string) *library.PKIMessage {
	c.h.t.Helper()
	der, err := x509util.CreateCertificateRequest(rand.Reader, &x509util.CertificateRequest{
		CertificateRequest: x509.CertificateRequest{Subject: pkix.Name{CommonName: c.name}}, ChallengePassword: challenge,
	}, c.key)
	if err != nil {
		c.h.t.Fatal(err)
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		c.h.t.Fatal(err)
	}
	m, err := library.NewCSRRequest(csr, &library.PKIMessage{MessageType: c.kind, Recipients: c.roots, SignerKey: c.key, SignerCert: c.signer})
	if err != nil {
		c.h.t.Fatal(err)
	}
	return m
}

// ask asks for a certificate. refused is empty if one came.
func (c *client) ask(challenge string) (*x509.Certificate, library.FailInfo) {
	c.h.t.Helper()
	return c.send(c.message(challenge).Raw)
}

func (c *client) send(message []byte) (*x509.Certificate, library.FailInfo) {
	c.h.t.Helper()
	status, kind, body := c.h.post(message)
	if status != http.StatusOK || kind != "application/x-pki-message" {
		c.h.t.Fatalf("the answer is %d %s: %s", status, kind, body)
	}
	return c.read(body)
}

// read reads an answer.
func (c *client) read(body []byte) (*x509.Certificate, library.FailInfo) {
	c.h.t.Helper()
	answer, err := library.ParsePKIMessage(body, library.WithCACerts(c.roots))
	if err != nil {
		c.h.t.Fatal(err)
	}
	if answer.PKIStatus == library.FAILURE {
		return nil, answer.FailInfo
	}
	if err := answer.DecryptPKIEnvelope(c.signer, c.key); err != nil {
		c.h.t.Fatal(err)
	}
	return answer.Certificate, ""
}

func (h *house) post(message []byte) (status int, kind string, body []byte) {
	h.t.Helper()
	resp, err := http.Post(h.web.URL+"/scep?operation=PKIOperation", "application/x-pki-message", bytes.NewReader(message))
	return h.got(resp, err)
}

func (h *house) get(query url.Values) (status int, kind string, body []byte) {
	h.t.Helper()
	resp, err := http.Get(h.web.URL + "/scep?" + query.Encode())
	return h.got(resp, err)
}

func (h *house) got(resp *http.Response, err error) (status int, kind string, body []byte) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return resp.StatusCode, resp.Header.Get("Content-Type"), body
}

// issued counts the certificates that the log knows.
func (h *house) issued() (n int) {
	h.t.Helper()
	for env, err := range h.log.ReadAll(context.Background(), 0) {
		if err != nil {
			h.t.Fatal(err)
		}
		if env.Type == (certificate.Issued{}).EventType() {
			n++
		}
	}
	return n
}
