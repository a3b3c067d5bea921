// Package nano is the door for tools that were written for NanoMDM: its routes, its answers, its status codes.
//
//	PUT  /v1/pushcert            a push certificate and its key, as PEM
//	GET  /v1/pushcert?topic=     which certificate is used, and until when
//	PUT  /v1/enqueue/{id,id…}    a raw command (a property list) for devices and users; POST does the same
//	GET  /v1/push/{id,id…}       wakes devices and users; PUT and POST do the same
//	GET  /version
//
// An id is a UDID or EnrollmentID; a user's is followed by a colon and the user's key: UDID:UserID, and on a Shared
// iPad UDID:UserShortName. Answers have NanoMDM's fields, and some more that tell code and hint of an error. The
// status is 200 if all went well, 207 if it did for some, 500 if it did for none; where the request itself is wrong,
// so that no id was looked at, it is 400 or the like, where NanoMDM says 500.
//
// Here a push is a worker's business, which a request does not wait for: push_result is Apple's id of the push if
// it was sent while /v1/push waited a moment, else the id of the request, which the log knows too.
package nano

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/handlers"
	"github.com/rollcall-mdm/rollcall/projections"
)

// maxPEM is the most that a push certificate, its chain and its key may be together, in bytes.
const maxPEM = 64 << 10

// A Door serves NanoMDM's routes. Whoever mounts it has made sure who is calling.
type Door struct {
	Orders     *handlers.Orders
	PushCerts  *handlers.PushCerts
	Views      Views
	Pseudonyms interface {
		Device(id string) string
		Channel(id, user string) string
	}
	Release string       // what /version tells
	Log     *slog.Logger // slog.Default() if nil
	MaxBody int64        // of a command, in bytes; 8 MiB if zero

	// Patience is how long /v1/push waits for what Apple says; a second if zero, not at all if negative.
	Patience time.Duration
}

// Views tell what the door cannot know from one stream. *projections.Views does.
type Views interface {
	PushCertificates(ctx context.Context) ([]projections.PushCertificate, error)
	Position() eventstore.Position
	Advanced(after eventstore.Position) <-chan struct{}
}

// Mount serves the routes in the group, which is /v1.
func (d *Door) Mount(v1 *echo.Group) {
	body := handlers.Limit(d.maxBody())
	v1.PUT("/pushcert", d.storeCertificate, handlers.Limit(maxPEM))
	v1.GET("/pushcert", d.showCertificate)
	v1.Match([]string{http.MethodPut, http.MethodPost}, "/enqueue/*", d.enqueue, body)
	v1.Match([]string{http.MethodGet, http.MethodPut, http.MethodPost}, "/push/*", d.push, body)
}

// Version tells which release this is: {"version":"…"}. It needs no caller.
func (d *Door) Version(c echo.Context) error {
	return c.JSON(http.StatusOK, map[string]string{"version": d.Release})
}

func (d *Door) maxBody() int64 {
	if d.MaxBody > 0 {
		return d.MaxBody
	}
	return 8 << 20
}

func (d *Door) patience() time.Duration {
	if d.Patience == 0 {
		return time.Second
	}
	return d.Patience
}

func (d *Door) log() *slog.Logger {
	if d.Log == nil {
		return slog.Default()
	}
	return d.Log
}

// caller returns who is calling, if he may change anything.
func caller(c echo.Context) (handlers.Caller, error) {
	who, known := handlers.CallerFrom(c.Request().Context())
	if !known {
		return who, domain.Refusef(domain.Forbidden, "nobody has said who is calling")
	}
	return who, who.Change()
}

// read reads the body. A body that is too large is an *http.MaxBytesError.
func read(c echo.Context) ([]byte, error) {
	body, err := io.ReadAll(c.Request().Body)
	if err != nil && handlers.Status(err) == http.StatusInternalServerError {
		return nil, domain.Refusef(domain.Invalid, "the body ended too early")
	}
	return body, err
}
