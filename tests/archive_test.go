package tests

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/embedded"
	"github.com/rollcall-mdm/rollcall/handlers/mdm/mdmtest"
)

// archivings is how many archivings are killed.
const archivings = 15

// grown lets devices live on a host and stops it. It returns the devices, and whoever orders commands for them.
func (h *host) grown(devices, commands int) *mdmtest.Load {
	h.t.Helper()
	h.start()
	load := &mdmtest.Load{
		Devices: h.fleet(mdmtest.Fleet{Size: devices, Seed: 31}), Concurrency: 8,
		Orderer: &mdmtest.Orderer{URL: h.url(), Token: h.token(), Wire: &mdmtest.Direct{}}, Watch: &mdmtest.Stopwatch{},
	}
	load.Prepare()
	h.lived(load.Enrol(bounded(h.t)))
	h.asked(load, commands)
	h.stop()
	return load
}

// asked has every device carry out commands.
func (h *host) asked(load *mdmtest.Load, commands int) {
	h.t.Helper()
	h.lived(load.Order(bounded(h.t), commands))
	h.lived(load.Answer(bounded(h.t)))
	if err := load.Audit().Err(); err != nil {
		h.t.Fatal(err)
	}
}

func (h *host) lived(p mdmtest.Phase) {
	h.t.Helper()
	if p.Failed > 0 || p.Errors > 0 {
		h.t.Fatalf("%s: %d devices failed, %d errors, first: %s", p.Name, p.Failed, p.Errors, p.First)
	}
}

// rollcall runs the program, and wants it to end well.
func rollcall(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command(program, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("rollcall %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// events reads all events of a data directory, while a server may run there.
func events(t *testing.T, data string) (all []eventstore.Envelope) {
	t.Helper()
	r, err := embedded.OpenReadOnly(t.Context(), filepath.Join(data, "log.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for env, err := range r.ReadAll(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, env)
	}
	return all
}

// TestSIGKILLDuringArchiveLosesNothing kills the archiving of a log again and again, at any moment. Every event is
// always there, once, and a run that is let alone brings the work to its end.
func TestSIGKILLDuringArchiveLosesNothing(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	witness := h.witnessed()
	load := h.grown(24, 5)
	before := events(t, h.data)
	dir := filepath.Dir(h.data)
	killed := 0
	for i, took := 0, time.Duration(0); i < archivings; i++ {
		trial := filepath.Join(dir, "trial")
		if err := errors.Join(os.RemoveAll(trial), copyPrivate(trial, h.data)); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		args := []string{"archive", "--data", trial, "--before", "2999-01-01", "--out", filepath.Join(trial, "old.db")}
		if took > 0 { // the first one is let alone, to see how long it takes
			killed += endAfter(t, rand.N(took), args)
			if got := events(t, trial); !reflect.DeepEqual(got, before) {
				t.Fatalf("after %d kills %d events are there, of %d", killed, len(got), len(before))
			}
		}
		rollcall(t, args...)
		took = max(took, time.Since(began))
		if got := events(t, trial); !reflect.DeepEqual(got, before) {
			t.Fatalf("%d events are there in the end, of %d", len(got), len(before))
		}
	}
	if killed == 0 {
		t.Errorf("none of %d archivings was killed before it ended", archivings)
	}
	h.data = filepath.Join(dir, "trial")
	shrunk(t, filepath.Join(dir, "data"), h.data)
	rollcall(t, "verify", "--data", h.data)
	h.start()
	h.asked(load, 2)
	h.stop()
	v := h.open()
	v.history()
	v.wantProven(witness, 1)
}

// copyPrivate copies a directory's files, which only their owner may read.
func copyPrivate(to, from string) error {
	err := os.CopyFS(to, os.DirFS(from))
	files, listed := os.ReadDir(to)
	for _, f := range files {
		err = errors.Join(err, os.Chmod(filepath.Join(to, f.Name()), 0o600))
	}
	return errors.Join(err, listed)
}

// endAfter runs the program and kills it. It returns 1 if it had not ended by itself.
func endAfter(t *testing.T, d time.Duration, args []string) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, args...).CombinedOutput()
	if err == nil {
		return 0
	}
	if ctx.Err() == nil {
		t.Fatalf("%v: %s", err, out)
	}
	return 1
}

// shrunk wants a log to be much smaller than it was.
func shrunk(t *testing.T, before, after string) {
	t.Helper()
	was, err := os.Stat(filepath.Join(before, "log.db"))
	if err != nil {
		t.Fatal(err)
	}
	is, err := os.Stat(filepath.Join(after, "log.db"))
	if err != nil || is.Size() > was.Size()/2 {
		t.Errorf("the log has %d bytes after it was archived, and had %d: %v", is.Size(), was.Size(), err)
	}
}

// TestAnArchiveIsAsGoodAsTheLog archives while devices go on, looks at the archive alone, and has everything that needs
// old events read them there: an auditor, a replay, views folded anew.
func TestAnArchiveIsAsGoodAsTheLog(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	load := h.grown(16, 5)
	dir := filepath.Dir(h.data)
	archive, key := filepath.Join(dir, "2026.db"), filepath.Join(h.data, "ledger.pub")
	args := []string{"archive", "--data", h.data, "--before", "2999-01-01", "--out", archive}
	h.start()
	if said := rollcall(t, args...); !strings.Contains(said, "stop it and run the same command again") {
		t.Errorf("beside a running server it said:\n%s", said)
	}
	h.asked(load, 2)
	h.stop()
	before := events(t, h.data)
	if said := rollcall(t, args...); !strings.Contains(said, "shrank") {
		t.Errorf("it said:\n%s", said)
	}
	if got := events(t, h.data); !reflect.DeepEqual(got, before) {
		t.Fatalf("%d events are there after it, of %d", len(got), len(before))
	}
	if said := rollcall(t, "archive", "verify", archive, "--key", key); !strings.Contains(said, "Good") {
		t.Errorf("the archive alone: %s", said)
	}
	rollcall(t, "views", "rebuild", "--data", h.data)
	rollcall(t, "verify", "--data", h.data)
	if n := strings.Count(rollcall(t, "replay", "--data", h.data, "--json"), "\n"); n < len(before) {
		t.Errorf("a replay prints %d events, of %d", n, len(before))
	}
	bundle := filepath.Join(dir, "bundle")
	rollcall(t, "audit", "export", "--data", h.data, "--out", bundle)
	rollcall(t, "audit", "verify", bundle, "--key", key)

	away := archive + ".away"
	if err := os.Rename(archive, away); err != nil {
		t.Fatal(err)
	}
	h.start() // what is needed today is in the log and in snapshots
	h.asked(load, 2)
	h.stop()
	out, err := exec.Command(program, "views", "rebuild", "--data", h.data).CombinedOutput()
	if err == nil || !bytes.Contains(out, []byte("put it back there")) || !bytes.Contains(out, []byte(archive)) {
		t.Errorf("without the archive: %v, %s", err, out)
	}
}
