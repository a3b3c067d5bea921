package enroll

import (
	"bytes"
	_ "embed"
	"errors"
	"html/template"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/enrollment"
	"github.com/rollcall-mdm/rollcall/handlers"
)

//go:embed page.html
var pageText string

var page = template.Must(template.New("").Parse(pageText))

// A sheet is what a page shows.
type sheet struct {
	Title        string
	Organization string
	Host         string
	Trouble      string // what is wrong, in a sentence
	Hint         string
	Invitation   string // its name
	Profile, OTA string // where the profile is
	Until        string
	Ask          bool   // for an invitation's code
	SignIn       bool   // for an account
	Account      string // that somebody wants to sign in with
	Mode         string
	OIDC         string // where the organisation's own sign-in begins; nowhere if empty
	Person       string // who has signed in
}

func (d *Door) show(c echo.Context, status int, s sheet) error {
	s.Organization, s.Host = d.Enrolments.Organization, c.Request().Host
	var b bytes.Buffer
	if err := page.Execute(&b, s); err != nil {
		return err
	}
	return c.HTMLBlob(status, b.Bytes())
}

// trouble shows a person why something did not work.
func (d *Door) trouble(c echo.Context, err error) error {
	if errors.Is(err, errAway) {
		return d.show(c, http.StatusServiceUnavailable, sheet{
			Title: "This did not work", Trouble: "The sign-in of your organisation cannot be reached at present",
			Hint: "try again in a while; with a link or a code that you were given you can go on at " + d.address("/enroll"),
		})
	}
	p := handlers.Explain(c.Request().Context(), err)
	return d.show(c, handlers.Status(err), sheet{Title: "This did not work", Trouble: p.Message, Hint: p.Hint})
}

// welcome asks for an invitation's code, and leads to its page.
func (d *Door) welcome(c echo.Context) error {
	code := strings.TrimSpace(c.QueryParam("code"))
	if code == "" {
		s := sheet{Title: "Enrol this device", Ask: true}
		if d.OIDC != nil {
			s.OIDC = "/enroll/sign-in"
		}
		return d.show(c, http.StatusOK, s)
	}
	if _, rest, found := strings.Cut(code, "/enroll/"); found { // the whole link was pasted
		code = rest
	}
	id, key, _ := strings.Cut(code, "/")
	if !d.Links.opens(id, key) {
		return d.trouble(c, errTicket())
	}
	return c.Redirect(http.StatusSeeOther, d.Links.Link(id))
}

// open returns the invitation that a link names, if the link is good and the invitation is open.
func (d *Door) open(c echo.Context, road string) (id string, i enrollment.Invitation, err error) {
	id = c.Param("id")
	if !d.Links.opens(id, c.Param("key")) {
		return "", i, errTicket()
	}
	if i, _, err = d.Invitations.Load(c.Request().Context(), id); err != nil {
		return "", i, err
	}
	return id, i, i.Open(road, d.Now())
}

// invited shows the page of an invitation.
func (d *Door) invited(c echo.Context) error {
	id, i, err := d.open(c, enrollment.Profile)
	if r, is := domain.Refused(err); is && r.Reason == domain.Forbidden && d.Links.opens(id, c.Param("key")) {
		err = i.Open(enrollment.OTA, d.Now())
	}
	if err != nil {
		return d.trouble(c, err)
	}
	return d.offer(c, i, "/enroll/"+id+"/"+c.Param("key"), "")
}

// offer shows what an invitation brings, and where: below the path base.
func (d *Door) offer(c echo.Context, i enrollment.Invitation, base, who string) error {
	s := sheet{Title: "Enrol this device", Invitation: i.Name, Person: who}
	if i.Open(enrollment.Profile, d.Now()) == nil {
		s.Profile = base + "/profile" + suffix
	}
	if i.Open(enrollment.OTA, d.Now()) == nil {
		s.OTA = base + "/ota" + suffix
	}
	if !i.Expires.IsZero() {
		s.Until = i.Expires.UTC().Format("2 January 2006, 15:04 UTC")
	}
	return d.show(c, http.StatusOK, s)
}

// download gives the profile of an invitation: each time another one, which is good once, for a day.
func (d *Door) download(c echo.Context) error {
	id, _, err := d.open(c, enrollment.Profile)
	if err == nil {
		err = d.give(c, handlers.Wish{Pass: handlers.Pass{Invitation: id, Road: enrollment.Profile, Once: true, Lasts: 24 * time.Hour}}, true)
	}
	if _, refused := domain.Refused(err); refused {
		return d.trouble(c, err)
	}
	return err
}
