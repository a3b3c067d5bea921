// Package scep is the door at which devices get their identities: the Simple Certificate Enrolment Protocol, RFC 8894.
//
// A device asks what we can do (GetCACaps) and whose certificates we are (GetCACert), and then sends a signed message with
// an encrypted request in it (PKIOperation). Two kinds of messages are taken: a first request (19), with a challenge
// that is good, and a renewal (17), signed with a certificate of ours that is good now. All others are refused before anything
// is decrypted. Of what a request wishes for only its key is taken. The certificate is in the log before it is sent.
//
// A refusal is an answer with HTTP status 200, as the protocol has it. What cannot be read gets 400; when the log is away,
// 503: the device comes again, and the same key then gets the same certificate.
package scep

import (
	"crypto/x509"
	"errors"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/smallstep/scep"
	"golang.org/x/time/rate"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/handlers"
)

// The types of answers. Clients tell by them what they have got.
const (
	oneType     = "application/x-x509-ca-cert"
	severalType = "application/x-x509-ca-ra-cert"
	messageType = "application/x-pki-message"
	listType    = "application/pkix-crl"
)

// A Door gives devices certificates. All fields are set before Mount; those from Legacy on are useful at zero.
type Door struct {
	Authority  *handlers.Authority
	Challenges *handlers.Challenges

	Legacy  bool                            // lets clients in that know only DES, Triple-DES or SHA-1
	Log     *slog.Logger                    // slog.Default() if nil
	Observe func(operation, outcome string) // told of every request; nobody if nil

	once   sync.Once
	places chan struct{} // messages that are being decrypted and signed
	told   *rate.Limiter
}

// Mount opens the door at /scep and, for revocation lists, at /crl.
func (d *Door) Mount(e *echo.Echo) {
	d.once.Do(d.init)
	for _, path := range []string{"/scep", "/scep/", "/scep/pkiclient.exe"} {
		e.GET(path, d.serve, handlers.Identify, handlers.Recover)
		e.POST(path, d.serve, handlers.Identify, handlers.Recover)
	}
	e.GET("/crl", d.revoked, handlers.Identify, handlers.Recover)
	e.GET("/crl/:root", d.revoked, handlers.Identify, handlers.Recover)
}

func (d *Door) init() {
	if d.Log == nil {
		d.Log = slog.Default()
	}
	if d.Observe == nil {
		d.Observe = func(string, string) {}
	}
	d.places = make(chan struct{}, 2*runtime.GOMAXPROCS(0))
	d.told = rate.NewLimiter(rate.Every(time.Second), 30)
}

func (d *Door) serve(c echo.Context) error {
	switch operation := c.QueryParam("operation"); operation {
	case "GetCACaps":
		d.Observe(operation, "ok")
		return c.Blob(http.StatusOK, "text/plain", []byte(d.capabilities()))
	case "GetCACert":
		return d.certificates(c)
	case "PKIOperation":
		return d.operate(c)
	}
	d.Observe("other", "refused")
	return echo.NewHTTPError(http.StatusBadRequest, "SCEP knows the operations GetCACaps, GetCACert and PKIOperation: name one as ?operation=")
}

// capabilities lists what this server can do, a word a line.
func (d *Door) capabilities() string {
	words := []string{"AES", "POSTPKIOperation", "Renewal", "SCEPStandard", "SHA-256", "SHA-512"}
	if d.Legacy {
		words = append(words, "SHA-1", "DES3")
	}
	return strings.Join(words, "\n") + "\n"
}

// certificates gives out the roots in force, the issuing one first. A single one comes as it is, several in an envelope.
func (d *Door) certificates(c echo.Context) error {
	roots := d.roots()
	if len(roots) == 0 {
		d.Observe("GetCACert", "failed")
		return domain.WithHint(domain.Refusef(domain.Conflict, "this server has no root for SCEP: it needs an RSA key"), "rollcall ca roll makes one")
	}
	d.Observe("GetCACert", "ok")
	if len(roots) == 1 {
		return c.Blob(http.StatusOK, oneType, roots[0].Certificate.Raw)
	}
	all := make([]*x509.Certificate, len(roots))
	for i, r := range roots {
		all[i] = r.Certificate
	}
	several, err := scep.DegenerateCertificates(all)
	if err != nil {
		return err
	}
	return c.Blob(http.StatusOK, severalType, several)
}

// roots returns the roots that can open messages: those with RSA keys.
func (d *Door) roots() (roots []handlers.Root) {
	for _, r := range d.Authority.Roots() {
		if r.Certificate.PublicKeyAlgorithm == x509.RSA {
			roots = append(roots, r)
		}
	}
	return roots
}

// revoked gives out a revocation list, that of the issuing root if none is named.
func (d *Door) revoked(c echo.Context) error {
	list, err := d.Authority.RevocationList(c.Param("root"))
	if err != nil {
		return err
	}
	c.Response().Header().Set("Cache-Control", "max-age=3600")
	return c.Blob(http.StatusOK, listType, list)
}

// outcome is the word by which metrics know an error.
func outcome(err error) string {
	if r, ok := errors.AsType[*refusal](err); ok {
		return r.word
	}
	if err != nil {
		return "failed"
	}
	return "ok"
}
