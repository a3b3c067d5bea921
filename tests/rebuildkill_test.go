package tests

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/handlers/mdm/mdmtest"
)

// rebuildKills is how often a server is killed while it rebuilds its views.
const rebuildKills = 4

// TestSIGKILLDuringARebuildLeavesTheOldViews kills a server in the middle of a live rebuild, again and again: after each
// restart the views that were there before are served, and in the end a rebuild comes to its end beside a running
// server, and the views are what a fresh fold makes of the log.
func TestSIGKILLDuringARebuildLeavesTheOldViews(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.start()
	const devices = 60
	for i, d := range h.fleet(mdmtest.Fleet{Size: devices, Seed: 5}) {
		if err := d.Enrol(t.Context()); err != nil {
			t.Fatal(err)
		}
		for n, question := range mdmtest.Inventory {
			if (i+n)%3 != 0 {
				continue
			}
			d.Prepare(question)
			if err := enqueueRaw(h, d.ID(), mdmtest.RawCommand(question, mdmtest.NewUUID())); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := d.Session(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	h.wantDevices(devices)
	under := 0
	for kill := range rebuildKills {
		h.ask(`mutation { rebuildViews { name } }`)
		if h.killWhileItRebuilds(time.Duration(rand.IntN(40*kill+1)) * time.Millisecond) {
			under++
		}
		h.start()
		h.wantDevices(devices)
	}
	if under == 0 {
		t.Error("no kill fell into a rebuild")
	}
	for _, views := range [][]string{{"fleet"}, nil} {
		args := append([]string{"views", "rebuild", "--data", h.data, "--server", h.url()}, views...)
		out, err := exec.Command(program, args...).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "served all the while") {
			t.Fatalf("%v\n%s", err, out)
		}
		h.wantDevices(devices)
	}
	h.stop()
	v := h.open()
	v.history()
	v.wantViewsAsFromAFreshFold()
	left, err := filepath.Glob(filepath.Join(h.data, "views.db.*[0-9]"))
	if err != nil || len(left) != 1 {
		t.Errorf("beside the link stand %v, %v", left, err)
	}
}

// killWhileItRebuilds kills the program a while after it has begun a file beside the one that it serves, and reports
// whether it had not put that in its place yet.
func (h *host) killWhileItRebuilds(later time.Duration) bool {
	h.t.Helper()
	served, _ := os.Readlink(filepath.Join(h.data, "views.db"))
	beside := func() bool {
		files, _ := filepath.Glob(filepath.Join(h.data, "views.db.*[0-9]"))
		for _, file := range files {
			if filepath.Base(file) != served {
				return true
			}
		}
		return false
	}
	for deadline := time.Now().Add(time.Second); !beside() && time.Now().Before(deadline); <-time.After(time.Millisecond) {
	}
	<-time.After(later)
	h.kill()
	now, _ := os.Readlink(filepath.Join(h.data, "views.db"))
	return beside() && now == served
}

// ask asks the host by GraphQL, as an administrator.
func (h *host) ask(query string) map[string]any {
	h.t.Helper()
	body, err := json.Marshal(map[string]string{"query": query})
	if err != nil {
		h.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(h.t.Context(), http.MethodPost, h.url()+"/graphql", bytes.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Prefer", "wait=5")
	req.Header.Set("Authorization", "Bearer "+h.token())
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	var answer struct {
		Data   map[string]any
		Errors []any
	}
	if err != nil || json.Unmarshal(text, &answer) != nil || len(answer.Errors) > 0 {
		h.t.Fatalf("%s: %v, %s", query, err, text)
	}
	return answer.Data
}

// wantDevices wants the views to tell of so many devices at once: what was served before is served on.
func (h *host) wantDevices(n int) {
	h.t.Helper()
	if got := fmt.Sprint(h.ask(`{ fleet { devices } }`)["fleet"]); got != fmt.Sprintf("map[devices:%d]", n) {
		h.t.Errorf("the fleet is %s, want %d devices", got, n)
	}
}

// enqueueRaw orders a command without waking the device.
func enqueueRaw(h *host, id string, command []byte) error {
	a, err := (&mdmtest.Direct{}).Send(h.t.Context(), mdmtest.Request{
		URL: h.url() + "/v1/enqueue/" + id + "?nopush=1", Header: basic(h.token()), Body: command,
	})
	if err == nil && a.Status != http.StatusOK {
		err = &mdmtest.StatusError{Message: "the enqueue", Status: a.Status, Body: string(a.Body)}
	}
	return err
}
