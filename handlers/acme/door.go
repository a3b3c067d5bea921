// Package acme is the door at which devices get identities whose keys their maker vouches for: the Automatic Certificate
// Management Environment, RFC 8555, with the challenge device-attest-01.
//
// A device orders a certificate for the ClientIdentifier in its profile, which is a challenge of this server's as SCEP's are:
// on the same terms, within the same invitation, good once or as often as it says. It answers with an attestation of the key
// that it has just made, bound to this order by what the attestation was asked for with, and sends a request for that key. Of
// what the request wishes for only its key is taken. What was attested is in the log before the order is called ready, and the
// certificate before anybody is told of it; the same key by the same identifier gets the same certificate.
//
// Nothing else is kept. An account is its key, and its address holds that key; an order's address holds the order: both are
// sealed, so that nobody but a server of this house can make or read them. So nobody fills a disk by asking, and a client may
// go on at another server, or after a restart.
package acme

import (
	"context"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
	"golang.org/x/time/rate"

	"github.com/rollcall-mdm/rollcall/handlers"
)

// A Door gives devices certificates. All fields are set before Mount; those from Serial on are useful at zero.
type Door struct {
	Authority    *handlers.Authority
	Challenges   *handlers.Challenges
	Attestations *handlers.Attestations
	URL          string   // of the server, as clients reach it; no slash at its end
	Key          [32]byte // seals what addresses hold; the same on all servers of a house
	Pseudonyms   interface{ Device(id string) string }

	Serial  func(ctx context.Context, device string) (string, error) // the serial number that a device is known by; empty if it is not. None is if nil
	Now     func() time.Time                                         // time.Now if nil
	Log     *slog.Logger                                             // slog.Default() if nil
	Observe func(operation, outcome string)                          // told of every request; nobody if nil

	once   sync.Once
	seals  sealer
	nonces *nonces
	places chan struct{} // requests that are being verified and signed
	told   *rate.Limiter
}

// The paths below /acme.
const (
	directoryPath = "/acme/directory"
	noncePath     = "/acme/new-nonce"
	newAccount    = "/acme/new-account"
	accountPath   = "/acme/account/"
	newOrder      = "/acme/new-order"
	orderPath     = "/acme/order/"
	finalizePath  = "/acme/finalize/"
	proofPath     = "/acme/authorization/"
	challengePath = "/acme/challenge/"
	chainPath     = "/acme/certificate/"
	revokePath    = "/acme/revoke-cert"
)

// DirectoryPath is where clients begin.
const DirectoryPath = directoryPath

// Mount opens the door at /acme.
func (d *Door) Mount(e *echo.Echo) {
	d.once.Do(d.init)
	before := []echo.MiddlewareFunc{handlers.Identify, handlers.Recover}
	e.GET(directoryPath, d.directory, before...)
	e.GET(noncePath, d.nonce, before...)
	e.HEAD(noncePath, d.nonce, before...)
	for path, o := range map[string]operation{
		newAccount:            {"newAccount", byKey, (*Door).account},
		accountPath + ":at":   {"account", byAccount, (*Door).about},
		newOrder:              {"newOrder", byAccount, (*Door).order},
		orderPath + ":at":     {"order", byAccount, (*Door).standing},
		finalizePath + ":at":  {"finalize", byAccount, (*Door).finalize},
		proofPath + ":at":     {"authorization", byAccount, (*Door).authorization},
		challengePath + ":at": {"challenge", byAccount, (*Door).challenge},
		chainPath + ":at":     {"certificate", byAccount, (*Door).chain},
		revokePath:            {"revokeCert", byEither, (*Door).revoke},
	} {
		e.POST(path, d.serve(o), before...)
	}
}

func (d *Door) init() {
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Log == nil {
		d.Log = slog.Default()
	}
	if d.Observe == nil {
		d.Observe = func(string, string) {}
	}
	d.URL = strings.TrimRight(d.URL, "/")
	d.seals = newSealer(d.Key)
	d.nonces = newNonces(d.Key, d.Now)
	d.places = make(chan struct{}, 2*runtime.GOMAXPROCS(0))
	d.told = rate.NewLimiter(rate.Every(time.Second), 30)
}

// directory tells where what is. There is no keyChange: an account is its key.
func (d *Door) directory(c echo.Context) error {
	d.Observe("directory", "ok")
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.JSON(http.StatusOK, map[string]string{
		"newNonce": d.URL + noncePath, "newAccount": d.URL + newAccount, "newOrder": d.URL + newOrder, "revokeCert": d.URL + revokePath,
	})
}

// nonce gives out a nonce, as every answer does.
func (d *Door) nonce(c echo.Context) error {
	d.Observe("newNonce", "ok")
	d.adorn(c)
	if c.Request().Method == http.MethodHead {
		return c.NoContent(http.StatusOK)
	}
	return c.NoContent(http.StatusNoContent)
}

// adorn puts into an answer what all have.
func (d *Door) adorn(c echo.Context) {
	h := c.Response().Header()
	h.Set("Replay-Nonce", d.nonces.give())
	h.Set("Cache-Control", "no-store")
	h.Add("Link", "<"+d.URL+directoryPath+`>;rel="index"`)
}
