package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/handlers/mdm/mdmtest"
)

// simulated runs a real server and returns a simulation of it, with the server's CA made beforehand.
func simulated(t *testing.T) *simulateCmd {
	t.Helper()
	dir := t.TempDir()
	s := &simulateCmd{
		Devices: 6, Concurrency: 4, Commands: 5, Seed: 1, Identity: "header:X-Ssl-Client-Cert", JSON: true,
		DeviceCA: filepath.Join(dir, "ca.pem"), DeviceCAKey: filepath.Join(dir, "ca-key.pem"),
		Token: "@" + filepath.Join(dir, "data", "admin-token"), Out: &bytes.Buffer{}, Err: &bytes.Buffer{},
	}
	if _, err := s.ca(); err != nil {
		t.Fatal(err)
	}
	srv, err := openServer(t.Context(), settings{
		Data: filepath.Join(dir, "data"), Listen: "127.0.0.1:0", URL: "http://127.0.0.1", PlainHTTP: true, Views: "sqlite",
		Identity: []string{s.Identity}, Proxies: []string{"127.0.0.0/8"}, DeviceCA: []string{s.DeviceCA}, MaxBody: 8 << 20,
		LogFormat: "text", LogLevel: "error", Drain: 5 * time.Second,
	}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- srv.run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := errors.Join(<-ended, srv.close()); err != nil {
			t.Error(err)
		}
	})
	s.URL = "http://" + srv.listener.Addr().String()
	return s
}

// through puts a proxy before the server, which may answer in its place.
func (s *simulateCmd) through(t *testing.T, spoil func(http.ResponseWriter, *http.Request) bool) {
	t.Helper()
	at, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	pass := httputil.NewSingleHostReverseProxy(at)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !spoil(w, r) {
			pass.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(proxy.Close)
	s.URL = proxy.URL
}

func (s *simulateCmd) result(t *testing.T) (r simulation) {
	t.Helper()
	if err := json.Unmarshal(s.Out.(*bytes.Buffer).Bytes(), &r); err != nil {
		t.Fatalf("%v in %s", err, s.Out)
	}
	return r
}

func TestSimulateAgainstTheRealServer(t *testing.T) {
	for _, byGraphQL := range []bool{false, true} {
		s := simulated(t)
		s.GraphQL, s.NotNow, s.Errors, s.Users = byGraphQL, 0.2, 0.1, true
		if err := s.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		r := s.result(t)
		ends := r.Outcomes["Acknowledged"] + r.Outcomes["Error"]
		if len(r.Phases) != 4 || ends != 30 || r.Lost+r.Doubled+r.Disorder+r.Unasked != 0 {
			t.Errorf("by GraphQL %v: %+v", byGraphQL, r)
		}
	}
}

func TestSimulateFailsWhenACommandIsLost(t *testing.T) {
	s := simulated(t)
	var n atomic.Int32
	s.through(t, func(_ http.ResponseWriter, r *http.Request) bool {
		return strings.HasPrefix(r.URL.Path, "/v1/enqueue/") && n.Add(1) == 3 // says 200 and forgets it
	})
	if err := s.Run(t.Context()); err == nil || s.result(t).Lost != 1 {
		t.Errorf("%v; %d lost", err, s.result(t).Lost)
	}
}

func TestSimulateFailsWhenTheProtocolIsBroken(t *testing.T) {
	s := simulated(t)
	var n atomic.Int32
	again := mdmtest.RawCommand(mdmtest.Inventory[1], "AGAIN")
	s.through(t, func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/mdm" || n.Add(1) < 30 {
			return false
		}
		w.Header().Set("Content-Type", "application/xml")
		_, _ = w.Write(again)
		return true
	})
	if err := s.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "broke the protocol") {
		t.Errorf("%v", err)
	}
}

func TestSimulateKeepsItsCA(t *testing.T) {
	dir := t.TempDir()
	s := &simulateCmd{DeviceCA: filepath.Join(dir, "ca.pem"), DeviceCAKey: filepath.Join(dir, "key.pem"), Err: &bytes.Buffer{}}
	first, err := s.ca()
	if err != nil {
		t.Fatal(err)
	}
	second, err := s.ca()
	if err != nil || !first.Certificate.Equal(second.Certificate) {
		t.Errorf("another CA the second time, or %v", err)
	}
	if said := s.Err.(*bytes.Buffer).String(); strings.Count(said, "--device-ca "+s.DeviceCA) != 1 {
		t.Errorf("it said %q", said)
	}
	if info, err := os.Stat(s.DeviceCAKey); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key's file: %v, %v", info, err)
	}
}

func TestSimulateRefusesWhatCannotWork(t *testing.T) {
	for name, change := range map[string]func(*simulateCmd){
		"a share over 1":                 func(s *simulateCmd) { s.NotNow = 1.5 },
		"no devices":                     func(s *simulateCmd) { s.Devices = 0 },
		"commands, no token":             func(s *simulateCmd) { s.Token = "" },
		"a token file that is not there": func(s *simulateCmd) { s.Token = "@/nowhere/token" },
		"an unknown identity":            func(s *simulateCmd) { s.Identity = "password" },
		"a CA that is rubbish":           func(s *simulateCmd) { s.DeviceCA = os.Args[0] },
	} {
		dir := t.TempDir()
		s := &simulateCmd{
			Devices: 1, Concurrency: 1, Commands: 1, Token: "t", Identity: "mtls", URL: "http://127.0.0.1:1", Out: &bytes.Buffer{}, Err: &bytes.Buffer{},
			DeviceCA: filepath.Join(dir, "ca.pem"), DeviceCAKey: filepath.Join(dir, "key.pem"),
		}
		change(s)
		if err := s.Run(t.Context()); err == nil || s.Out.(*bytes.Buffer).Len() > 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}
