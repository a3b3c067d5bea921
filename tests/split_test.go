package tests

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/eventstore/esdb/esdbtest"
	"github.com/rollcall-mdm/rollcall/eventstore/seal/pgtest"
	"github.com/rollcall-mdm/rollcall/handlers/mdm/mdmtest"
	"github.com/rollcall-mdm/rollcall/handlers/push/apnstest"
)

// shared is what servers share: a log, a keyring, and Apple.
type shared struct {
	t     *testing.T
	store *esdbtest.Server
	keys  string // its URL
	apple *apnstest.Server
	root  string // the file of Apple's
}

func newShared(t *testing.T) *shared {
	t.Helper()
	s := &shared{t: t, keys: pgtest.URL(t), root: filepath.Join(t.TempDir(), "apple.pem")}
	var err error
	if s.store, err = esdbtest.Start(esdbtest.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.store.Close)
	if s.apple, err = apnstest.Start(apnstest.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.apple.Close() })
	if err := os.WriteFile(s.root, s.apple.CA, 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

// flags are those of every command that works on what is shared.
func (s *shared) flags() []string { return []string{"--store", s.store.URL(), "--keys", s.keys} }

// host makes a server that shares it. Its master key is in the environment, as in a container.
func (s *shared) host(more ...string) *host {
	h := newHost(s.t)
	h.env = s.environment()
	h.more = append(append(s.flags(), "--apns", s.apple.URL, "--apns-ca", s.root), more...)
	return h
}

func (s *shared) environment() []string {
	return []string{"ROLLCALL_MASTER_KEY=" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32))}
}

// pushable gives a server a push certificate of this Apple.
func (s *shared) pushable(h *host) {
	s.t.Helper()
	certificate, key, err := s.apple.PushCertificate(mdmtest.DefaultTopic, time.Now().AddDate(1, 0, 0))
	if err != nil {
		s.t.Fatal(err)
	}
	if status, body := h.fetch(http.MethodPut, "/v1/pushcert", append(certificate, key...), "Authorization", basic(h.token())[1]); status != http.StatusOK {
		s.t.Fatalf("the push certificate is answered with %d %s", status, body)
	}
}

// run runs the program on a server's directory.
func (s *shared) run(h *host, args ...string) (string, error) {
	cmd := exec.Command(program, append(args, append(s.flags(), "--data", h.data)...)...)
	cmd.Env = append(os.Environ(), s.environment()...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// alike wants the servers to have the same file.
func alike(t *testing.T, name string, hosts ...*host) {
	t.Helper()
	var first []byte
	for i, h := range hosts {
		text, err := os.ReadFile(filepath.Join(h.data, name))
		if err != nil {
			t.Error(err)
		}
		if i == 0 {
			first = text
		}
		if !bytes.Equal(text, first) {
			t.Errorf("two servers have different files %s", name)
		}
	}
}

// Check-in is a server of its own, as Apple's protocol intends: a device comes in by a profile that names both, checks in at the
// one, takes its commands from the other, and is erased on both. They share nothing but the log and the keys.
func TestCheckInIsAServerOfItsOwn(t *testing.T) {
	t.Parallel()
	s := newShared(t)
	checks := s.host("--roles", "checkin")
	rest := s.host("--roles", "connect,enroll,api,workers", "--checkin-url", checks.url())
	checks.more = append(checks.more, "--url", rest.url(), "--checkin-url", checks.url())
	rest.start()
	checks.start()
	for _, file := range []string{"index.key", "ledger.key", "ledger.pub", "device-ca.key"} {
		alike(t, file, rest, checks)
	}
	s.pushable(rest)

	// Each has the doors of its roles alone, and what watches a server is there on both.
	for _, door := range []struct {
		path         string
		there, never *host
	}{
		{"/mdm/checkin", checks, rest},
		{"/mdm/connect", rest, checks},
		{"/scep?operation=GetCACaps", rest, checks},
		{"/enroll", rest, checks},
		{"/graphql?query=%7Blog%7Bhead%7D%7D", rest, checks},
		{"/version", rest, checks},
		{"/log/checkpoint", rest, checks},
		{"/mdm", nil, rest},
		{"/mdm", nil, checks},
	} {
		if status, _ := door.never.fetch(http.MethodGet, door.path, nil); status != http.StatusNotFound {
			t.Errorf("%s is answered with %d by the server that does not do that", door.path, status)
		}
		if door.there != nil {
			if status, _ := door.there.fetch(http.MethodGet, door.path, nil); status == http.StatusNotFound {
				t.Errorf("%s is not there where it should be", door.path)
			}
		}
	}
	for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
		for _, h := range []*host{checks, rest} {
			if status, body := h.fetch(http.MethodGet, path, nil); status != http.StatusOK {
				t.Errorf("%s is answered with %d %s", path, status, body)
			}
		}
	}

	status, profile := rest.fetch(http.MethodGet, "/enroll/default.mobileconfig?signed=false", nil, "Authorization", basic(rest.token())[1])
	if status != http.StatusOK {
		t.Fatalf("the profile is answered with %d %s", status, profile)
	}
	d := mdmtest.New(1, mdmtest.MacOS)
	d.Proof = mdmtest.Proof{Way: mdmtest.BySignature}
	w := &wayfarer{Device: d, h: rest}
	w.arrives(profile, "by a profile that was loaded")
	if !strings.HasPrefix(d.Server.CheckIn, checks.url()+"/") || !strings.HasPrefix(d.Server.Connect, rest.url()+"/") {
		t.Errorf("the profile names %s and %s", d.Server.CheckIn, d.Server.Connect)
	}

	// What was given to the one is got by the other.
	ctx := bounded(t)
	if err := d.EscrowBootstrapToken(ctx, []byte("BOOTSTRAP")); err != nil {
		t.Fatal(err)
	}
	told := fmt.Sprint(rest.ask(fmt.Sprintf(`mutation { revealSecret(device: %q, kind: BOOTSTRAP_TOKEN, reason: "test") }`, d.ID())))
	if !strings.Contains(told, base64.StdEncoding.EncodeToString([]byte("BOOTSTRAP"))) {
		t.Errorf("the bootstrap token is %s", told)
	}
	told = fmt.Sprint(rest.ask(fmt.Sprintf(`{ device(id: %q) { timeline(last: 50) { edges { node { type } } } } }`, d.ID())))
	for _, want := range []string{"device.authenticated", "device.token-updated", "device.command-queued", "device.command-delivered", "device.command-acknowledged", "device.bootstrap-token-escrowed", "device.secret-revealed"} {
		if !strings.Contains(told, want) {
			t.Errorf("the timeline lacks %s: %s", want, told)
		}
	}

	// Erased at the one, the device is gone at the other.
	rest.ask(fmt.Sprintf(`mutation { eraseSubject(device: %q, reason: "sold") { id } }`, d.ID()))
	for what, do := range map[string]func() error{
		"checks in": func() error { return d.EscrowBootstrapToken(ctx, []byte("AGAIN")) },
		"connects":  func() error { _, err := d.Session(ctx); return err },
	} {
		if err := do(); err == nil || !strings.Contains(err.Error(), "400") {
			t.Errorf("a device that was erased %s: %v", what, err)
		}
	}
	until(t, "no file of either server names the device", func() bool {
		for _, h := range []*host{rest, checks} {
			if holds(t, h.data, d.SerialNumber) {
				return false
			}
		}
		return true
	})
	if err := d.Enrol(ctx); err != nil { // it is handed on, and comes back with other keys
		t.Fatal(err)
	}
	if told := fmt.Sprint(rest.ask(fmt.Sprintf(`{ device(id: %q) { status serialNumber } }`, d.ID()))); !strings.Contains(told, "ENROLLED") || !strings.Contains(told, d.SerialNumber) {
		t.Errorf("after it came back: %s", told)
	}

	// A root that the one makes is the other's too.
	rest.ask(`mutation { rollOverRoot { fingerprint } }`)
	until(t, "both have the key of the new root", func() bool {
		here, _ := filepath.Glob(filepath.Join(checks.data, "device-ca-*.key"))
		return len(here) == 1
	})

	// The proof holds, of either server's directory.
	for i, h := range []*host{rest, checks} {
		bundle := filepath.Join(t.TempDir(), "bundle")
		if out, err := s.run(h, "audit", "export", "--out", bundle); err != nil {
			t.Fatalf("server %d: %v\n%s", i, err, out)
		}
		if out := rollcall(t, "audit", "verify", bundle, "--key", filepath.Join(rest.data, "ledger.pub")); !strings.Contains(out, "Good") {
			t.Errorf("the bundle of server %d: %s", i, out)
		}
	}
	if out, err := s.run(checks, "replay", "--type", "device.subject-erased"); err != nil || !strings.Contains(out, "sold") {
		t.Errorf("replay beside a server: %v\n%s", err, out)
	}
	if out, err := s.run(rest, "backup", "--with-keys", "--out", filepath.Join(t.TempDir(), "vault")); err != nil || !strings.Contains(out, "pg_dump") {
		t.Errorf("backup: %v\n%s", err, out)
	}
	rest.stop()
	checks.stop()
	for _, h := range []*host{rest, checks} {
		if out, err := s.run(h, "verify"); err != nil {
			t.Errorf("verify: %v\n%s", err, out)
		}
	}
}

// While PostgreSQL is away devices whose keys are in memory are served, and new ones are told to come again; when it is back they do,
// and nothing was lost.
func TestPostgreSQLIsAwayAndComesBack(t *testing.T) {
	t.Parallel()
	keys := pgtest.Start(t)
	store, err := esdbtest.Start(esdbtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	h := newHost(t)
	h.more = []string{"--store", store.URL(), "--keys", keys.Schema(t)}
	h.start()
	ctx := bounded(t)
	devices := h.fleet(mdmtest.Fleet{Size: 2, Seed: 9})
	known, late := devices[0], devices[1]
	if err := known.Enrol(ctx); err != nil {
		t.Fatal(err)
	}
	keys.Stop()
	if err := known.EscrowBootstrapToken(ctx, []byte("WHILE AWAY")); err != nil {
		t.Errorf("a device whose keys are in memory: %v", err)
	}
	if err := late.Authenticate(ctx); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("a new device: %v", err)
	}
	if err := keys.Resume(ctx); err != nil {
		t.Fatal(err)
	}
	until(t, "the new device comes in", func() bool { return late.Enrol(ctx) == nil })
	told := fmt.Sprint(h.ask(fmt.Sprintf(`mutation { revealSecret(device: %q, kind: BOOTSTRAP_TOKEN, reason: "test") }`, known.ID())))
	if !strings.Contains(told, base64.StdEncoding.EncodeToString([]byte("WHILE AWAY"))) {
		t.Errorf("what came while it was away is %s", told)
	}
	h.stop()
}

// holds reports whether a file below the directory has a text in it.
func holds(t *testing.T, dir, text string) (found bool) {
	t.Helper()
	err := filepath.WalkDir(dir, func(file string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			content, readErr := os.ReadFile(file)
			found = found || readErr == nil && bytes.Contains(content, []byte(text))
		}
		return nil // files come and go
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// Two servers do everything, and each request comes to the other one than the request before. One of them pushes; when it is
// killed, the other does.
func TestTwoServersTakeTurns(t *testing.T) {
	t.Parallel()
	s := newShared(t)
	var both [2]*host
	var turn atomic.Int64
	var targets [2]atomic.Pointer[url.URL]
	balancer := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(targets[turn.Add(1)%2].Load())
		r.Out.Header["X-Forwarded-For"] = nil
	}})
	defer balancer.Close()
	for i := range both {
		both[i] = s.host("--url", balancer.URL)
		targets[i].Store(&url.URL{Scheme: "http", Host: both[i].address})
	}
	both[1].ca, both[1].caFile = both[0].ca, both[0].caFile
	for _, h := range both {
		h.start()
	}
	if _, err := os.Stat(filepath.Join(both[1].data, "admin-token")); err == nil {
		t.Error("the second server has made an administrator's token too")
	}
	s.pushable(both[0])
	acting := "this server acts for all that share the log"
	until(t, "one server acts", func() bool { return strings.Contains(both[0].said.String()+both[1].said.String(), acting) })
	ctx := bounded(t)
	devices := both[0].fleet(mdmtest.Fleet{Size: 3, Seed: 5})
	order := func(n int) {
		t.Helper()
		for _, d := range devices {
			before := s.apple.Stats().Accepted
			both[0].ask(fmt.Sprintf(`mutation { sendCommand(input: { devices: [%q], requestType: "DeviceInformation", parameters: { Queries: ["OSVersion"] } }) { commands { uuid } } }`, d.ID()))
			until(t, "the device is woken", func() bool { return s.apple.Stats().Accepted > before })
			if _, err := d.Session(ctx); err != nil {
				t.Fatal(err)
			}
		}
		told := fmt.Sprint(both[0].ask(`{ commands(first: 50, filter: { states: [ACKNOWLEDGED] }) { edges { node { state } } } }`))
		if got := strings.Count(told, "ACKNOWLEDGED"); got != n*len(devices) {
			t.Errorf("%d commands are acknowledged: %s", got, told)
		}
	}
	for _, d := range devices {
		d.Server = mdmtest.ServerAt(balancer.URL)
		if err := d.Enrol(ctx); err != nil {
			t.Fatal(err)
		}
		token := []byte("bootstrap of " + d.ID())
		if err := d.EscrowBootstrapToken(ctx, token); err != nil {
			t.Fatal(err)
		}
		a, err := d.Say(ctx, "GetBootstrapToken", nil)
		if err != nil || !bytes.Contains(a.Body, []byte(base64.StdEncoding.EncodeToString(token))) {
			t.Errorf("the other server says %d %s, %v", a.Status, a.Body, err)
		}
	}
	order(1)
	if a, b := strings.Count(both[0].said.String(), acting), strings.Count(both[1].said.String(), acting); a+b != 1 {
		t.Errorf("%d and %d times the servers said that they act", a, b)
	}
	acts, other := 0, 1
	if strings.Contains(both[1].said.String(), acting) {
		acts, other = 1, 0
	}
	const sent = `pushes_total{`
	if _, told := both[acts].fetch(http.MethodGet, "/metrics", nil); !strings.Contains(string(told), sent) {
		t.Errorf("the server that acts has sent no push: %s", told)
	}
	if _, told := both[other].fetch(http.MethodGet, "/metrics", nil); strings.Contains(string(told), sent) {
		t.Errorf("the other server has sent pushes too: %s", told)
	}

	// The one that acts is killed: the other takes over, and devices are served on.
	both[acts].kill()
	if acts == 0 { // the token is in its directory, which stays
		token := both[0].token()
		if err := os.WriteFile(filepath.Join(both[1].data, "admin-token"), []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	targets[acts].Store(targets[other].Load())
	both[0] = both[other]
	until(t, "the other server acts", func() bool { return strings.Contains(both[0].said.String(), acting) })
	order(2)
	both[0].stop()
}
