package tests

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/catalog"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/embedded"
	"github.com/rollcall-mdm/rollcall/eventstore/seal"
	"github.com/rollcall-mdm/rollcall/handlers/mdm/mdmtest"
)

// A host is the built program on a data directory, started and ended as often as a test likes. Its address stays
// the same, so that devices find it again.
type host struct {
	t       *testing.T
	data    string
	address string
	ca      *mdmtest.CA
	caFile  string
	more    []string // flags
	env     []string // beside the test's own
	process *exec.Cmd
	said    said
}

// said is what all processes of a host have printed.
type said struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// newHost makes a host that does not run yet.
func newHost(t *testing.T) *host {
	t.Helper()
	dir := t.TempDir()
	ca, err := mdmtest.NewCA("Test CA")
	if err != nil {
		t.Fatal(err)
	}
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	h := &host{t: t, data: filepath.Join(dir, "data"), address: "127.0.0.1:" + port, ca: ca, caFile: filepath.Join(dir, "ca.pem")}
	if err := os.WriteFile(h.caFile, ca.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if h.process != nil {
			_ = h.process.Process.Kill()
			_ = h.process.Wait()
		}
		if t.Failed() {
			t.Logf("the server said:\n%s", h.said.String())
		}
	})
	return h
}

// url is where the host is, without a path.
func (h *host) url() string { return "http://" + h.address }

// start starts the program and waits until it is ready.
func (h *host) start() {
	h.t.Helper()
	if err := giveRoot(h.data); err != nil {
		h.t.Fatal(err)
	}
	h.process = exec.Command(program, append(serveFlags(h.data, h.address, h.caFile), h.more...)...)
	h.process.Env = append(os.Environ(), h.env...)
	h.process.Stdout, h.process.Stderr = &h.said, &h.said
	if err := h.process.Start(); err != nil {
		h.process = nil
		h.t.Fatal(err)
	}
	if err := ready(h.url()); err != nil {
		h.t.Fatal(err)
	}
}

// kill ends the program without warning.
func (h *host) kill() {
	h.t.Helper()
	if err := h.process.Process.Kill(); err != nil {
		h.t.Fatal(err)
	}
	if err := h.process.Wait(); h.process.ProcessState.Exited() {
		h.t.Fatalf("the server had ended by itself: %v", err)
	}
	h.process = nil
}

// stop asks the program to end, and wants it to end well.
func (h *host) stop() {
	h.t.Helper()
	if err := h.process.Process.Signal(syscall.SIGTERM); err != nil {
		h.t.Fatal(err)
	}
	err := h.process.Wait()
	h.process = nil
	if err != nil {
		h.t.Fatalf("the server did not end well: %v", err)
	}
}

// token returns the administrator's token.
func (h *host) token() string {
	h.t.Helper()
	text, err := os.ReadFile(filepath.Join(h.data, "admin-token"))
	if err != nil {
		h.t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

// fleet makes devices that speak to the host.
func (h *host) fleet(f mdmtest.Fleet) []*mdmtest.Device {
	h.t.Helper()
	f.Server, f.CA, f.Proof = mdmtest.ServerAt(h.url()), h.ca, mdmtest.Proof{Way: mdmtest.ByHeader}
	devices, err := f.Make()
	if err != nil {
		h.t.Fatal(err)
	}
	return devices
}

// serveFlags are those of a server behind a proxy.
func serveFlags(data, address, caFile string) []string {
	return []string{
		"serve", "--data", data, "--listen", address, "--url", "http://" + address, "--plain-http",
		"--identity", "header:X-Ssl-Client-Cert,signature", "--trusted-proxy", "127.0.0.0/8", "--device-ca", caFile,
	}
}

// ready waits until the server at the URL says that it is ready.
func ready(url string) error {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); <-time.After(10 * time.Millisecond) {
		resp, err := http.Get(url + "/readyz")
		if err != nil {
			continue
		}
		_ = resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return nil
		}
	}
	return errors.New("the server was never ready")
}

// A vault is a data directory, opened while no server runs.
type vault struct {
	t     *testing.T
	data  string
	log   *embedded.Log
	codec *seal.Codec[domain.Event]
	names seal.Pseudonyms
}

// open opens the host's data directory with its own keys.
func (h *host) open() *vault {
	h.t.Helper()
	v := &vault{t: h.t, data: h.data}
	var err error
	check := func() {
		if err != nil {
			h.t.Fatal(err)
		}
	}
	v.log, err = embedded.Open(h.t.Context(), v.path("log.db"), embedded.Options{})
	check()
	h.t.Cleanup(func() { _ = v.log.Close() })
	master, err := seal.Custody{Dir: h.data}.Open(h.t.Context(), v.path("keys.db"))
	check()
	keys, err := seal.OpenKeyring(v.path("keys.db"), master, 0)
	check()
	h.t.Cleanup(func() { _ = keys.Close() })
	v.names, err = seal.OpenPseudonyms(v.path("index.key"))
	check()
	v.codec = &seal.Codec[domain.Event]{Types: catalog.Events(), Keys: keys}
	return v
}

func (v *vault) path(name string) string { return filepath.Join(v.data, name) }

// A recorded is an event as the log has it, and as it was.
type recorded struct {
	eventstore.Envelope
	event domain.Event
}

// history returns all events. It wants their positions and versions to be dense, and the file to be sound.
func (v *vault) history() (all []recorded) {
	v.t.Helper()
	next := map[eventstore.Stream]int64{}
	for env, err := range v.log.ReadAll(v.t.Context(), 0) {
		if err != nil {
			v.t.Fatal(err)
		}
		if int(env.Position) != len(all)+1 || env.Version != next[env.Stream] {
			v.t.Fatalf("after position %d, and version %d of its stream, stands position %d, version %d",
				len(all), next[env.Stream]-1, env.Position, env.Version)
		}
		event, err := v.codec.Decode(env)
		if err != nil {
			v.t.Fatalf("open %s at position %d: %v", env.Type, env.Position, err)
		}
		next[env.Stream]++
		all = append(all, recorded{env, event})
	}
	for _, file := range []string{"log.db", "keys.db", "views.db"} {
		v.sound(file)
	}
	return all
}

// sound wants SQLite to find nothing wrong with a file.
func (v *vault) sound(file string) {
	v.t.Helper()
	conn, err := sqlite.OpenConn(v.path(file), sqlite.OpenReadWrite)
	if err != nil {
		v.t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if text, err := sqlitex.ResultText(conn.Prep("PRAGMA integrity_check")); err != nil || text != "ok" {
		v.t.Errorf("%s is damaged: %s, %v", file, text, err)
	}
}

// until asks again and again until it is so, and says what never came to pass otherwise.
func until(t *testing.T, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); <-time.After(10 * time.Millisecond) {
		if so() {
			return
		}
	}
	t.Fatalf("it never came to pass that %s", what)
}

// bounded returns a context that gives up long before the test binary does.
func bounded(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// basic is the header of somebody who has an API token.
func basic(token string) [2]string {
	return [2]string{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte("tests:"+token))}
}
