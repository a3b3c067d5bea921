// Package mdm is the devices' door: what Apple's devices send comes in here, and commands go out.
//
// A message passes in five steps. Its sender shows a certificate that is trusted here (Identity); its body is read
// within a bound and its property list behind a guard; it names a device, whose stream is found by a pseudonym;
// the device decides what follows; and only when that is durable, the message is answered. No view is read or
// written on the way; only who asks what it is to have (declarative management) is answered from views.
//
// The answers are few. 200: it is kept. 400: it cannot be understood, or its sender cannot be believed; it is
// kept as evidence within a bound. 404: there is no such declaration. 410: this user is not managed here. 413: it is too long. 503: try again, the
// log is away, or so slow that too many others wait for it. Never 401, which would make a device leave for ever, and nothing else that a device would repeat
// without end.
package mdm

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
	"golang.org/x/time/rate"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/certificate"
	"github.com/rollcall-mdm/rollcall/domain/declaration"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/handlers"
)

// What the door's bounds are if none are set.
const (
	defaultMaxBody         = 8 << 20
	defaultKeptPerHour     = 60
	defaultStrangerPerHour = 10
)

// Pseudonyms name devices and channels in the log: who reads a stream's name learns nothing.
type Pseudonyms interface {
	Device(id string) string        // of a UDID or EnrollmentID
	Channel(id, user string) string // of a device's user
}

// Declarations say what a channel is to have. *handlers.Declarations does.
type Declarations interface {
	Set(ctx context.Context, deviceID string, channel device.ChannelID) (declaration.Set, time.Time, error)
	Document(ctx context.Context, deviceID string, channel device.ChannelID, kind, identifier string) (text json.RawMessage, found bool, err error)
	Download(ctx context.Context, deviceID, mark string) (download handlers.Download, found bool, err error)
}

// Bodies of orders to many devices stand once, for all of them. *handlers.BulkOrders knows them.
type Bodies interface {
	// Body returns an order's property list as the device with this CommandUUID gets it.
	Body(ctx context.Context, order, commandUUID string) ([]byte, error)
}

// A Door lets devices in. All fields are set before Mount; those from Now on are useful at zero.
type Door struct {
	Devices      *eventstore.Repository[device.Device, domain.Event]
	Certificates *eventstore.Repository[certificate.Certificate, domain.Event]
	Strangers    *eventstore.Repository[Nobody, domain.Event]
	Pseudonyms   Pseudonyms
	Identity     *Identity
	Marks        Marks        // compares devices with what was attested about their keys; needed where keys are
	Bulk         Bodies       // of orders to many devices; needed where there are such
	Declarations Declarations // what channels are to have; no declarations for anybody if nil

	// Visitors know who signed in to bring a device; nobody did if nil.
	Visitors Visitors

	// Admitted is told of a device that comes in by an invitation, before it is answered, and again if it asks again; nobody is if nil.
	Admitted func(ctx context.Context, device, invitation string) error

	Now     func() time.Time // the server's clock; time.Now if nil
	Log     *slog.Logger     // slog.Default() if nil
	Observe Observe

	NetworkUsers    NetworkUsers    // of Macs; declined if zero
	Voucher         *Voucher        // for sign-in with Managed Apple Accounts; nobody is vouched for if nil
	ReturnToService ReturnToService // not offered if zero

	Revoked func(fingerprint string) bool // whether a certificate is believed no longer, by the SHA-256 of its DER, hex; none is if nil

	KeepAll          bool  // the exact bytes of every message from which an event follows, signed or not
	MaxBody          int64 // of a message, in bytes; 8 MiB if zero
	KeptPerHour      int   // refused messages that are kept of one device or certificate in an hour; 60 if zero
	StrangersPerHour int   // messages of strangers that are kept in an hour; 10 if zero
	AtOnce           int   // messages under way at the same time; 512 if zero

	once     sync.Once
	refused  *hourly
	strange  *rate.Limiter
	unkept   counter
	polls    *polls
	messages bodies
	places   *places
}

// Visitors know who signed in to get a challenge, until the device that came by it has said so itself.
type Visitors interface {
	Person(ctx context.Context, ticket string) (domain.Person, error)
	Forget(ctx context.Context, ticket string) error
}

// Nobody is the state of a stranger: nothing follows from what strangers did before.
type Nobody struct{}

// Evolve returns nobody.
func (Nobody) Evolve(domain.Event, time.Time) Nobody { return Nobody{} }

// Mount opens the door at the group's own path and at /checkin and /connect below it. The first takes both kinds
// of messages, as devices send them whose profile names one URL.
func (d *Door) Mount(g *echo.Group) { d.MountFor(g, true, true) }

// MountFor opens the door for check-ins, for those who connect for commands, or for both: Apple's protocol lets each have a server
// of its own. The address that takes both is there where both are.
func (d *Door) MountFor(g *echo.Group, checkIns, connects bool) {
	d.once.Do(d.init)
	routes := map[string]echo.HandlerFunc{}
	if checkIns {
		routes["/checkin"] = d.serve(d.checkIn)
	}
	if connects {
		routes["/connect"] = d.serve(d.connect)
	}
	if checkIns && connects {
		routes[""] = d.serve(d.either)
	}
	for path, serve := range routes {
		g.PUT(path, serve)
		g.POST(path, serve) // some clients of other makers
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPatch, http.MethodDelete, http.MethodOptions} {
			g.Add(method, path, notAllowed)
		}
	}
	if connects {
		g.GET("/data/:mark", d.data)
		g.HEAD("/data/:mark", d.data)
	}
}

func notAllowed(c echo.Context) error {
	c.Response().Header().Set("Allow", "PUT, POST")
	return c.NoContent(http.StatusMethodNotAllowed)
}

func (d *Door) init() {
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Log == nil {
		d.Log = slog.Default()
	}
	if d.Declarations == nil {
		d.Declarations = nothingDeclared{}
	}
	if d.MaxBody == 0 {
		d.MaxBody = defaultMaxBody
	}
	if d.KeptPerHour == 0 {
		d.KeptPerHour = defaultKeptPerHour
	}
	if d.StrangersPerHour == 0 {
		d.StrangersPerHour = defaultStrangerPerHour
	}
	if d.AtOnce == 0 {
		d.AtOnce = defaultAtOnce
	}
	d.places = newPlaces(d.AtOnce)
	d.refused = &hourly{most: d.KeptPerHour}
	d.strange = rate.NewLimiter(rate.Every(time.Hour/time.Duration(d.StrangersPerHour)), d.StrangersPerHour)
	d.polls = newPolls()
	d.messages.init()
}
