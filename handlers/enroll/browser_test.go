package enroll_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/challenge"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/handlers/enroll"
	"github.com/rollcall-mdm/rollcall/handlers/enroll/oidctest"
)

// organisation gives a house an organisation's sign-in, at which ada signs in.
func organisation(h *house) {
	h.issuer = oidctest.Start("rollcall", "s3cret & more", "https://mdm.example.com/enroll/callback")
	h.t.Cleanup(h.issuer.Close)
	h.issuer.User = oidctest.Claims{"sub": "2482", "email": "ada@example.com", "email_verified": true, "name": "Ada Lovelace"}
	h.issuer.Now = h.clock
	h.door.OIDC = &enroll.OIDC{
		Issuer: h.issuer.URL, ClientID: h.issuer.ClientID, Secret: h.issuer.Secret, Redirect: h.issuer.Redirect,
		Invitation: "default", Now: h.clock, Log: h.door.Log,
	}
	h.door.Account = "byod"
}

// A browser keeps cookies. It follows no redirect by itself.
type browser struct {
	h       *house
	cookies map[string]string
}

func (h *house) browser() *browser { return &browser{h, map[string]string{}} }

// get asks our server.
func (b *browser) get(path string, headers ...string) *httptest.ResponseRecorder {
	b.h.t.Helper()
	for name, value := range b.cookies {
		headers = append(headers, "Cookie", name+"="+value)
	}
	req := httptest.NewRequestWithContext(b.h.t.Context(), http.MethodGet, path, nil)
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	rec := httptest.NewRecorder()
	b.h.web.ServeHTTP(rec, req)
	for _, c := range rec.Result().Cookies() {
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
			continue
		}
		if !c.HttpOnly || !c.Secure || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || !strings.HasPrefix(c.Name, "__Host-") || c.MaxAge > 3600 {
			b.h.t.Errorf("the cookie is %s", c)
		}
		b.cookies[c.Name] = c.Value
	}
	return rec
}

// goes signs in at the organisation, whither an answer must lead, and returns the address to which that sends back.
func (b *browser) goes(rec *httptest.ResponseRecorder) string {
	b.h.t.Helper()
	where := rec.Header().Get("Location")
	if rec.Code != http.StatusFound || !strings.HasPrefix(where, b.h.issuer.URL+"/authorize?") {
		b.h.t.Fatalf("the answer is %d %s %s", rec.Code, where, rec.Body)
	}
	return b.authorize(where)
}

func (b *browser) authorize(where string) string {
	b.h.t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	req, err := http.NewRequestWithContext(b.h.t.Context(), http.MethodGet, where, nil)
	if err != nil {
		b.h.t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		b.h.t.Fatal(err)
	}
	_ = resp.Body.Close()
	back, is := strings.CutPrefix(resp.Header.Get("Location"), "https://mdm.example.com")
	if resp.StatusCode != http.StatusFound || !is {
		b.h.t.Fatalf("the organisation answers %d %s", resp.StatusCode, resp.Header.Get("Location"))
	}
	return back
}

// with changes the query of an address.
func with(t *testing.T, address, key, value string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set(key, value)
	u.RawQuery = q.Encode()
	return u.String()
}

// vouched returns who signed in to get the challenge in a profile, as the log tells.
func (h *house) vouched(p map[string]any) (e challenge.Vouched) {
	h.t.Helper()
	for env, err := range h.log.ReadStream(h.t.Context(), eventstore.Stream{Kind: challenge.Kind, ID: h.grant(p).By}, 0, eventstore.Forward) {
		if err != nil {
			h.t.Fatal(err)
		}
		var event domain.Event
		if event, err = h.codec.Decode(env); err != nil {
			h.t.Fatal(err)
		}
		if strings.Contains(string(env.Data), "ada@") {
			h.t.Errorf("who signed in stands in the clear: %s", env.Data)
		}
		e, _ = event.(challenge.Vouched)
	}
	return e
}
