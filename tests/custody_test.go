package tests

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rollcall-mdm/rollcall/eventstore/seal/kmstest"
	"github.com/rollcall-mdm/rollcall/handlers/mdm/mdmtest"
)

// A master key in the environment is nowhere on the disk, and without it the directory does not open.
func TestTheMasterKeyInTheEnvironment(t *testing.T) {
	t.Parallel()
	const secret = "CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk="
	h := newHost(t)
	h.env = []string{"ROLLCALL_MASTER_KEY=" + secret}
	h.start()
	d := h.fleet(mdmtest.Fleet{Size: 1, Seed: 1})[0]
	if err := d.Enrol(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.kill()
	files, err := filepath.Glob(filepath.Join(h.data, "*"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		if text, err := os.ReadFile(file); err == nil && bytes.Contains(text, []byte(secret)) {
			t.Errorf("%s holds the master key", file)
		}
		if strings.Contains(filepath.Base(file), "master") {
			t.Errorf("there is a file %s", file)
		}
	}
	h.env = nil
	if line := h.refused(); !strings.Contains(line, "master.key is missing") {
		t.Errorf("without it: %s", line)
	}
	h.env = []string{"ROLLCALL_MASTER_KEY=" + strings.Replace(secret, "C", "D", 1)}
	if line := h.refused(); !strings.Contains(line, "put the right master key back") {
		t.Errorf("with another one: %s", line)
	}
	h.env = []string{"ELSEWHERE=" + secret}
	h.more = []string{"--master-key", "env:ELSEWHERE"}
	h.start()
	if _, err := d.Session(t.Context()); err != nil {
		t.Error(err)
	}
	h.stop()
}

// refused starts the program, wants it to end by itself, and returns the one line that it says.
func (h *host) refused() string {
	h.t.Helper()
	cmd := exec.Command(program, append(serveFlags(h.data, h.address, h.caFile), h.more...)...)
	cmd.Env = append(os.Environ(), h.env...)
	said, err := cmd.CombinedOutput()
	if err == nil || strings.Count(strings.TrimSpace(string(said)), "\n") > 0 {
		h.t.Errorf("it was to end with one line: %v\n%s", err, said)
	}
	return string(said)
}

// A key management service that is away: at the start it is said in one line; later, who is known is served on, who is
// new is asked to come again, and nothing is lost.
func TestAKeyManagementServiceThatIsAway(t *testing.T) {
	t.Parallel()
	kms := kmstest.New("alias/rollcall", 5)
	kms.Token = "a-token-for-the-kms"
	at := httptest.NewServer(kms)
	defer at.Close()
	h := newHost(t)
	h.env = []string{"ROLLCALL_MASTER_KEY_FROM=" + at.URL, "ROLLCALL_MASTER_KEY_TOKEN=" + kms.Token}
	kms.Fail(kmstest.Away)
	if line := h.refused(); !strings.Contains(line, "the master key from "+at.URL) || !strings.Contains(line, "503") {
		t.Errorf("at the start: %s", line)
	}
	kms.Fail(kmstest.None)
	h.start()
	fleet := h.fleet(mdmtest.Fleet{Size: 3, Seed: 2})
	known, strange, later := fleet[0], fleet[1], fleet[2]
	if err := known.Enrol(t.Context()); err != nil {
		t.Fatal(err)
	}
	kms.Fail(kmstest.Away)
	if _, err := known.Say(t.Context(), "SetBootstrapToken", map[string]any{"BootstrapToken": []byte("while it is away")}); err != nil {
		t.Errorf("a device that is known: %v", err)
	}
	a, err := strange.Say(t.Context(), "Authenticate", map[string]any{"Topic": mdmtest.DefaultTopic, "SerialNumber": "CANARYSERIAL"})
	if err != nil || a.Status != http.StatusServiceUnavailable {
		t.Errorf("a new device: %d, %v", a.Status, err)
	}
	kms.Fail(kmstest.None)
	for _, d := range []*mdmtest.Device{strange, later} {
		if err := d.Enrol(t.Context()); err != nil {
			t.Errorf("when it is back: %v", err)
		}
	}
	h.kill()
	kms.Fail(kmstest.Garbage)
	if line := h.refused(); !strings.Contains(line, "no JSON") {
		t.Errorf("at a later start: %s", line)
	}
	kms.Fail(kmstest.None)
	h.start()
	if _, err := known.Session(t.Context()); err != nil {
		t.Error(err)
	}
	h.stop()
	verify := exec.Command(program, "verify", "--data", h.data)
	verify.Env = append(os.Environ(), h.env...)
	if out, err := verify.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("agree with the log")) {
		t.Errorf("verify: %v\n%s", err, out)
	}
	if said := h.said.String(); strings.Contains(said, kms.Token) {
		t.Error("the token is in the log")
	}
}
