package enroll

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/enrollment"
	"github.com/rollcall-mdm/rollcall/handlers"
)

// mountSignIn opens what belongs to the organisation's own sign-in.
func (d *Door) mountSignIn(all *echo.Group) {
	if d.OIDC == nil {
		return
	}
	all.GET("/enroll/sign-in", func(c echo.Context) error { return d.begin(c, d.newFlow(enrollment.Profile)) })
	all.GET("/enroll/ade/sign-in", d.automated)
	all.GET("/enroll/account/:mode/sign-in/organisation", d.beginForAccount)
	all.GET("/enroll/callback", d.callback)
	all.GET("/enroll/signed-in", d.visit)
	all.GET("/enroll/signed-in/profile"+suffix, d.downloadForVisitor)
	all.GET("/enroll/signed-in/ota"+suffix, d.overTheAirForVisitor)
}

// begin sends somebody to sign in, if he could come in afterwards.
func (d *Door) begin(c echo.Context, f flow) error {
	if err := d.openTo(c, f); err != nil {
		return d.trouble(c, err)
	}
	where, err := d.OIDC.address(c.Request().Context(), f)
	if err != nil {
		return d.trouble(c, err)
	}
	d.setCookie(c, flowCookie, d.Links.signed("sign-in", f), flowTime)
	return c.Redirect(http.StatusFound, where)
}

// openTo refuses whoever signs in if the invitation by which he comes is not open on his road.
func (d *Door) openTo(c echo.Context, f flow) error {
	i, _, err := d.Invitations.Load(c.Request().Context(), f.Invitation)
	if err == nil {
		err = i.Open(f.Road, d.Now())
	}
	if _, refused := domain.Refused(err); refused && f.Road == enrollment.Profile && i.Open(enrollment.OTA, d.Now()) == nil {
		err = nil // the over-the-air road begins on the same page
	}
	return err
}

// beginForAccount sends the user of a device in Settings to sign in.
func (d *Door) beginForAccount(c echo.Context) error {
	if c.Param("mode") != d.Account || d.Account == "" {
		return echo.ErrNotFound
	}
	f := d.newFlow(enrollment.Account)
	f.Hint = plain(c.QueryParam("user-identifier"))
	return d.begin(c, f)
}

// callback takes whoever comes back from signing in to the end of the road on which he came.
func (d *Door) callback(c echo.Context) error {
	f, err := d.flowOf(c)
	if err == nil {
		err = d.answered(c)
	}
	var who domain.Person
	if err == nil {
		who, err = d.OIDC.person(c.Request().Context(), f, c.QueryParam("code"))
	}
	if err == nil {
		err = d.openTo(c, f)
	}
	if err == nil {
		err = d.arrive(c, f, who)
	}
	if _, refused := domain.Refused(err); refused || errors.Is(err, errAway) {
		return d.trouble(c, err)
	}
	return err
}

// answered refuses what is no answer of our issuer, and what says that nobody signed in.
func (d *Door) answered(c echo.Context) error {
	if issuer := c.QueryParam("iss"); issuer != "" && issuer != d.OIDC.Issuer {
		return errNotBelieved()
	}
	if said := c.QueryParam("error"); said != "" || c.QueryParam("code") == "" {
		return domain.WithHint(domain.Refusef(domain.Forbidden, "you did not sign in"), "begin again at "+d.address("/enroll")+" when you want to")
	}
	return nil
}

// arrive is what comes of having signed in: a page, a profile, or the way back into Settings.
func (d *Door) arrive(c echo.Context, f flow, who domain.Person) error {
	t := d.ticketOf(f, who)
	switch f.Road {
	case enrollment.ADE:
		return d.give(c, handlers.Wish{
			Pass: handlers.Pass{Invitation: t.Invitation, Road: enrollment.ADE, Device: f.Device, Person: who, Once: true, Lasts: time.Hour},
		}, true)
	case enrollment.Account:
		if f.Hint != "" && !strings.EqualFold(f.Hint, who.Account) {
			return domain.WithHint(domain.Refusef(domain.Forbidden, "you signed in with another account than the one that you gave the device"),
				"begin again on the device with the account that you sign in with")
		}
		t.For, t.Mode, t.Until = "account", d.Account, d.Now().Add(accountTime).Unix()
		return finish(c, d.Links.issue(t))
	}
	d.setCookie(c, visitorCookie, d.Links.issue(t), visitorTime)
	return c.Redirect(http.StatusSeeOther, "/enroll/signed-in")
}

// ticketOf is what whoever has signed in carries on.
func (d *Door) ticketOf(f flow, who domain.Person) ticket {
	return ticket{
		For: "visit", Invitation: f.Invitation, Until: d.Now().Add(visitorTime).Unix(),
		Account: who.Account, Name: who.Name, Subject: who.Subject, Issuer: who.Issuer,
	}
}

// visitor returns who has signed in in this browser.
func (d *Door) visitor(c echo.Context) (ticket, error) {
	t, err := d.Links.read(d.cookie(c, visitorCookie), "visit", d.Now())
	if err != nil {
		return t, domain.WithHint(domain.Refusef(domain.Forbidden, "nobody is signed in here"), "begin at "+d.address("/enroll"))
	}
	return t, nil
}

// visit shows whoever has signed in where the profile is.
func (d *Door) visit(c echo.Context) error {
	t, err := d.visitor(c)
	if err != nil {
		return d.trouble(c, err)
	}
	i, _, err := d.Invitations.Load(c.Request().Context(), t.Invitation)
	if err != nil {
		return err
	}
	return d.offer(c, i, "/enroll/signed-in", t.person().Told())
}

// downloadForVisitor gives whoever has signed in a profile: each time another one, which is good once, for an hour.
func (d *Door) downloadForVisitor(c echo.Context) error {
	t, err := d.visitor(c)
	if err == nil {
		err = d.give(c, handlers.Wish{
			Pass: handlers.Pass{Invitation: t.Invitation, Road: enrollment.Profile, Person: t.person(), Once: true, Lasts: visitorTime},
		}, true)
	}
	if _, refused := domain.Refused(err); refused {
		return d.trouble(c, err)
	}
	return err
}

// overTheAirForVisitor gives whoever has signed in the first profile of the over-the-air road.
func (d *Door) overTheAirForVisitor(c echo.Context) error {
	t, err := d.visitor(c)
	if err == nil {
		var i enrollment.Invitation
		if i, _, err = d.Invitations.Load(c.Request().Context(), t.Invitation); err == nil {
			err = i.Open(enrollment.OTA, d.Now())
		}
	}
	if err != nil {
		return d.trouble(c, err)
	}
	return d.beginOverTheAir(c, t)
}
