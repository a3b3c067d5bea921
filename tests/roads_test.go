package tests

import (
	"bytes"
	"cmp"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smallstep/pkcs7"
	"howett.net/plist"

	"github.com/rollcall-mdm/rollcall/handlers/mdm/mdmtest"
	"github.com/rollcall-mdm/rollcall/handlers/push/apnstest"
)

// A wayfarer is a device on its way in.
type wayfarer struct {
	*mdmtest.Device
	h     *host
	built mdmtest.Identity
	by    string // the invitation; the default one if empty
}

// pushable gives the host a push certificate, so that whoever enrols can be woken.
func (h *host) pushable() {
	h.t.Helper()
	apple, err := apnstest.Start(apnstest.Options{})
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = apple.Close() })
	certificate, key, err := apple.PushCertificate(mdmtest.DefaultTopic, time.Now().AddDate(1, 0, 0))
	if err != nil {
		h.t.Fatal(err)
	}
	if status, body := h.fetch(http.MethodPut, h.url()+"/v1/pushcert", append(certificate, key...), "Authorization", basic(h.token())[1]); status != http.StatusOK {
		h.t.Fatalf("the push certificate is answered with %d %s", status, body)
	}
}

// fetch sends a request and returns the answer. It follows no redirects.
func (h *host) fetch(method, address string, body []byte, headers ...string) (status int, text []byte) {
	h.t.Helper()
	status, text, _ = h.fetchAll(method, address, body, headers...)
	return status, text
}

func (h *host) fetchAll(method, address string, body []byte, headers ...string) (status int, text []byte, header http.Header) {
	h.t.Helper()
	if strings.HasPrefix(address, "/") {
		address = h.url() + address
	}
	req, err := http.NewRequestWithContext(h.t.Context(), method, address, bytes.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, err = io.ReadAll(resp.Body); err != nil {
		h.t.Fatal(err)
	}
	return resp.StatusCode, text, resp.Header
}

// link returns the path of the default invitation's link.
func (h *host) link() string { return h.linkOf("default") }

// linkOf returns the path of an invitation's link.
func (h *host) linkOf(id string) string {
	h.t.Helper()
	link, _ := h.ask(fmt.Sprintf(`{ enrolmentLink(invitation: %q) }`, id))["enrolmentLink"].(string)
	u, err := url.Parse(link)
	if err != nil || u.Path == "" {
		h.t.Fatalf("the link is %q", link)
	}
	return u.Path
}

// arrives has a device that has a profile enrol, answer a DeviceInformation, and stand in the timeline with its road.
func (w *wayfarer) arrives(profile []byte, road string) {
	w.h.t.Helper()
	ctx := bounded(w.h.t)
	if err := w.EnrolBy(ctx, profile); err != nil {
		w.h.t.Fatal(err)
	}
	w.h.ask(fmt.Sprintf(`mutation { sendCommand(input: { devices: [%q], requestType: "DeviceInformation", parameters: { Queries: ["OSVersion"] } }) { commands { uuid } } }`, w.ID()))
	if _, err := w.Session(ctx); err != nil {
		w.h.t.Fatal(err)
	}
	told := fmt.Sprint(w.h.ask(fmt.Sprintf(`{ device(id: %q) { status timeline(last: 20) { edges { node { summary } } } commands { edges { node { state } } }
		facts(prefix: "enrollment.") { key value } } }`, w.ID())))
	for _, want := range []string{"status:ENROLLED", road, "(invitation " + cmp.Or(w.by, "default") + ")", "state:ACKNOWLEDGED", "enrollment.road"} {
		if !strings.Contains(told, want) {
			w.h.t.Errorf("%s is not told: %s", want, told)
		}
	}
}

// serviceChallenge returns the challenge in the first profile of the over-the-air road.
func serviceChallenge(t *testing.T, profile []byte) string {
	t.Helper()
	message, err := pkcs7.Parse(profile)
	if err != nil {
		t.Fatal(err)
	}
	var service struct {
		PayloadContent struct{ Challenge string }
	}
	if _, err := plist.Unmarshal(message.Content, &service); err != nil || service.PayloadContent.Challenge == "" {
		t.Fatalf("it has no challenge: %v", err)
	}
	return service.PayloadContent.Challenge
}

// Each road that Apple names, from the first contact to a command that was answered: the program as it is served, and a device
// that gets its identity by SCEP.
func TestEveryRoadLeadsIn(t *testing.T) {
	apple, err := mdmtest.NewCA("Apple iPhone Device CA")
	if err != nil {
		t.Fatal(err)
	}
	h := newHost(t)
	roots := filepath.Join(t.TempDir(), "apple.pem")
	if err := os.WriteFile(roots, apple.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	h.more = []string{"--apple-device-ca", roots, "--account-driven", "byod", "--organization", "Example"}
	h.start()
	if status, body := h.fetch(http.MethodGet, "/enroll/default.mobileconfig", nil, "Authorization", "Bearer "+h.token()); status != http.StatusConflict || !strings.Contains(string(body), "push certificate") {
		t.Errorf("without a push certificate a profile is answered with %d %s", status, body)
	}
	h.pushable()
	seed := uint64(0)
	come := func(t *testing.T) *wayfarer {
		seed++
		built, err := apple.Issue(fmt.Sprint("device ", seed))
		if err != nil {
			t.Fatal(err)
		}
		d := mdmtest.New(seed, mdmtest.IOS)
		d.Proof = mdmtest.Proof{Way: mdmtest.BySignature}
		return &wayfarer{Device: d, h: h, built: built}
	}
	told := func(w *wayfarer, more map[string]any) []byte {
		message, err := w.MachineInfo(w.built, more)
		if err != nil {
			t.Fatal(err)
		}
		return message
	}
	want := func(t *testing.T, status int, body []byte) []byte {
		t.Helper()
		if status != http.StatusOK {
			t.Fatalf("the answer is %d %s", status, body)
		}
		return body
	}
	t.Run("an operator's profile", func(t *testing.T) {
		status, body := h.fetch(http.MethodGet, "/enroll/default.mobileconfig?signed=false", nil, "Authorization", basic(h.token())[1])
		for range 2 { // as often as its invitation allows
			w := come(t)
			w.Proof = mdmtest.Proof{Way: mdmtest.BySignatureSHA1}
			w.arrives(want(t, status, body), "by a profile that was loaded")
		}
	})
	t.Run("a link", func(t *testing.T) {
		status, body := h.fetch(http.MethodGet, h.link()+"/profile.mobileconfig", nil)
		come(t).arrives(want(t, status, body), "by a profile that was loaded")
		if err := come(t).EnrolBy(bounded(t), body); err == nil {
			t.Error("a profile that is good once was good twice")
		}
	})
	t.Run("into a group, as long as there is room", func(t *testing.T) {
		h.ask(`mutation { createGroup(id: "carts", name: "Carts") { id } }`)
		h.ask(`mutation { invite(id: "carts", name: "Carts", group: "carts", limit: 1) { id } }`)
		link := h.linkOf("carts")
		status, body := h.fetch(http.MethodGet, link+"/profile.mobileconfig", nil)
		w := come(t)
		if err := w.EnrolBy(bounded(t), want(t, status, body)); err != nil {
			t.Fatal(err)
		}
		if told := fmt.Sprint(h.ask(`{ group(id: "carts") { devices { edges { node { serialNumber } } } } invitation(id: "carts") { used } }`)); !strings.Contains(told, w.SerialNumber) || !strings.Contains(told, "used:1") {
			t.Errorf("the group is %s", told)
		}
		if status, body := h.fetch(http.MethodGet, link+"/profile.mobileconfig", nil); status != http.StatusForbidden || !strings.Contains(string(body), "used up") {
			t.Errorf("a second device is answered with %d %s", status, body)
		}
	})
	t.Run("over the air", func(t *testing.T) {
		w := come(t)
		status, body := h.fetch(http.MethodGet, h.link()+"/ota.mobileconfig", nil)
		challenge := serviceChallenge(t, want(t, status, body))
		status, body = h.fetch(http.MethodPost, "/enroll/ota", told(w, map[string]any{"CHALLENGE": challenge}))
		own, err := mdmtest.IdentityBy(bounded(t), want(t, status, body))
		if err != nil {
			t.Fatal(err)
		}
		message, err := w.MachineInfo(own, map[string]any{"CHALLENGE": challenge})
		if err != nil {
			t.Fatal(err)
		}
		status, body = h.fetch(http.MethodPost, "/enroll/ota", message)
		if w.Identity = own; strings.Contains(string(body), "com.apple.mdm") {
			t.Error("whoever overhears the profile can read it")
		}
		w.arrives(want(t, status, body), "by the over-the-air profile service")
	})
	t.Run("automated", func(t *testing.T) {
		w := come(t)
		status, body := h.fetch(http.MethodPost, "/enroll/ade", told(w, nil))
		w.arrives(want(t, status, body), "by Automated Device Enrollment")
	})
	t.Run("by an account", func(t *testing.T) {
		w := come(t)
		w.MakeUserEnrolment()
		if _, body := h.fetch(http.MethodGet, "/.well-known/com.apple.remotemanagement?user-identifier=ada@example.com&model-family=iPhone", nil); !strings.Contains(string(body), "mdm-byod") {
			t.Errorf("discovered %s", body)
		}
		status, _, header := h.fetchAll(http.MethodPost, "/enroll/account/byod", told(w, nil))
		if status != http.StatusUnauthorized || !strings.Contains(header.Get("WWW-Authenticate"), "apple-as-web") {
			t.Fatalf("without a token: %d %v", status, header)
		}
		form := url.Values{"account": {"ada@example.com"}, "code": {strings.TrimPrefix(h.link(), "/enroll/")}}.Encode()
		_, _, header = h.fetchAll(http.MethodPost, "/enroll/account/byod/sign-in", []byte(form), "Content-Type", "application/x-www-form-urlencoded")
		_, token, _ := strings.Cut(header.Get("Location"), "access-token=")
		status, body := h.fetch(http.MethodPost, "/enroll/account/byod", told(w, nil), "Authorization", "Bearer "+token)
		w.arrives(want(t, status, body), "by a Managed Apple Account")
	})
	t.Run("somebody else's device", func(t *testing.T) {
		w := come(t)
		other, err := mdmtest.NewCA("Somebody else")
		if err != nil {
			t.Fatal(err)
		}
		if w.built, err = other.Issue("device"); err != nil {
			t.Fatal(err)
		}
		if status, body := h.fetch(http.MethodPost, "/enroll/ade", told(w, nil)); status != http.StatusForbidden {
			t.Errorf("the answer is %d %s", status, body)
		}
	})
	if block, _ := pem.Decode([]byte(h.said.String())); block != nil {
		t.Error("a key stands in the server's log")
	}
}

// A device that is to leave is told so by Apple's document, and comes in again as any other.
func TestADeviceIsToldToLeave(t *testing.T) {
	h := newHost(t)
	h.start()
	h.pushable()
	profile := func() []byte {
		_, body := h.fetch(http.MethodGet, "/enroll/default.mobileconfig?signed=false", nil, "Authorization", "Bearer "+h.token())
		return body
	}
	ctx := bounded(t)
	d := mdmtest.New(1, mdmtest.IOS)
	d.Proof = mdmtest.Proof{Way: mdmtest.BySignature}
	w := &wayfarer{Device: d, h: h}
	w.arrives(profile(), "by a profile")
	h.ask(fmt.Sprintf(`mutation { sendCommand(input: { devices: [%q], requestType: "SecurityInfo" }) { commands { uuid } } }`, d.ID()))
	h.ask(fmt.Sprintf(`mutation { unenrol(device: %q, reason: "sold") { status } }`, d.ID()))
	answer, err := d.Report(ctx, nil, "Idle", "", nil)
	if err != nil || answer.Status != http.StatusForbidden || !strings.Contains(string(answer.Body), `"com.apple.unrecognized.device"`) {
		t.Fatalf("the device is told %d %s, %v", answer.Status, answer.Body, err)
	}
	told := fmt.Sprint(h.ask(fmt.Sprintf(`{ device(id: %q) { status commands { edges { node { state } } } timeline(last: 10) { edges { node { type } } } } }`, d.ID())))
	for _, want := range []string{"status:CHECKED_OUT", "state:CANCELLED", "device.turned-away", "device.unenrolment-ordered"} {
		if !strings.Contains(told, want) {
			t.Errorf("%s is not told: %s", want, told)
		}
	}
	w.arrives(profile(), "by a profile")
}

// A device in quarantine stays managed and gets nothing, but for what an administrator lets pass.
func TestADeviceInQuarantineGetsNothing(t *testing.T) {
	h := newHost(t)
	h.start()
	ctx := bounded(t)
	d := h.fleet(mdmtest.Fleet{Size: 1})[0]
	if err := d.Enrol(ctx); err != nil {
		t.Fatal(err)
	}
	h.ask(fmt.Sprintf(`mutation { quarantine(device: %q, reason: "a strange network") { status } }`, d.ID()))
	h.ask(fmt.Sprintf(`mutation { sendCommand(input: { devices: [%q], requestType: "SecurityInfo" }) { commands { uuid } } }`, d.ID()))
	if done, err := d.Session(ctx); err != nil || len(done) != 0 {
		t.Errorf("it was handed %v, %v", done, err)
	}
	for message, keys := range map[string]map[string]any{"GetBootstrapToken": nil, "DeclarativeManagement": {"Endpoint": "tokens"}} {
		if answer, err := d.Say(ctx, message, keys); err != nil || answer.Status != http.StatusServiceUnavailable {
			t.Errorf("%s is answered with %d, %v", message, answer.Status, err)
		}
	}
	told := fmt.Sprint(h.ask(fmt.Sprintf(`{ device(id: %q) { status queue { waitingBecause } facts(prefix: "enrollment.quarantine") { key } } }`, d.ID())))
	for _, want := range []string{"status:ENROLLED", "a strange network", "enrollment.quarantine"} {
		if !strings.Contains(told, want) {
			t.Errorf("%s is not told: %s", want, told)
		}
	}
	h.ask(fmt.Sprintf(`mutation { liftQuarantine(device: %q, reason: "it was the hotel") { status } }`, d.ID()))
	if done, err := d.Session(ctx); err != nil || len(done) != 1 {
		t.Errorf("afterwards it was handed %v, %v", done, err)
	}
}
