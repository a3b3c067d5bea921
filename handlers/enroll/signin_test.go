package enroll_test

import (
	"encoding/base64"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/challenge"
	"github.com/rollcall-mdm/rollcall/domain/enrollment"
	"github.com/rollcall-mdm/rollcall/handlers/enroll/oidctest"
)

// ada is who signs in, as events keep her.
func ada(h *house) domain.Person {
	return domain.Person{Account: "ada@example.com", Name: "Ada Lovelace", Subject: "2482", Issuer: h.issuer.URL}
}

func TestSomebodySignsInOnAPage(t *testing.T) {
	h := build(t, organisation)
	h.role = ""
	b := h.browser()
	if page := b.get("/enroll").Body.String(); !strings.Contains(page, `href="/enroll/sign-in"`) || !strings.Contains(page, `name="code"`) {
		t.Errorf("the first page is %s", page)
	}
	for _, algorithm := range []string{"RS256", "ES256"} {
		h.issuer.Set(func(i *oidctest.Issuer) { i.Algorithm = algorithm })
		if rec := b.get(b.goes(b.get("/enroll/sign-in"))); rec.Code != http.StatusSeeOther || rec.Header().Get("Location") != "/enroll/signed-in" {
			t.Fatalf("%s: %d %s", algorithm, rec.Code, rec.Body)
		}
	}
	page := b.get("/enroll/signed-in").Body.String()
	for _, want := range []string{"signed in as ada@example.com", `href="/enroll/signed-in/profile.mobileconfig"`, `href="/enroll/signed-in/ota.mobileconfig"`} {
		if !strings.Contains(page, want) {
			t.Errorf("%s stands not in %s", want, page)
		}
	}
	one, two := h.profileOf(b.get("/enroll/signed-in/profile.mobileconfig")), h.profileOf(b.get("/enroll/signed-in/profile.mobileconfig"))
	if g := h.grant(one); g.Road != enrollment.Profile || g.Invitation != "default" || !g.Once || g.By == h.grant(two).By {
		t.Errorf("the challenge is good for %+v", g)
	}
	if got, want := h.vouched(one), (challenge.Vouched{Invitation: "default", Road: "profile", Person: ada(h)}); got != want {
		t.Errorf("the log says %+v, want %+v", got, want)
	}
	if rec := h.browser().get("/enroll/signed-in/profile.mobileconfig"); rec.Code != http.StatusForbidden {
		t.Errorf("another browser gets %d", rec.Code)
	}
	h.now = noon.Add(2 * time.Hour)
	if rec := b.get("/enroll/signed-in"); rec.Code != http.StatusForbidden {
		t.Errorf("two hours later: %d", rec.Code)
	}
	if said := h.output.String(); strings.Contains(said, "ada@") || strings.Contains(said, "s3cret") {
		t.Errorf("the log says %s", said)
	}
}

func TestSomebodySignsInAndGoesOverTheAir(t *testing.T) {
	h := build(t, organisation)
	b := h.browser()
	b.get(b.goes(b.get("/enroll/sign-in")))
	service := h.profileOf(b.get("/enroll/signed-in/ota.mobileconfig"))["PayloadContent"].(map[string]any)
	p := h.profileOf(h.ask(http.MethodPost, "/enroll/ota", h.told(phone.with("CHALLENGE", service["Challenge"]))))
	if got := h.vouched(p); got.Person != ada(h) || got.Road != enrollment.OTA {
		t.Errorf("the log says %+v", got)
	}
}

func TestSomebodySignsInInSetupAssistant(t *testing.T) {
	h := build(t, organisation)
	header := []string{"x-apple-aspen-deviceinfo", base64.StdEncoding.EncodeToString(h.told(phone))}
	b := h.browser()
	p := h.profileOf(b.get(b.goes(b.get("/enroll/ade/sign-in", header...)))) // which ends the web view
	if g := h.grant(p); g.Road != enrollment.ADE || g.Device != h.door.Pseudonyms.Device("U1") || !g.Once {
		t.Errorf("the challenge is good for %+v", g)
	}
	if got := h.vouched(p); got.Person != ada(h) || got.Road != enrollment.ADE {
		t.Errorf("the log says %+v", got)
	}
	h.invite("carts", enrollment.Terms{Name: "Carts", Roads: []string{enrollment.ADE}})
	carts := strings.Replace(h.link("carts"), "/enroll/", "/enroll/ade/", 1)
	h.profileOf(h.ask(http.MethodPost, carts, h.told(phone))) // without signing in, as long as nobody forbids it
	h.door.OIDC.Only = []string{enrollment.ADE}
	b.goes(b.get("/enroll/ade", header...))
	if g := h.grant(h.profileOf(b.get(b.goes(b.get(carts, header...))))); g.Invitation != "carts" {
		t.Errorf("by a link, somebody who signs in comes by the invitation %s", g.Invitation)
	}
	if rec := h.ask(http.MethodPost, "/enroll/ade", h.told(phone)); rec.Code != http.StatusForbidden || !strings.Contains(rec.Body.String(), "configuration_web_url") {
		t.Errorf("without signing in: %d %s", rec.Code, rec.Body)
	}
	if rec := b.get("/enroll/ade/sign-in"); rec.Code != http.StatusBadRequest {
		t.Errorf("a person's browser: %d", rec.Code)
	}
}

func TestSomebodySignsInInSettings(t *testing.T) {
	h := build(t, organisation)
	own := said{"PRODUCT": "iPhone15,2", "VERSION": "22B91", "LANGUAGE": "de"}
	page := h.ask(http.MethodGet, "/enroll/account/byod/sign-in?user-identifier=ada%40example.com", nil).Body.String()
	const begin = "/enroll/account/byod/sign-in/organisation?user-identifier=ada%40example.com"
	if !strings.Contains(page, `href="`+begin+`"`) || !strings.Contains(page, `name="code"`) {
		t.Errorf("the page to sign in is %s", page)
	}
	b := h.browser()
	rec := b.get(b.goes(b.get(begin)))
	token, ends := strings.CutPrefix(rec.Header().Get("Location"), "apple-remotemanagement-user-login://authentication-results?access-token=")
	if rec.Code != http.StatusPermanentRedirect || !ends {
		t.Fatalf("signed in: %d %s %s", rec.Code, rec.Header().Get("Location"), rec.Body)
	}
	if len(h.issuer.Hints) != 1 || h.issuer.Hints[0] != "ada@example.com" {
		t.Errorf("the organisation was told of %q", h.issuer.Hints)
	}
	p := h.profileOf(h.ask(http.MethodPost, "/enroll/account/byod", h.told(own), "Authorization", "Bearer "+token))
	if mdm := h.payload(p, "com.apple.mdm"); mdm["AssignedManagedAppleID"] != "ada@example.com" || mdm["EnrollmentMode"] != "BYOD" {
		t.Errorf("the profile says %v", mdm)
	}
	if got := h.vouched(p); got.Person != ada(h) || got.Road != enrollment.Account {
		t.Errorf("the log says %+v", got)
	}
	if rec := b.get(b.goes(b.get(strings.Replace(begin, "ada", "bob", 1)))); rec.Code != http.StatusForbidden || !strings.Contains(rec.Body.String(), "another account") {
		t.Errorf("somebody else's account: %d %s", rec.Code, rec.Body)
	}
	h.door.OIDC.Only = []string{enrollment.Account}
	b.goes(b.get("/enroll/account/byod/sign-in?user-identifier=ada%40example.com"))
	form := url.Values{"account": {"ada@example.com"}, "code": {strings.TrimPrefix(h.link("default"), "/enroll/")}}.Encode()
	if rec := h.ask(http.MethodPost, "/enroll/account/byod/sign-in", []byte(form), "Content-Type", "application/x-www-form-urlencoded"); rec.Code != http.StatusForbidden || rec.Header().Get("Location") != "" {
		t.Errorf("by a code: %d %s", rec.Code, rec.Body)
	}
}

// What a code on its own says of who comes is the word of whoever has the code: nobody vouches for it.
func TestByACodeNobodyVouches(t *testing.T) {
	h := build(t, organisation)
	form := url.Values{"account": {"ada@example.com"}, "code": {strings.TrimPrefix(h.link("default"), "/enroll/")}}.Encode()
	rec := h.ask(http.MethodPost, "/enroll/account/byod/sign-in", []byte(form), "Content-Type", "application/x-www-form-urlencoded")
	_, token, _ := strings.Cut(rec.Header().Get("Location"), "access-token=")
	p := h.profileOf(h.ask(http.MethodPost, "/enroll/account/byod", h.told(phone), "Authorization", "Bearer "+token))
	if got := h.vouched(p); got.Person != (domain.Person{Account: "ada@example.com"}) {
		t.Errorf("the log says %+v", got)
	}
	h.door.OIDC.Only = []string{enrollment.Account}
	if rec := h.ask(http.MethodPost, "/enroll/account/byod", h.told(phone), "Authorization", "Bearer "+token); rec.Code != http.StatusUnauthorized {
		t.Errorf("since signing in is demanded: %d", rec.Code)
	}
}

// The invitation of those who sign in counts as any other does: for its roads, its end and its limit.
func TestWhoSignsInComesByAnInvitation(t *testing.T) {
	h := build(t, organisation)
	h.invite("accounts", enrollment.Terms{Name: "Accounts", Roads: []string{enrollment.Account}})
	h.invite("one", enrollment.Terms{Name: "One", Uses: 1})
	h.invite("short", enrollment.Terms{Name: "Short", Expires: noon.Add(time.Minute)})
	for name, c := range map[string]struct {
		invitation string
		meanwhile  func() // between going to sign in and coming back
		begins     bool
		told       string
	}{
		"another road":   {"accounts", nil, false, "not for the road"},
		"used up":        {"one", func() { h.admit("one", enrollment.Admitted{Road: "profile", Ticket: "t", PublicKey: "k"}) }, true, "used up"},
		"over meanwhile": {"short", func() { h.now = noon.Add(2 * time.Minute) }, true, "expired"},
		"nowhere":        {"nobody", nil, false, "no such invitation"},
	} {
		h.now = noon
		h.door.OIDC.Invitation = c.invitation
		b := h.browser()
		rec := b.get("/enroll/sign-in")
		if c.begins {
			back := b.goes(rec)
			c.meanwhile()
			rec = b.get(back)
		}
		if rec.Code < 400 || !strings.Contains(rec.Body.String(), c.told) || len(b.cookies) != 0 {
			t.Errorf("%s: %d %s", name, rec.Code, rec.Body)
		}
	}
}

// Who may come in: by claims, and by domains whose addresses the issuer has verified.
func TestWhoseAccountsAreLetIn(t *testing.T) {
	h := build(t, organisation)
	user := maps.Clone(h.issuer.User)
	for name, c := range map[string]struct {
		change  oidctest.Claims // of the user
		claim   string
		domains []string
		require map[string]string
		in      bool
	}{
		"anybody":                       {in: true},
		"of the domain":                 {domains: []string{"example.org", "EXAMPLE.com"}, in: true},
		"of another domain":             {domains: []string{"example.org"}},
		"of a domain that begins so":    {change: oidctest.Claims{"email": "ada@example.com.evil.test"}, domains: []string{"example.com"}},
		"of a domain, unverified":       {change: oidctest.Claims{"email_verified": false}, domains: []string{"example.com"}},
		"of a domain, nobody says":      {change: oidctest.Claims{"email_verified": nil}, domains: []string{"example.com"}},
		"unverified":                    {change: oidctest.Claims{"email_verified": "false"}},
		"without an address":            {change: oidctest.Claims{"email": nil}},
		"with a number for an address":  {change: oidctest.Claims{"email": 7}},
		"with an address of two lines":  {change: oidctest.Claims{"email": "ada@example.com\r\nBcc: x"}},
		"with an endless address":       {change: oidctest.Claims{"email": strings.Repeat("a", 300)}},
		"by another claim":              {change: oidctest.Claims{"upn": "ada", "email": nil}, claim: "upn", in: true},
		"in the group":                  {change: oidctest.Claims{"groups": []string{"guests", "staff"}}, require: map[string]string{"groups": "staff"}, in: true},
		"in another group":              {change: oidctest.Claims{"groups": []string{"guests"}}, require: map[string]string{"groups": "staff"}},
		"in no group":                   {require: map[string]string{"groups": "staff"}},
		"with a claim that is one word": {change: oidctest.Claims{"tid": "t1"}, require: map[string]string{"tid": "t1"}, in: true},
	} {
		h.issuer.Set(func(i *oidctest.Issuer) {
			i.User = maps.Clone(user)
			maps.Copy(i.User, c.change)
		})
		h.door.OIDC.Claim, h.door.OIDC.Domains, h.door.OIDC.Require = c.claim, c.domains, c.require
		b := h.browser()
		rec := b.get(b.goes(b.get("/enroll/sign-in")))
		if in := rec.Code == http.StatusSeeOther; in != c.in || !in && rec.Code != http.StatusForbidden {
			t.Errorf("%s: %d %s", name, rec.Code, rec.Body)
		}
	}
}
