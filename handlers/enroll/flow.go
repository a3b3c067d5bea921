package enroll

import (
	"crypto/rand"
	"crypto/subtle"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"golang.org/x/oauth2"

	"github.com/rollcall-mdm/rollcall/domain"
)

// A flow is a sign-in under way: the browser carries it in a cookie that nobody else can make, and no script can read.
type flow struct {
	State      string `json:"s"`           // comes back from the issuer
	Nonce      string `json:"n"`           // comes back in the ID token
	Verifier   string `json:"v"`           // of PKCE
	Road       string `json:"r"`           // on which the person comes
	Invitation string `json:"i"`           // by which
	Device     string `json:"d,omitempty"` // pseudonym, where the device has told
	Hint       string `json:"h,omitempty"` // the account that the device was given
	Until      int64  `json:"u"`           // seconds since 1970
}

// The cookies, and how long they are good.
const (
	flowCookie    = "rollcall-sign-in"
	visitorCookie = "rollcall-visitor"
	flowTime      = 15 * time.Minute
	visitorTime   = time.Hour
)

func (d *Door) newFlow(road string) flow {
	return flow{
		State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), Road: road, Invitation: d.OIDC.Invitation,
		Until: d.Now().Add(flowTime).Unix(),
	}
}

// setCookie gives the browser a cookie; one that lasts no time is taken away.
func (d *Door) setCookie(c echo.Context, name, value string, lasts time.Duration) {
	cookie := &http.Cookie{
		Name: d.cookieName(name), Value: value, Path: "/enroll", HttpOnly: true, SameSite: http.SameSiteLaxMode, MaxAge: int(lasts / time.Second),
	}
	if lasts == 0 {
		cookie.MaxAge = -1
	}
	if d.https() {
		cookie.Secure, cookie.Path = true, "/" // as the prefix of its name asks
	}
	c.SetCookie(cookie)
}

// cookieName is a cookie's name. Over HTTPS it begins so that browsers take it from nobody but this very host: a neighbour
// could otherwise plant a sign-in of his own.
func (d *Door) cookieName(name string) string {
	if d.https() {
		return "__Host-" + name
	}
	return name
}

func (d *Door) https() bool { return strings.HasPrefix(d.Enrolments.URL, "https:") }

// cookie returns what a cookie of ours holds; empty if there is none.
func (d *Door) cookie(c echo.Context, name string) string {
	cookie, err := c.Cookie(d.cookieName(name))
	if err != nil {
		return ""
	}
	return cookie.Value
}

// flowOf returns the sign-in that a callback ends. It is taken from the browser at the same time: it is good once.
func (d *Door) flowOf(c echo.Context) (flow, error) {
	var f flow
	if !d.Links.readSigned("sign-in", d.cookie(c, flowCookie), &f) || subtle.ConstantTimeCompare([]byte(f.State), []byte(c.QueryParam("state"))) != 1 {
		return flow{}, domain.WithHint(domain.Refusef(domain.Forbidden, "this sign-in was not begun in this browser, or has ended already"), "begin again at "+d.address("/enroll"))
	}
	d.setCookie(c, flowCookie, "", 0)
	if d.Now().Unix() >= f.Until {
		return flow{}, domain.WithHint(domain.Refusef(domain.Forbidden, "too much time has passed since this sign-in began"), "begin again")
	}
	return f, nil
}

func (d *Door) address(path string) string { return strings.TrimRight(d.Enrolments.URL, "/") + path }
