// Package enroll is the door by which devices come in. Each road that Apple names begins here:
//
//	GET  /enroll                                  a page for people
//	GET  /enroll/{id}/{key}                       the page of an invitation, which its link leads to
//	GET  /enroll/{id}/{key}/profile.mobileconfig  its profile, signed
//	GET  /enroll/{id}/{key}/ota.mobileconfig      the same by the over-the-air profile service
//	POST /enroll/ota                              what the device answers to that, twice
//	GET  /enroll/{id}.mobileconfig                the profile, for whoever has an API token that may change anything
//	POST /enroll/ade, GET with x-apple-aspen-deviceinfo    Automated Device Enrollment; /enroll/ade/{id}/{key} by an invitation
//	                                                       (without one only where Built tells who is a device of Apple's)
//	GET  /.well-known/com.apple.remotemanagement  service discovery of account-driven enrolment
//	POST /enroll/account/{byod|adde}              and the enrolment
//	GET  /enroll/sign-in, /enroll/ade/sign-in     to the organisation's own sign-in, which comes back to /enroll/callback
//	GET  /enroll/signed-in                        the page of whoever has signed in
//	GET  /MDMServiceConfig                        for Apple Configurator
//
// Each ends in the same decision: an invitation lets a key in, or does not, when the device asks for its certificate.
package enroll

import (
	"context"
	"crypto/x509"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/enrollment"
	"github.com/rollcall-mdm/rollcall/domain/profile"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/handlers"
	"github.com/rollcall-mdm/rollcall/handlers/cms"
)

// A Door lets devices in. All fields are set before Mount; those from Built on are useful at zero.
type Door struct {
	Enrolments  *handlers.Enrolments
	Invitations *eventstore.Repository[enrollment.Invitation, domain.Event]
	Pseudonyms  interface{ Device(id string) string }
	Issued      func(context.Context, *x509.Certificate) (Whose, bool, error) // whose a certificate is that this server issued, and that is good now
	Signer      func() (*cms.Signer, error)                                   // of profiles
	Links       *Links
	Operators   echo.MiddlewareFunc // lets people in by API tokens
	Now         func() time.Time

	Built    []*x509.Certificate // what certificates that devices are built with chain to; any signer is taken, and said to be unproven, if empty
	OIDC     *OIDC               // the organisation's own sign-in; none if nil
	Account  string              // "byod" or "adde": what account-driven enrolment brings; none if empty
	OSAtOnce *RequiredOS         // what devices must run before they come in by Automated Device Enrollment
	SSO      *PlatformSSO        // what Macs must set up before
	Log      *slog.Logger        // slog.Default() if nil
}

// A Whose is for whom a certificate was issued.
type Whose struct{ Invitation, Device string }

// maxMessage is the most that a device may send here, in bytes: a message that is signed, with a chain of certificates.
const maxMessage = 64 << 10

// Mount opens the door.
func (d *Door) Mount(e *echo.Echo) {
	if d.Log == nil {
		d.Log = slog.Default()
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	all := e.Group("", handlers.Identify, handlers.Recover, private)
	all.GET("/enroll", d.welcome)
	all.GET("/enroll/:id/:key", d.invited)
	all.GET("/enroll/:id/:key/profile.mobileconfig", d.download)
	all.GET("/enroll/:id/:key/ota.mobileconfig", d.overTheAir)
	all.GET("/enroll/:file", d.forOperators, d.Operators)
	message := handlers.Limit(maxMessage)
	all.POST("/enroll/ota", d.answerOverTheAir, message)
	for _, path := range []string{"/enroll/ade", "/enroll/ade/:id/:key"} {
		all.POST(path, d.automated, message)
		all.GET(path, d.automated)
	}
	all.GET("/.well-known/com.apple.remotemanagement", d.discover)
	all.POST("/enroll/account/:mode", d.byAccount, message)
	all.GET("/enroll/account/:mode/sign-in", d.signInPage)
	all.POST("/enroll/account/:mode/sign-in", d.signIn, handlers.Limit(4<<10))
	d.mountSignIn(all)
	all.GET("/MDMServiceConfig", d.serviceConfig)
	all.GET("/enroll/anchors", d.anchors)
	all.GET("/enroll/trust.mobileconfig", d.trust)
}

// private keeps what holds a secret out of caches, and pages of others out of ours.
func private(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		h := c.Response().Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Referrer-Policy", "no-referrer") // addresses here hold keys
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", policy)
		return next(c)
	}
}

// suffix is how the names of files of profiles end.
const suffix = ".mobileconfig"

// forOperators gives a profile to whoever has an API token: signed, or not with ?signed=false. It is good for as many
// devices as its invitation allows, for thirty days; ?topic= names another topic than that of the newest push certificate.
// With ?identity=pkcs12 it brings a key and a certificate, and is good for one device.
func (d *Door) forOperators(c echo.Context) error {
	id, is := strings.CutSuffix(c.Param("file"), suffix)
	if !is {
		return echo.ErrNotFound
	}
	who, known := handlers.CallerFrom(c.Request().Context())
	if !known {
		return echo.ErrUnauthorized
	}
	if err := who.Change(); err != nil {
		return err
	}
	kind := c.QueryParam("identity")
	if kind != "" && kind != "pkcs12" {
		return domain.WithHint(domain.Refusef(domain.Invalid, "no identity is called %q", kind), "pkcs12 has the profile bring one; without it devices ask for theirs")
	}
	return d.give(c, handlers.Wish{
		Pass:  handlers.Pass{Invitation: id, Road: enrollment.Profile, Lenient: true, Lasts: 30 * 24 * time.Hour},
		Topic: c.QueryParam("topic"), Given: kind != "",
	}, c.QueryParam("signed") != "false")
}

// give makes a profile and sends it.
func (d *Door) give(c echo.Context, w handlers.Wish, signed bool) error {
	p, err := d.Enrolments.Profile(c.Request().Context(), w)
	if err != nil {
		return err
	}
	return d.send(c, p, signed)
}

// send sends a profile as a device, or a browser on one, takes it.
func (d *Door) send(c echo.Context, p profile.Values, signed bool) error {
	body, err := handlers.WriteProfile(p)
	if err == nil && signed {
		body, err = d.sign(body)
	}
	if err != nil {
		return err
	}
	c.Response().Header().Set("Content-Disposition", `attachment; filename="enrolment.mobileconfig"`)
	return c.Blob(http.StatusOK, profile.MediaType, body)
}

func (d *Door) sign(body []byte) ([]byte, error) {
	signer, err := d.Signer()
	if err != nil {
		return nil, err
	}
	return signer.Sign(body)
}
