package enroll_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/handlers/enroll/oidctest"
)

// Whatever is wrong with a sign-in, nobody is signed in by it, the page says what to do, and the log tells no secret.
func TestSignInsThatAreNotBelieved(t *testing.T) {
	claim := func(key string, value any) func(*oidctest.Issuer) {
		return func(i *oidctest.Issuer) { i.Alter = func(c oidctest.Claims) { c[key] = value } }
	}
	algorithm := func(name string) func(*oidctest.Issuer) {
		return func(i *oidctest.Issuer) { i.Algorithm = name }
	}
	h := build(t, organisation)
	for name, c := range map[string]struct {
		issuer    func(*oidctest.Issuer)                         // what is wrong with the issuer
		meanwhile func(h *house, b *browser, back string) string // what happens between signing in and coming back
		status    int
	}{
		"for another client":     {claim("aud", "another"), nil, http.StatusForbidden},
		"of another issuer":      {claim("iss", "https://evil.test"), nil, http.StatusForbidden},
		"with another nonce":     {claim("nonce", "another"), nil, http.StatusForbidden},
		"without a nonce":        {claim("nonce", nil), nil, http.StatusForbidden},
		"expired":                {claim("exp", noon.Add(-time.Hour).Unix()), nil, http.StatusForbidden},
		"not yet good":           {claim("nbf", noon.Add(time.Hour).Unix()), nil, http.StatusForbidden},
		"not signed":             {algorithm("none"), nil, http.StatusForbidden},
		"signed with the secret": {algorithm("HS256"), nil, http.StatusForbidden},
		"nobody signed in":       {func(i *oidctest.Issuer) { i.Deny = true }, nil, http.StatusForbidden},
		"another secret":         {func(i *oidctest.Issuer) { i.Secret = "another" }, nil, http.StatusServiceUnavailable},
		"away at the end": {nil, func(h *house, _ *browser, back string) string {
			h.issuer.Set(func(i *oidctest.Issuer) { i.Down = true })
			return back
		}, http.StatusServiceUnavailable},
		"no code":                     {nil, func(h *house, _ *browser, back string) string { return with(h.t, back, "code", "") }, http.StatusForbidden},
		"a code that was guessed":     {nil, func(h *house, _ *browser, back string) string { return with(h.t, back, "code", "guess") }, http.StatusForbidden},
		"an answer of another issuer": {nil, func(h *house, _ *browser, back string) string { return with(h.t, back, "iss", "https://evil.test") }, http.StatusForbidden},
		"another state":               {nil, func(h *house, _ *browser, back string) string { return with(h.t, back, "state", "another") }, http.StatusForbidden},
		"no state":                    {nil, func(h *house, _ *browser, back string) string { return with(h.t, back, "state", "") }, http.StatusForbidden},
		"in another browser":          {nil, func(_ *house, b *browser, back string) string { clear(b.cookies); return back }, http.StatusForbidden},
		"a cookie that was altered": {nil, func(_ *house, b *browser, back string) string {
			for name, value := range b.cookies {
				b.cookies[name] = "A" + value[1:]
			}
			return back
		}, http.StatusForbidden},
		"too late": {nil, func(h *house, _ *browser, back string) string { h.now = noon.Add(16 * time.Minute); return back }, http.StatusForbidden},
		"a second time": {nil, func(_ *house, b *browser, back string) string {
			b.get(back)
			clear(b.cookies) // but for what it takes to try it once more, which the browser has not
			return back
		}, http.StatusForbidden},
		"a second time, with the cookie kept": {nil, func(h *house, b *browser, back string) string {
			kept := map[string]string{}
			for name, value := range b.cookies {
				kept[name] = value
			}
			b.get(back)
			b.cookies = kept
			return back
		}, http.StatusForbidden},
		"somebody else's code": {nil, func(h *house, _ *browser, back string) string {
			other := h.browser()
			theirs := other.goes(other.get("/enroll/sign-in"))
			_, code, _ := strings.Cut(theirs, "code=")
			code, _, _ = strings.Cut(code, "&")
			return with(h.t, back, "code", code)
		}, http.StatusForbidden},
		"somebody else's sign-in": {nil, func(h *house, _ *browser, _ string) string { // who would have the victim enrol for him
			other := h.browser()
			return other.goes(other.get("/enroll/sign-in"))
		}, http.StatusForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			h.now = noon
			h.output.Reset()
			h.issuer.Set(func(i *oidctest.Issuer) {
				i.Algorithm, i.Alter, i.Deny, i.Down, i.Secret = "RS256", nil, false, false, h.door.OIDC.Secret
				if c.issuer != nil {
					c.issuer(i)
				}
			})
			b := h.browser()
			back := b.goes(b.get("/enroll/sign-in"))
			if c.meanwhile != nil {
				back = c.meanwhile(h, b, back)
			}
			rec := b.get(back)
			if rec.Code != c.status || !strings.Contains(rec.Body.String(), "What you can do") || strings.Contains(rec.Header().Get("Location"), "signed-in") {
				t.Errorf("%d %s", rec.Code, rec.Body)
			}
			if rec := b.get("/enroll/signed-in/profile.mobileconfig"); rec.Code != http.StatusForbidden {
				t.Errorf("a profile is answered with %d", rec.Code)
			}
			if said := h.output.String(); strings.Contains(said, "s3cret") || strings.Contains(said, "ada@") || strings.Contains(said, "code=") {
				t.Errorf("the log says %s", said)
			}
		})
	}
}

// Keys may change at any time: the next sign-in is believed by the new ones, and none by the old.
func TestTheIssuersKeysChange(t *testing.T) {
	h := build(t, organisation)
	signIn := func() *httptest.ResponseRecorder {
		b := h.browser()
		return b.get(b.goes(b.get("/enroll/sign-in")))
	}
	for range 3 {
		if rec := signIn(); rec.Code != http.StatusSeeOther {
			t.Fatalf("%d %s", rec.Code, rec.Body)
		}
		h.issuer.Rotate()
	}
}

// The client shows its secret in the way that the issuer wants, at once: a code is good for one attempt.
func TestHowTheClientShowsItsSecret(t *testing.T) {
	for _, method := range []string{"client_secret_basic", "client_secret_post", "none"} {
		h := build(t, organisation)
		h.issuer.Set(func(i *oidctest.Issuer) { i.Methods = []string{method} })
		if method == "none" {
			h.door.OIDC.Secret = ""
		}
		b := h.browser()
		if rec := b.get(b.goes(b.get("/enroll/sign-in"))); rec.Code != http.StatusSeeOther {
			t.Errorf("%s: %d %s", method, rec.Code, rec.Body)
		}
	}
}

// While the organisation's sign-in is away, everything else goes on, and it is found again when it is back.
func TestTheIssuerIsAway(t *testing.T) {
	h := build(t, organisation)
	h.issuer.Set(func(i *oidctest.Issuer) { i.Down = true })
	b := h.browser()
	for range 2 {
		if rec := b.get("/enroll/sign-in"); rec.Code != http.StatusServiceUnavailable || !strings.Contains(rec.Body.String(), "a link or a code") {
			t.Errorf("away: %d %s", rec.Code, rec.Body)
		}
	}
	if n := strings.Count(h.output.String(), "--oidc-issuer"); n != 1 {
		t.Errorf("the log says so %d times, want once: %s", n, h.output.String())
	}
	h.profileOf(b.get(h.link("default") + "/profile.mobileconfig"))
	h.profileOf(h.ask(http.MethodPost, strings.Replace(h.link("default"), "/enroll/", "/enroll/ade/", 1), h.told(phone)))
	h.issuer.Set(func(i *oidctest.Issuer) { i.Down = false })
	h.now = noon.Add(3 * time.Second)
	if rec := b.get(b.goes(b.get("/enroll/sign-in"))); rec.Code != http.StatusSeeOther {
		t.Errorf("back again: %d %s", rec.Code, rec.Body)
	}
	h.issuer.Set(func(i *oidctest.Issuer) { i.Down = true }) // what it said before is still good for a start
	h.now = noon.Add(2 * time.Hour)
	if rec := b.get("/enroll/sign-in"); rec.Code != http.StatusFound {
		t.Errorf("away again: %d %s", rec.Code, rec.Body)
	}
}

// Nobody is sent anywhere but to the issuer, to a page of this server, or back into Settings.
func TestNoOpenRedirect(t *testing.T) {
	h := build(t, organisation)
	for _, more := range []string{"?next=https://evil.test", "?redirect_uri=https://evil.test", "?return=//evil.test", "?user-identifier=https://evil.test"} {
		b := h.browser()
		rec := b.get("/enroll/sign-in" + more)
		if where := rec.Header().Get("Location"); strings.Contains(where, "evil") || !strings.HasPrefix(where, h.issuer.URL+"/") {
			t.Errorf("%s leads to %s", more, where)
		}
		if where := b.get(b.goes(rec) + "&next=https://evil.test").Header().Get("Location"); where != "/enroll/signed-in" {
			t.Errorf("%s ends at %s", more, where)
		}
	}
}

// A visitor's cookie is made when he has signed in. One that was there before, be it good or not, is not taken over.
func TestNoSessionIsFixed(t *testing.T) {
	h := build(t, organisation)
	thief := h.browser()
	thief.get(thief.goes(thief.get("/enroll/sign-in")))
	planted := thief.cookies["__Host-rollcall-visitor"]
	h.issuer.Set(func(i *oidctest.Issuer) {
		i.User = oidctest.Claims{"sub": "7", "email": "bob@example.com", "email_verified": true}
	})
	bob := h.browser()
	bob.cookies["__Host-rollcall-visitor"] = planted
	bob.get(bob.goes(bob.get("/enroll/sign-in")))
	if own := bob.cookies["__Host-rollcall-visitor"]; own == planted || own == "" {
		t.Error("bob goes on with the cookie that was planted")
	}
	if got := h.vouched(h.profileOf(bob.get("/enroll/signed-in/profile.mobileconfig"))); got.Person.Account != "bob@example.com" {
		t.Errorf("he is %+v", got)
	}
	for name, value := range map[string]string{"__Host-rollcall-visitor": bob.cookies["__Host-rollcall-visitor"] + "A", "rollcall-visitor": planted} {
		b := h.browser()
		b.cookies[name] = value
		if rec := b.get("/enroll/signed-in/profile.mobileconfig"); rec.Code != http.StatusForbidden {
			t.Errorf("with the cookie %s: %d", name, rec.Code)
		}
	}
}
