package enroll

import (
	"fmt"
	"io"
	"net/http"
	"net/mail"
	"net/url"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/enrollment"
	"github.com/rollcall-mdm/rollcall/domain/profile"
	"github.com/rollcall-mdm/rollcall/handlers"
)

// accountModes are the ways in which an account brings a device, by the word in addresses.
var accountModes = map[string]profile.Mode{"byod": profile.BYOD, "adde": profile.ADDE}

// accountTime is how long somebody may take from signing in to the profile.
const accountTime = time.Hour

// discover tells a device where the accounts of this domain enrol. Source: Apple, "Discover Authentication Servers".
func (d *Door) discover(c echo.Context) error {
	if d.Account == "" {
		return c.JSON(http.StatusForbidden, appleError{
			Code: "com.apple.well-known.failed", Description: "--account-driven is not set",
			Message: "This organisation does not manage devices that way.",
		})
	}
	type server struct{ Version, BaseURL string }
	return c.JSON(http.StatusOK, map[string][]server{"Servers": {{
		"mdm-" + d.Account, strings.TrimRight(d.Enrolments.URL, "/") + "/enroll/account/" + d.Account,
	}}})
}

// byAccount answers a device whose user has an account: whoever has not signed in is told where, whoever has gets a profile.
func (d *Door) byAccount(c echo.Context) error {
	mode, known := accountModes[c.Param("mode")]
	if !known || c.Param("mode") != d.Account {
		return echo.ErrNotFound
	}
	token, carries := strings.CutPrefix(c.Request().Header.Get(echo.HeaderAuthorization), "Bearer ")
	if !carries {
		return d.challenge(c)
	}
	t, err := d.Links.read(token, "account", d.Now())
	if err != nil || t.Mode != c.Param("mode") || d.OIDC.on(enrollment.Account) && t.Issuer == "" {
		return d.challenge(c)
	}
	device, err := d.accountDevice(c)
	if err != nil {
		return err
	}
	return d.give(c, handlers.Wish{
		Pass: handlers.Pass{Invitation: t.Invitation, Road: enrollment.Account, Device: device, Person: t.person(), Once: true, Lasts: accountTime},
		Mode: mode, Account: t.Account,
	}, true)
}

// accountDevice reads what the device tells of itself, and returns its pseudonym if it tells who it is: a person's own does
// not.
func (d *Door) accountDevice(c echo.Context) (string, error) {
	message, err := io.ReadAll(c.Request().Body)
	if err != nil {
		return "", err
	}
	m, err := readMachine(message)
	if err == nil {
		err = d.prove(c.Request().Context(), m)
	}
	if err != nil || m.UDID == "" {
		return "", err
	}
	return d.Pseudonyms.Device(m.UDID), nil
}

// challenge tells a device to have its user sign in. On this address 401 does not mean that it is managed no longer.
func (d *Door) challenge(c echo.Context) error {
	where := strings.TrimRight(d.Enrolments.URL, "/") + "/enroll/account/" + c.Param("mode") + "/sign-in"
	c.Response().Header().Set(echo.HeaderWWWAuthenticate, fmt.Sprintf(`Bearer method="apple-as-web", url=%q`, where))
	return c.NoContent(http.StatusUnauthorized)
}

// signInPage asks for the account, and for the code of an invitation.
func (d *Door) signInPage(c echo.Context) error {
	if c.Param("mode") != d.Account || d.Account == "" {
		return echo.ErrNotFound
	}
	if d.OIDC.on(enrollment.Account) {
		return d.beginForAccount(c)
	}
	s := sheet{Title: "Sign in", SignIn: true, Mode: d.Account, Account: c.QueryParam("user-identifier")}
	if d.OIDC != nil {
		s.OIDC = "/enroll/account/" + d.Account + "/sign-in/organisation?" + url.Values{"user-identifier": {s.Account}}.Encode()
	}
	return d.show(c, http.StatusOK, s)
}

// signIn sends the device back to where it came from, with a token that says who signed in.
func (d *Door) signIn(c echo.Context) error {
	if c.Param("mode") != d.Account || d.Account == "" {
		return echo.ErrNotFound
	}
	if d.OIDC.on(enrollment.Account) {
		return d.trouble(c, errOnlyOIDC())
	}
	account, err := d.signedIn(c)
	if err != nil {
		return d.trouble(c, err)
	}
	return finish(c, d.Links.issue(account))
}

func errOnlyOIDC() error {
	return domain.WithHint(domain.Refusef(domain.Forbidden, "devices come in here when somebody signs in, and not otherwise"), "begin again on the device")
}

// finish ends the web session of a device with a token. Source: Apple, "Implementing the simple authentication flow".
func finish(c echo.Context, token string) error {
	c.Response().Header().Set(echo.HeaderLocation, "apple-remotemanagement-user-login://authentication-results?access-token="+url.QueryEscape(token))
	return c.NoContent(http.StatusPermanentRedirect)
}

func (d *Door) signedIn(c echo.Context) (ticket, error) {
	account := strings.TrimSpace(c.FormValue("account"))
	if a, err := mail.ParseAddress(account); err != nil || a.Address != account {
		return ticket{}, domain.WithHint(domain.Refusef(domain.Invalid, "this is no Managed Apple Account"), "it looks like an address of mail")
	}
	code := strings.TrimSpace(c.FormValue("code"))
	if _, rest, found := strings.Cut(code, "/enroll/"); found {
		code = rest
	}
	id, key, _ := strings.Cut(code, "/")
	if !d.Links.opens(id, key) {
		return ticket{}, errTicket()
	}
	i, _, err := d.Invitations.Load(c.Request().Context(), id)
	if err == nil {
		err = i.Open(enrollment.Account, d.Now())
	}
	return ticket{For: "account", Invitation: id, Account: account, Mode: d.Account, Until: d.Now().Add(accountTime).Unix()}, err
}
