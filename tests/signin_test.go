package tests

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"strings"
	"testing"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/challenge"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/handlers/enroll/oidctest"
	"github.com/rollcall-mdm/rollcall/handlers/mdm/mdmtest"
)

// A webView is a browser that keeps cookies and follows redirects, as one on a device does.
type webView struct {
	h      *host
	client *http.Client
}

func (h *host) webView() *webView {
	jar, _ := cookiejar.New(nil) // never fails
	return &webView{h, &http.Client{Jar: jar, CheckRedirect: func(req *http.Request, _ []*http.Request) error {
		if req.URL.Scheme != "http" {
			return http.ErrUseLastResponse // back into Settings
		}
		return nil
	}}}
}

// get opens a page, and returns where it ends.
func (w *webView) get(path string, headers ...string) (status int, body []byte, header http.Header) {
	w.h.t.Helper()
	req, err := http.NewRequestWithContext(w.h.t.Context(), http.MethodGet, w.h.url()+path, nil)
	if err != nil {
		w.h.t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := w.client.Do(req)
	if err != nil {
		w.h.t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err = io.ReadAll(resp.Body); err != nil {
		w.h.t.Fatal(err)
	}
	return resp.StatusCode, body, resp.Header
}

// The three roads on which somebody signs in at the organisation, from the first contact to a command that was answered. Who it
// was stands with the device, and nowhere else.
func TestSigningInLeadsIn(t *testing.T) {
	h := newHost(t)
	issuer := oidctest.Start("rollcall", "s3cret", h.url()+"/enroll/callback")
	t.Cleanup(issuer.Close)
	issuer.User = oidctest.Claims{"sub": "2482", "email": "ada@example.com", "email_verified": true, "name": "Ada Lovelace"}
	issuer.Down = true // the server starts all the same
	h.more = []string{"--account-driven", "byod", "--oidc-issuer", issuer.URL, "--oidc-client-id", "rollcall", "--oidc-domain", "example.com"}
	h.env = []string{"ROLLCALL_OIDC_CLIENT_SECRET=s3cret"}
	h.start()
	h.pushable()
	if status, body, _ := h.webView().get("/enroll/sign-in"); status != http.StatusServiceUnavailable || !strings.Contains(string(body), "a link or a code") {
		t.Errorf("while the organisation is away: %d %s", status, body)
	}
	issuer.Set(func(i *oidctest.Issuer) { i.Down = false })
	until(t, "the organisation is found again", func() bool {
		status, _, _ := h.webView().get("/enroll/sign-in")
		return status == http.StatusOK
	})
	apple, err := mdmtest.NewCA("Apple iPhone Device CA")
	if err != nil {
		t.Fatal(err)
	}
	seed := uint64(0)
	come := func(t *testing.T) (*wayfarer, []byte) {
		seed++
		built, err := apple.Issue(fmt.Sprint("device ", seed))
		if err != nil {
			t.Fatal(err)
		}
		d := mdmtest.New(seed, mdmtest.IOS)
		d.Proof = mdmtest.Proof{Way: mdmtest.BySignature}
		w := &wayfarer{Device: d, h: h, built: built}
		message, err := w.MachineInfo(built, nil)
		if err != nil {
			t.Fatal(err)
		}
		return w, message
	}
	arrives := func(w *wayfarer, status int, profile []byte, road string) {
		w.h.t.Helper()
		if status != http.StatusOK {
			w.h.t.Fatalf("the answer is %d %s", status, profile)
		}
		w.arrives(profile, road+" (invitation default), brought by ada@example.com (Ada Lovelace, as "+issuer.URL+" says)")
		told := fmt.Sprint(w.h.ask(fmt.Sprintf(`{ device(id: %q) { facts(prefix: "enrollment.account") { key value } } }`, w.ID())))
		if !strings.Contains(told, "enrollment.account value:ada@example.com") || !strings.Contains(told, "enrollment.accountVouchedBy value:"+issuer.URL) {
			w.h.t.Errorf("the facts are %s", told)
		}
	}
	t.Run("on a page", func(t *testing.T) {
		w, _ := come(t)
		view := h.webView()
		if _, page, _ := view.get("/enroll/sign-in"); !strings.Contains(string(page), "signed in as ada@example.com") {
			t.Fatalf("the page is %s", page)
		}
		status, profile, _ := view.get("/enroll/signed-in/profile.mobileconfig")
		arrives(w, status, profile, "by a profile that was loaded")
	})
	t.Run("in Setup Assistant", func(t *testing.T) {
		w, message := come(t)
		status, profile, header := h.webView().get("/enroll/ade/sign-in", "x-apple-aspen-deviceinfo", base64.StdEncoding.EncodeToString(message))
		if header.Get("Content-Type") != "application/x-apple-aspen-config" {
			t.Fatalf("the web view ends with %s", header.Get("Content-Type"))
		}
		arrives(w, status, profile, "by Automated Device Enrollment")
	})
	t.Run("in Settings", func(t *testing.T) {
		w, _ := come(t)
		w.MakeUserEnrolment()
		message, err := w.MachineInfo(w.built, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _, header := h.fetchAll(http.MethodPost, "/enroll/account/byod", message)
		_, where, _ := strings.Cut(header.Get("WWW-Authenticate"), `url="`+h.url())
		_, page, _ := h.webView().get(strings.TrimSuffix(where, `"`) + "?user-identifier=ada%40example.com")
		_, begin, _ := strings.Cut(string(page), `<a class="go" href="`)
		begin, _, _ = strings.Cut(begin, `"`)
		_, _, header = h.webView().get(begin)
		_, token, _ := strings.Cut(header.Get("Location"), "access-token=")
		status, profile := h.fetch(http.MethodPost, "/enroll/account/byod", message, "Authorization", "Bearer "+token)
		arrives(w, status, profile, "by a Managed Apple Account")
	})
	t.Run("of another domain", func(t *testing.T) {
		issuer.Set(func(i *oidctest.Issuer) {
			i.User = oidctest.Claims{"sub": "6", "email": "eve@example.org", "email_verified": true}
		})
		if status, body, _ := h.webView().get("/enroll/sign-in"); status != http.StatusForbidden || !strings.Contains(string(body), "of this domain") {
			t.Errorf("the answer is %d %s", status, body)
		}
	})
	h.stop()
	if said := h.said.String(); strings.Contains(said, "ada@example.com") || strings.Contains(said, "s3cret") {
		t.Error("who signed in, or the secret, stands in the server's log")
	}
	vouched, brought := 0, 0
	for _, r := range h.open().history() {
		switch e := r.event.(type) {
		case challenge.Vouched:
			vouched++
			if e.Person != (domain.Person{}) {
				t.Errorf("what the device's own events keep can still be read beside them: %+v", e)
			}
		case device.Authenticated:
			if e.Person.Account == "ada@example.com" {
				brought++
			}
		}
	}
	if vouched != 3 || brought != 3 {
		t.Errorf("%d signed in, %d devices were brought; want three of each", vouched, brought)
	}
}
