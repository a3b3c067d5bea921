package mdmtest_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rollcall-mdm/rollcall/handlers/mdm/mdmtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// parrot answers with what it got, in the manner that the URL asks for.
func parrot(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	w.Header().Set("Content-Type", "application/xml")
	switch r.URL.Path {
	case "/close":
		w.Header().Set("Connection", "close")
	case "/chunked":
		_ = http.NewResponseController(w).Flush() // a Local cannot, and need not
	case "/refuse":
		w.WriteHeader(http.StatusBadRequest)
	case "/silent":
		return
	}
	_, _ = w.Write([]byte(r.Method + r.URL.RawQuery + r.Header.Get("X-Proof") + r.Header.Get("Content-Type")))
	_, _ = w.Write(body)
}

func TestWiresAgree(t *testing.T) {
	var connections atomic.Int32
	srv := httptest.NewUnstartedServer(http.HandlerFunc(parrot))
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}
	srv.Start()
	defer srv.Close()
	direct, big := &mdmtest.Direct{}, strings.Repeat("b", 300_000)
	defer direct.Close()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	wires := map[string]mdmtest.Wire{
		"direct": direct, "net/http": mdmtest.Roundabout{RoundTripper: transport},
		"local": mdmtest.Roundabout{RoundTripper: mdmtest.Local{Handler: http.HandlerFunc(parrot)}},
	}
	for name, wire := range wires {
		for _, path := range []string{"/", "/?a=b&c", "/chunked", "/refuse", "/silent", "/"} {
			for _, body := range []string{"", "small", big} {
				a, err := wire.Send(t.Context(), mdmtest.Request{URL: srv.URL + path, ContentType: "text/x", Header: [2]string{"X-Proof", "me"}, Body: []byte(body)})
				_, query, _ := strings.Cut(path, "?")
				status, want := 200, "PUT"+query+"metext/x"+body
				if path == "/refuse" {
					status = 400
				}
				if path == "/silent" {
					want = ""
				}
				if err != nil || a.Status != status || string(a.Body) != want || a.ContentType != "application/xml" {
					t.Errorf("%s %s: %d %q, %d bytes, %v", name, path, a.Status, a.ContentType, len(a.Body), err)
				}
			}
		}
		if n := connections.Swap(0); n > 1 {
			t.Errorf("%s made %d connections for one device", name, n)
		}
	}
}

func TestDirectSurvivesClosedConnections(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(parrot))
	defer srv.Close()
	wire := &mdmtest.Direct{}
	defer wire.Close()
	for range 3 {
		for _, path := range []string{"/", "/close", "/"} {
			a, err := wire.Send(t.Context(), mdmtest.Request{URL: srv.URL + path, Body: []byte("x")})
			if err != nil || a.Status != 200 {
				t.Errorf("%s: %v", path, err)
			}
		}
		srv.CloseClientConnections() // the next message finds its kept connection dead
	}
}

func TestDirectEndsWithItsContext(t *testing.T) {
	release := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer srv.Close()
	defer close(release)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err := (&mdmtest.Direct{}).Send(ctx, mdmtest.Request{URL: srv.URL})
	if err == nil || time.Since(start) > 10*time.Second {
		t.Errorf("after %v: %v", time.Since(start), err)
	}
}

func TestDirectNamesWhatIsNoHTTP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var served sync.WaitGroup
	served.Go(func() {
		for _, answer := range []string{"SMTP ready, how do you do\r\n", "HTTP/1.1 2", ""} {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte(answer))
			_ = conn.Close()
		}
	})
	for range 3 {
		if a, err := (&mdmtest.Direct{}).Send(t.Context(), mdmtest.Request{URL: "http://" + l.Addr().String()}); err == nil {
			t.Errorf("it was taken for an answer: %+v", a)
		}
	}
	_ = l.Close()
	served.Wait()
	var refused *net.OpError
	if _, err := (&mdmtest.Direct{}).Send(t.Context(), mdmtest.Request{URL: "http://" + l.Addr().String()}); !errors.As(err, &refused) {
		t.Errorf("nobody was there, but: %v", err)
	}
}

// TestDevicesOverTLS shows their certificate in the handshake.
func TestDevicesOverTLS(t *testing.T) {
	ca, err := mdmtest.NewCA("Test CA")
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(t)
	srv := httptest.NewUnstartedServer(s)
	srv.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: x509.NewCertPool()}
	srv.TLS.ClientCAs.AddCert(ca.Certificate)
	srv.StartTLS()
	defer srv.Close()
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	fleet := mdmtest.Fleet{Size: 3, Server: mdmtest.ServerAt(srv.URL), CA: ca, TLS: &tls.Config{RootCAs: roots}}
	devices, err := fleet.Make()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range devices {
		enrol(t, d)
		d.Wire.(*mdmtest.Direct).Close()
	}
	for _, m := range s.messages {
		if !m.tls {
			t.Errorf("%s came without a certificate", m.text("MessageType"))
		}
	}
}
