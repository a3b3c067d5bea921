package apnstest_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rollcall-mdm/rollcall/handlers/push/apnstest"
)

const topic = "com.apple.mgmt.External.11111111-2222-4333-8444-555555555555"

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A client is a program that pushes.
type client struct {
	t   *testing.T
	url string
	web *http.Client
}

func connect(t *testing.T, s *apnstest.Server, topic string) *client {
	t.Helper()
	cert, key, err := s.PushCertificate(topic, time.Now().AddDate(1, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.CA)
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}}, ForceAttemptHTTP2: true,
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &client{t, s.URL, &http.Client{Transport: transport}}
}

func start(t *testing.T, o apnstest.Options) *apnstest.Server {
	t.Helper()
	s, err := apnstest.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func good() http.Header {
	h := http.Header{}
	h.Set("apns-topic", topic)
	h.Set("apns-push-type", "mdm")
	h.Set("apns-priority", "10")
	h.Set("apns-expiration", "1893456000")
	return h
}

// send sends a push and returns the status, the reason and the headers.
func (c *client) send(method, path string, header http.Header, body string) (int, string, http.Header) {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), method, c.url+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header = header
	w, err := c.web.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer w.Body.Close()
	var told struct{ Reason string }
	_ = json.NewDecoder(w.Body).Decode(&told)
	return w.StatusCode, told.Reason, w.Header
}

func TestItIsStrict(t *testing.T) {
	const path, body = "/3/device/cafe01", `{"mdm":"magic"}`
	set := func(name, value string) func(http.Header) { return func(h http.Header) { h.Set(name, value) } }
	s := start(t, apnstest.Options{Registered: true})
	s.Register(topic, "cafe01")
	s.Register("com.apple.mgmt.External.other", "cafe02")
	c := connect(t, s, topic)
	for _, test := range []struct {
		name, method, path, body string
		header                   func(http.Header)
		status                   int
		reason                   string
	}{
		{name: "as it should be", status: 200},
		{name: "priority 5", header: set("apns-priority", "5"), status: 200},
		{name: "with an id", header: set("apns-id", "123E4567-E89B-12D3-A456-42665544000A"), status: 200},
		{name: "another method", method: "PUT", status: 405, reason: "MethodNotAllowed"},
		{name: "another path", path: "/3/devices/cafe01", status: 404, reason: "BadPath"},
		{name: "no token", path: "/3/device/", status: 400, reason: "MissingDeviceToken"},
		{name: "a token that is not hex", path: "/3/device/xyz", status: 400, reason: "BadDeviceToken"},
		{name: "an unknown token", path: "/3/device/cafe03", status: 400, reason: "BadDeviceToken"},
		{name: "another topic's token", path: "/3/device/cafe02", status: 400, reason: "DeviceTokenNotForTopic"},
		{name: "no topic", header: func(h http.Header) { h.Del("apns-topic") }, status: 400, reason: "MissingTopic"},
		{name: "another topic", header: set("apns-topic", topic+"1"), status: 400, reason: "TopicDisallowed"},
		{name: "no MDM topic", header: set("apns-topic", "com.example.app"), status: 400, reason: "BadTopic"},
		{name: "an alert", header: set("apns-push-type", "alert"), status: 400, reason: "InvalidPushType"},
		{name: "no type", header: func(h http.Header) { h.Del("apns-push-type") }, status: 400, reason: "InvalidPushType"},
		{name: "priority 7", header: set("apns-priority", "7"), status: 400, reason: "BadPriority"},
		{name: "a strange expiration", header: set("apns-expiration", "soon"), status: 400, reason: "BadExpirationDate"},
		{name: "a strange id", header: set("apns-id", "7"), status: 400, reason: "BadMessageId"},
		{name: "a long collapse id", header: set("apns-collapse-id", strings.Repeat("x", 65)), status: 400, reason: "BadCollapseId"},
		{name: "a header twice", header: func(h http.Header) { h.Add("apns-topic", topic) }, status: 400, reason: "DuplicateHeaders"},
		{name: "an aps key", body: `{"aps":{},"mdm":"magic"}`, status: 400, reason: "PayloadEmpty"},
		{name: "no magic", body: `{"mdm":""}`, status: 400, reason: "PayloadEmpty"},
		{name: "null", body: `{"mdm":null}`, status: 400, reason: "PayloadEmpty"},
		{name: "something after it", body: body + body, status: 400, reason: "PayloadEmpty"},
		{name: "no JSON", body: `magic`, status: 400, reason: "PayloadEmpty"},
		{name: "too large", body: `{"mdm":"` + strings.Repeat("x", 4096) + `"}`, status: 413, reason: "PayloadTooLarge"},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := good()
			if test.header != nil {
				test.header(h)
			}
			pick := func(s, or string) string {
				if s == "" {
					return or
				}
				return s
			}
			status, reason, header := c.send(pick(test.method, "POST"), pick(test.path, path), h, pick(test.body, body))
			if status != test.status || reason != test.reason {
				t.Errorf("%d %s, want %d %s", status, reason, test.status, test.reason)
			}
			if id := header.Get("apns-id"); test.status == 200 && (len(id) != 36 || h.Get("apns-id") != "" && h.Get("apns-id") != id) {
				t.Errorf("apns-id is %q", id)
			}
		})
	}
}

func TestItWantsACertificateAndHTTP2(t *testing.T) {
	s := start(t, apnstest.Options{})
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.CA)
	bare := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}
	defer bare.CloseIdleConnections()
	if w, err := (&http.Client{Transport: bare}).Post(s.URL+"/3/device/cafe", "", nil); err == nil {
		t.Errorf("without a certificate: %s", w.Status)
	}
	old := connect(t, s, topic)
	old.web.Transport.(*http.Transport).ForceAttemptHTTP2 = false
	old.web.Transport.(*http.Transport).TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	w, err := old.web.Post(s.URL+"/3/device/cafe", "", nil)
	if err != nil {
		return // refused even earlier
	}
	defer w.Body.Close()
	if w.StatusCode != http.StatusHTTPVersionNotSupported {
		t.Errorf("HTTP/1: %s", w.Status)
	}
}

func TestDeadAndRevoked(t *testing.T) {
	s := start(t, apnstest.Options{})
	c := connect(t, s, topic)
	push := func() (int, string) {
		status, reason, _ := c.send("POST", "/3/device/cafe01", good(), `{"mdm":"m"}`)
		return status, reason
	}
	s.Unregister("cafe01", time.Now())
	if status, reason := push(); status != 410 || reason != "Unregistered" {
		t.Errorf("a dead token: %d %s", status, reason)
	}
	s.Register(topic, "cafe01")
	if status, _ := push(); status != 200 {
		t.Errorf("it lives again: %d", status)
	}
	s.Revoke(topic, true)
	if status, reason := push(); status != 403 || reason != "BadCertificate" {
		t.Errorf("a revoked certificate: %d %s", status, reason)
	}
}

func TestItRemembersTheNewestAndTellsItsDevices(t *testing.T) {
	var mu sync.Mutex
	var told []string
	s := start(t, apnstest.Options{Keep: 3, Delivered: func(topic, token, magic string) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, token+" "+magic)
	}})
	c := connect(t, s, topic)
	for _, token := range []string{"01", "02", "03", "04", "05"} {
		c.send("POST", "/3/device/"+token, good(), `{"mdm":"m`+token+`"}`)
	}
	var kept bytes.Buffer
	for _, p := range s.Pushes() {
		kept.WriteString(p.Token + " ")
	}
	if kept.String() != "03 04 05 " || len(told) != 5 || told[4] != "05 m05" {
		t.Errorf("kept %s, told %v", &kept, told)
	}
	if stats := s.Stats(); stats.Accepted != 5 || stats.Requests != 5 || stats.Connections != 1 || stats.Open != 1 {
		t.Errorf("%+v", stats)
	}
}

func TestCloseEndsWhatHangs(t *testing.T) {
	s := start(t, apnstest.Options{})
	arrived := make(chan bool)
	s.Fail(func(apnstest.Push) apnstest.Fault {
		close(arrived)
		return apnstest.Hang
	})
	c := connect(t, s, topic)
	ended := make(chan error, 1)
	go func() {
		r, _ := http.NewRequestWithContext(context.Background(), "POST", s.URL+"/3/device/cafe", strings.NewReader(`{"mdm":"m"}`))
		r.Header = good()
		w, err := c.web.Do(r)
		if err == nil {
			_ = w.Body.Close()
		}
		ended <- err
	}()
	<-arrived
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; err == nil {
		t.Error("a push that hung was answered")
	}
}
