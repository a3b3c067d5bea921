package tests

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/handlers/mdm/mdmtest"
)

// plenty is a limit that no file of these tests meets.
const plenty = 1 << 40

// squeeze sets how large the running program may make a file, in bytes: whatever is written beyond fails, as it does
// on a full disk.
func (h *host) squeeze(bytes uint64) {
	h.t.Helper()
	limit := syscall.Rlimit{Cur: bytes, Max: plenty}
	_, _, errno := syscall.RawSyscall6(syscall.SYS_PRLIMIT64, uintptr(h.process.Process.Pid), syscall.RLIMIT_FSIZE,
		uintptr(unsafe.Pointer(&limit)), 0, 0, 0)
	if errno != 0 {
		h.t.Fatalf("limit the server's files: %v", errno)
	}
}

// TestADiskThatIsFullLosesNothing lets the disk run full while devices speak: they are told to come again, and never
// that their message was kept, or that they are strangers. When there is space again, the same server goes on.
func TestADiskThatIsFullLosesNothing(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	witness := h.witnessed()
	h.start()
	devices := h.fleet(mdmtest.Fleet{Size: 4, Seed: 9})
	known, fresh, wire := devices[:3], devices[3], &mdmtest.Direct{}
	for _, d := range known {
		if err := d.Enrol(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]bool{}
	order := func(d *mdmtest.Device) error {
		uuid := mdmtest.NewUUID()
		err := enqueue(t, wire, h.url(), h.token(), d.ID(), uuid)
		if err == nil {
			want[uuid] = true
		}
		return err
	}
	for _, d := range known {
		if err := order(d); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := known[0].Session(t.Context()); err != nil {
		t.Fatal(err)
	}

	h.squeeze(1)
	for range 3 { // devices do not give up
		for _, d := range known[1:] {
			_, err := d.Session(t.Context())
			wantUnavailable(t, d, err)
		}
		wantUnavailable(t, nil, fresh.Authenticate(t.Context()))
		if err := order(known[0]); err == nil || !strings.HasPrefix(err.Error(), "500 ") {
			t.Errorf("a command was queued on a full disk: %v", err)
		}
	}
	if done, err := known[0].Session(t.Context()); err != nil || len(done) > 0 {
		t.Errorf("a poll that changes nothing was answered by %v, %v", done, err)
	}

	h.squeeze(plenty)
	if err := fresh.Enrol(t.Context()); err != nil {
		t.Errorf("there is space again: %v", err)
	}
	for _, d := range devices {
		if err := order(d); err != nil {
			t.Errorf("there is space again: %v", err)
		}
		if _, err := d.Session(t.Context()); err != nil {
			t.Errorf("there is space again: %v", err)
		}
	}
	h.stop()
	v := h.open()
	v.wantEnded(want)
	v.wantProven(witness, 1)
	if !strings.Contains(h.said.String(), "level=ERROR") {
		t.Error("nobody was told that the disk is full")
	}
}

// wantUnavailable wants a device to be told to come again.
func wantUnavailable(t *testing.T, d *mdmtest.Device, err error) {
	t.Helper()
	var refused *mdmtest.StatusError
	if !errors.As(err, &refused) || refused.Status != http.StatusServiceUnavailable {
		t.Errorf("on a full disk a device was answered by %v, want 503", err)
	}
	if d != nil && !d.Enrolled() {
		t.Error("the device left")
	}
}

// wantEnded wants exactly these commands in the log, each brought to an end once, and the views to agree.
func (v *vault) wantEnded(want map[string]bool) {
	v.t.Helper()
	queued, ended := map[string]int{}, map[string]int{}
	for _, r := range v.history() {
		switch e := r.event.(type) {
		case device.CommandQueued:
			queued[e.UUID]++
		case device.CommandAcknowledged:
			ended[e.UUID]++
		}
	}
	for uuid := range want {
		if queued[uuid] != 1 || ended[uuid] != 1 {
			v.t.Errorf("%s was queued %d times and ended %d times", uuid, queued[uuid], ended[uuid])
		}
	}
	if len(queued) != len(want) {
		v.t.Errorf("%d commands are in the log, want %d", len(queued), len(want))
	}
	v.wantViewsAsFromAFreshFold()
}

// TestViewsThatCannotGrowStopNobody lets only the views' file meet the limit: devices are served on, and the views
// catch up when there is space again.
func TestViewsThatCannotGrowStopNobody(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.start()
	d, wire := h.fleet(mdmtest.Fleet{Size: 1, Seed: 9})[0], &mdmtest.Direct{}
	if err := d.Enrol(t.Context()); err != nil {
		t.Fatal(err)
	}
	size := func(name string) int64 {
		info, err := os.Stat(h.data + "/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	want := map[string]bool{}
	live := func() {
		t.Helper()
		uuid := mdmtest.NewUUID()
		if err := enqueue(t, wire, h.url(), h.token(), d.ID(), uuid); err != nil {
			t.Fatal(err)
		}
		want[uuid] = true
		if _, err := d.Session(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "the views' file has outgrown the log's", func() bool {
		live()
		until(t, "the views catch up", func() bool { return h.caughtUp(wire) }) // so that they write as often as the log
		return size("views.db-wal") > size("log.db-wal")+256<<10
	})
	h.squeeze(uint64(size("log.db-wal")) + 192<<10) // enough for what the log has to take, and the views are beyond it
	before := len(h.said.String())
	live()
	until(t, "somebody is told that the views cannot be written", func() bool {
		return strings.Contains(h.said.String()[before:], "level=ERROR")
	})
	live()
	h.squeeze(plenty)
	live()
	until(t, "the views catch up", func() bool { return h.caughtUp(wire) })
	h.stop()
	h.open().wantEnded(want)
}

// caughtUp reports whether the views show all that the log has.
func (h *host) caughtUp(wire mdmtest.Wire) bool {
	h.t.Helper()
	a, err := wire.Send(h.t.Context(), mdmtest.Request{
		Method: http.MethodPost, URL: h.url() + "/graphql", ContentType: "application/json",
		Header: [2]string{"Authorization", "Bearer " + h.token()}, Body: []byte(`{"query": "{ views { name lag parked { error } } }"}`),
	})
	if err != nil {
		h.t.Fatal(err)
	}
	var answer struct {
		Data struct {
			Views []struct {
				Lag    int
				Parked []struct{ Error string }
			}
		}
	}
	if err := json.Unmarshal(a.Body, &answer); err != nil || len(answer.Data.Views) == 0 {
		h.t.Fatalf("%s: %v", a.Body, err)
	}
	for _, v := range answer.Data.Views {
		if v.Lag > 0 || len(v.Parked) > 0 {
			return false
		}
	}
	return true
}
