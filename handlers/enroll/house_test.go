package enroll_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/smallstep/pkcs7"
	"howett.net/plist"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/catalog"
	"github.com/rollcall-mdm/rollcall/domain/challenge"
	"github.com/rollcall-mdm/rollcall/domain/enrollment"
	"github.com/rollcall-mdm/rollcall/domain/operator"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/embedded"
	"github.com/rollcall-mdm/rollcall/eventstore/seal"
	"github.com/rollcall-mdm/rollcall/handlers"
	"github.com/rollcall-mdm/rollcall/handlers/cms"
	"github.com/rollcall-mdm/rollcall/handlers/enroll"
	"github.com/rollcall-mdm/rollcall/handlers/enroll/oidctest"
)

var (
	noon  = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	topic = "com.apple.mgmt.External.1"
)

// A pair is a certificate and its key.
type pair struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// keys are those of all certificates, by name: it takes long to make one.
var keys = map[string]crypto.Signer{}

func keyOf(t testing.TB, name string, ca bool) crypto.Signer {
	t.Helper()
	if keys[name] != nil {
		return keys[name]
	}
	var key crypto.Signer
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if !ca {
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		t.Fatal(err)
	}
	keys[name] = key
	return key
}

// issue makes a certificate, which by signs; it signs itself if by is nil. Those of a chain have expired long ago, as those
// that Apple's devices are built with have.
func issue(t testing.TB, name string, ca bool, by *pair) pair {
	t.Helper()
	key := keyOf(t, name, ca)
	about := &x509.Certificate{
		SerialNumber: big.NewInt(int64(len(name))), Subject: pkix.Name{CommonName: name}, NotBefore: noon.AddDate(-20, 0, 0), NotAfter: noon.AddDate(-10, 0, 0),
		IsCA: ca, BasicConstraintsValid: ca,
	}
	issuer := pair{about, key}
	if by != nil {
		issuer = *by
	} else if !ca {
		about.NotAfter = noon.AddDate(10, 0, 0)
	}
	der, err := x509.CreateCertificate(rand.Reader, about, issuer.cert, key.Public(), issuer.key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return pair{c, key}
}

// A house is a door with a log behind it.
type house struct {
	t      *testing.T
	web    *echo.Echo
	door   *enroll.Door
	now    time.Time
	whose  map[string]enroll.Whose // by the certificate's fingerprint
	role   operator.Role
	apple  pair // its root
	device pair // what a device is built with
	chain  []*x509.Certificate
	topic  string
	output bytes.Buffer
	given  *eventstore.Repository[challenge.Challenge, domain.Event]
	log    eventstore.Log
	codec  *seal.Codec[domain.Event]
	issuer *oidctest.Issuer // the organisation's sign-in, if there is one
}

func build(t *testing.T, more ...func(*house)) *house {
	t.Helper()
	log, err := embedded.Open(t.Context(), filepath.Join(t.TempDir(), "log.db"), embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	h := &house{t: t, web: echo.New(), now: noon, whose: map[string]enroll.Whose{}, role: operator.Operator, topic: topic}
	codec := &seal.Codec[domain.Event]{Types: catalog.Events(), Keys: &seal.MemoryKeyring{}}
	invitations := &eventstore.Repository[enrollment.Invitation, domain.Event]{
		Log: log, Codec: codec, Kind: enrollment.Kind, Fold: enrollment.Invitation.Evolve, Now: h.clock,
	}
	h.given = &eventstore.Repository[challenge.Challenge, domain.Event]{Log: log, Codec: codec, Kind: challenge.Kind, Fold: challenge.Challenge.Evolve, Now: h.clock}
	h.log, h.codec = log, codec
	signer := issue(t, "Rollcall", false, nil)
	const url = "https://mdm.example.com"
	h.door = &enroll.Door{
		Enrolments: &handlers.Enrolments{
			Invitations: invitations, Challenges: &handlers.Challenges{Key: [32]byte{1}, Invitations: invitations, Given: h.given, Now: h.clock},
			Topic: func(context.Context) (string, error) {
				if h.topic == "" {
					return "", domain.Refusef(domain.Conflict, "there is no push certificate")
				}
				return h.topic, nil
			},
			URL: url, Organization: "Example",
		},
		Invitations: invitations, Pseudonyms: seal.NewPseudonyms([32]byte{7}), Signer: func() (*cms.Signer, error) {
			return &cms.Signer{Chain: []*x509.Certificate{signer.cert}, Key: signer.key}, nil
		},
		Issued: func(_ context.Context, c *x509.Certificate) (enroll.Whose, bool, error) {
			whose, ours := h.whose[handlers.Fingerprint(c)]
			return whose, ours, nil
		},
		Links: &enroll.Links{URL: url, Key: [32]byte{2}}, Operators: h.introduce, Now: h.clock, Log: slog.New(slog.NewTextHandler(&h.output, nil)),
	}
	h.web.HTTPErrorHandler = handlers.ErrorHandler(h.door.Log)
	for _, change := range more {
		change(h)
	}
	h.door.Mount(h.web)
	h.apple = issue(t, "Apple Root CA", true, nil)
	middle := issue(t, "Apple iPhone Device CA", true, &h.apple)
	h.device, h.chain = issue(t, "device", false, &middle), []*x509.Certificate{middle.cert}
	h.invite(enrollment.Default, enrollment.Terms{Name: "Default"})
	return h
}

func (h *house) clock() time.Time { return h.now }

func (h *house) introduce(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if h.role == "" {
			return echo.ErrUnauthorized
		}
		c.SetRequest(c.Request().WithContext(handlers.WithCaller(c.Request().Context(), handlers.Caller{ID: "t1", Role: h.role})))
		return next(c)
	}
}

func (h *house) invite(id string, terms enrollment.Terms) {
	h.t.Helper()
	_, _, err := (&handlers.Invitations{Invitations: h.door.Invitations}).Invite(h.t.Context(), handlers.Caller{Role: operator.Administrator}, id, terms)
	if err != nil {
		h.t.Fatal(err)
	}
}

// admit records that an invitation let a key in.
func (h *house) admit(id string, a enrollment.Admitted) {
	h.t.Helper()
	_, err := h.door.Invitations.Update(h.t.Context(), id, eventstore.Meta{}, func(i enrollment.Invitation, at time.Time) ([]domain.Event, error) {
		return i.Admit(a, at)
	})
	if err != nil {
		h.t.Fatal(err)
	}
}

// ask sends a request and returns the answer.
func (h *house) ask(method, path string, body []byte, headers ...string) *httptest.ResponseRecorder {
	req := httptest.NewRequestWithContext(h.t.Context(), method, path, bytes.NewReader(body))
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	rec := httptest.NewRecorder()
	h.web.ServeHTTP(rec, req)
	return rec
}

// link is the path of an invitation's link.
func (h *house) link(id string) string {
	return strings.TrimPrefix(h.door.Links.Link(id), "https://mdm.example.com")
}

// said is what a device tells of itself.
type said map[string]any

func (s said) with(key string, value any) said {
	all := said{key: value}
	for k, v := range s {
		if k != key {
			all[k] = v
		}
	}
	return all
}

var phone = said{"UDID": "U1", "SERIAL": "C02XYZ", "PRODUCT": "iPhone15,2", "VERSION": "22B91", "OS_VERSION": "18.1"}

// sign signs what a device says, with a digest.
func (h *house) sign(s said, by pair, digest asn1.ObjectIdentifier, chain ...*x509.Certificate) []byte {
	h.t.Helper()
	body, err := plist.Marshal(map[string]any(s), plist.XMLFormat)
	if err != nil {
		h.t.Fatal(err)
	}
	message, err := pkcs7.NewSignedData(body)
	if err != nil {
		h.t.Fatal(err)
	}
	message.SetDigestAlgorithm(digest)
	if err := message.AddSigner(by.cert, by.key, pkcs7.SignerInfoConfig{}); err != nil {
		h.t.Fatal(err)
	}
	for _, c := range chain {
		message.AddCertificate(c)
	}
	der, err := message.Finish()
	if err != nil {
		h.t.Fatal(err)
	}
	return der
}

// told signs with what the device is built with, as most do.
func (h *house) told(s said) []byte {
	return h.sign(s, h.device, pkcs7.OIDDigestAlgorithmSHA256, h.chain...)
}

// profileOf reads a profile, signed or not, which an answer must be.
func (h *house) profileOf(rec *httptest.ResponseRecorder) map[string]any {
	h.t.Helper()
	if rec.Code != http.StatusOK || rec.Header().Get("Content-Type") != "application/x-apple-aspen-config" {
		h.t.Fatalf("the answer is %d %s: %s", rec.Code, rec.Header().Get("Content-Type"), rec.Body)
	}
	body := rec.Body.Bytes()
	if cms.Signed(body) {
		content, _, err := cms.Content(body)
		if err != nil {
			h.t.Fatal(err)
		}
		body = content
	}
	var p map[string]any
	if _, err := plist.Unmarshal(body, &p); err != nil {
		h.t.Fatal(err)
	}
	return p
}

// deciphered returns a profile that is enciphered for an identity as its holder reads it.
func (h *house) deciphered(p map[string]any, by pair) map[string]any {
	h.t.Helper()
	sealed, _ := p["EncryptedPayloadContent"].([]byte)
	if p["PayloadContent"] != nil || sealed == nil {
		h.t.Fatalf("the profile is not enciphered: %v", p)
	}
	text, err := cms.Open(sealed, cms.Recipient{Certificate: by.cert, Key: by.key})
	if err != nil {
		h.t.Fatal(err)
	}
	var content []any
	if _, err := plist.Unmarshal(text, &content); err != nil {
		h.t.Fatal(err)
	}
	p["PayloadContent"] = content
	return p
}

// payload returns the keys of a profile's only payload of a type.
func (h *house) payload(p map[string]any, payloadType string) map[string]any {
	h.t.Helper()
	var found []map[string]any
	for _, one := range p["PayloadContent"].([]any) {
		if keys := one.(map[string]any); keys["PayloadType"] == payloadType {
			found = append(found, keys)
		}
	}
	if len(found) != 1 {
		h.t.Fatalf("%d payloads of type %s, want one", len(found), payloadType)
	}
	return found[0]
}

// grant is what the challenge in a profile is worth.
func (h *house) grant(p map[string]any) handlers.Grant {
	h.t.Helper()
	challenge, _ := h.payload(p, "com.apple.security.scep")["PayloadContent"].(map[string]any)["Challenge"].(string)
	g, err := h.door.Enrolments.Challenges.Check(h.t.Context(), challenge, handlers.Asked{})
	if err != nil {
		h.t.Fatal(err)
	}
	return g
}
