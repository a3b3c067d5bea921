package enroll

import (
	"encoding/base64"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/command"
	"github.com/rollcall-mdm/rollcall/domain/enrollment"
	"github.com/rollcall-mdm/rollcall/handlers"
)

// A RequiredOS is what a device must run before it may come in. Source: Apple, error code com.apple.softwareupdate.required.
type RequiredOS struct {
	OSVersion    string `json:"OSVersion"`
	BuildVersion string `json:"BuildVersion,omitempty"`
}

// A PlatformSSO is what a Mac sets up before it comes in. Source: Apple, error code com.apple.psso.required.
type PlatformSSO struct {
	ProfileURL string          `json:"ProfileURL"`
	AuthURL    string          `json:"AuthURL"`
	Package    PlatformPackage `json:"Package"`
}

// A PlatformPackage is where the app that signs in comes from.
type PlatformPackage struct {
	ManifestURL                    string   `json:"ManifestURL"`
	PinningCerts                   []string `json:"PinningCerts,omitempty"` // DER, base64
	PinningRevocationCheckRequired bool     `json:"PinningRevocationCheckRequired,omitempty"`
}

// An appleError is how a device is told, with status 403, what it has to do. Source: Apple, ErrorCode documents.
type appleError struct {
	Code        string `json:"code"`
	Description string `json:"description,omitempty"` // for logs
	Message     string `json:"message,omitempty"`     // for the user
	Details     any    `json:"details,omitempty"`
}

// deviceInfo is the header in which a device in a web view tells what it is.
const deviceInfo = "X-Apple-Aspen-Deviceinfo"

// automated answers a device in Setup Assistant, or a Mac that renews its enrolment: with its profile, or with what it has
// to do before.
func (d *Door) automated(c echo.Context) error {
	m, err := d.machine(c)
	if err != nil {
		return err
	}
	signsIn := d.OIDC.on(enrollment.ADE) || strings.HasSuffix(c.Path(), "/sign-in")
	id, err := d.automatedBy(c, signsIn)
	if err != nil {
		return err
	}
	if first := d.first(m); first != nil {
		return c.JSON(http.StatusForbidden, first)
	}
	device := d.Pseudonyms.Device(m.UDID)
	if signsIn {
		return d.automatedBySignIn(c, id, device)
	}
	return d.give(c, handlers.Wish{
		Pass: handlers.Pass{Invitation: id, Road: enrollment.ADE, Device: device, Once: true, Lasts: time.Hour},
	}, true)
}

// machine reads what a device in Setup Assistant tells of itself, and makes sure of it as far as it can.
func (d *Door) machine(c echo.Context) (machine, error) {
	message, err := deviceMessage(c)
	if err != nil {
		return machine{}, err
	}
	m, err := readMachine(message)
	if err == nil {
		err = d.prove(c.Request().Context(), m)
	}
	if err == nil && (m.UDID == "" || m.Serial == "") {
		err = domain.Refusef(domain.Invalid, "the device does not say its UDID and its serial number")
	}
	return m, err
}

// automatedBy returns the invitation by which a device in Setup Assistant comes: that of the address, that of those who
// sign in, or the default one where devices are known for Apple's.
func (d *Door) automatedBy(c echo.Context, signsIn bool) (id string, err error) {
	switch {
	case c.Param("id") != "":
		id, _, err = d.open(c, enrollment.ADE)
		return id, err
	case signsIn:
		return d.OIDC.Invitation, nil
	case len(d.Built) == 0: // anybody can say that he is a device
		return "", domain.WithHint(domain.Refusef(domain.Forbidden, "this address is open only where it can be told who is a device of Apple's"),
			"set --apple-device-ca, or use the address of an invitation: /enroll/ade/ID/KEY")
	}
	return enrollment.Default, nil
}

// automatedBySignIn has somebody sign in on a device in Setup Assistant, which shows a web page if it came by
// configuration_web_url, and cannot otherwise.
func (d *Door) automatedBySignIn(c echo.Context, id, device string) error {
	if c.Request().Method == http.MethodPost {
		return domain.WithHint(domain.Refusef(domain.Forbidden, "devices come in here when somebody signs in, and not otherwise"),
			"give "+d.address("/enroll/ade/sign-in")+" as configuration_web_url in the device's enrolment profile")
	}
	f := d.newFlow(enrollment.ADE)
	f.Invitation, f.Device = id, device
	return d.begin(c, f)
}

// deviceMessage returns what a device has signed: the body, or a header.
func deviceMessage(c echo.Context) ([]byte, error) {
	if c.Request().Method == http.MethodPost {
		return io.ReadAll(c.Request().Body)
	}
	text := strings.TrimRight(c.Request().Header.Get(deviceInfo), "=")
	if text == "" {
		return nil, domain.WithHint(domain.Refusef(domain.Invalid, "this address is for devices in Setup Assistant, which tell what they are"), "people begin at /enroll")
	}
	message, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		return nil, domain.Refusef(domain.Invalid, "the header %s is not base64", deviceInfo)
	}
	return message, nil
}

// first returns what the device has to do before it gets its profile, nil if nothing. One that cannot do it is not asked to.
func (d *Door) first(m machine) *appleError {
	if d.OSAtOnce != nil && m.CanUpdate && m.OSVersion != "" && command.Older(m.OSVersion, d.OSAtOnce.OSVersion) {
		return &appleError{
			Code: "com.apple.softwareupdate.required", Description: "the device runs " + m.OSVersion,
			Message: "This device needs " + d.OSAtOnce.OSVersion + " before it can be managed.", Details: d.OSAtOnce,
		}
	}
	if d.SSO != nil && m.CanSSO {
		return &appleError{Code: "com.apple.psso.required", Message: "Sign in to set up this Mac.", Details: d.SSO}
	}
	return nil
}
