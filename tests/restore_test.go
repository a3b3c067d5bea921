package tests

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/rollcall-mdm/rollcall/handlers/mdm/mdmtest"
)

// TestRestoreDrill backs a server up while devices speak to it, loses the directory, restores it by copying, and goes on.
// What was acknowledged before the backup began is there, old events in their archive included.
func TestRestoreDrill(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	load := h.grown(16, 4)
	dir := filepath.Dir(h.data)
	rollcall(t, "archive", "--data", h.data, "--before", "2999-01-01", "--out", filepath.Join(dir, "old.db"))
	h.start()
	acknowledged := events(t, h.data)
	busy := make(chan mdmtest.Phase)
	go func() {
		busy <- load.Order(bounded(t), 6)
		busy <- load.Answer(bounded(t))
	}()
	backup := filepath.Join(dir, "backup")
	rollcall(t, "backup", "--data", h.data, "--out", backup, "--with-keys", "--with-archives")
	h.lived(<-busy)
	h.lived(<-busy)
	h.stop()
	if err := errors.Join(os.RemoveAll(h.data), os.Remove(filepath.Join(dir, "old.db")), copyPrivate(h.data, backup)); err != nil {
		t.Fatal(err)
	}
	rollcall(t, "verify", "--data", h.data)
	restored := events(t, h.data)
	if len(restored) < len(acknowledged) || !reflect.DeepEqual(restored[:len(acknowledged)], acknowledged) {
		t.Fatalf("%d events were restored, of the %d that were acknowledged before the backup", len(restored), len(acknowledged))
	}
	h.start()
	fresh := &mdmtest.Load{ // a command that a device had answered after the backup is handed out again: others go on here
		Devices: h.fleet(mdmtest.Fleet{Size: 4, Seed: 77}), Concurrency: 4, Watch: &mdmtest.Stopwatch{},
		Orderer: &mdmtest.Orderer{URL: h.url(), Token: h.token(), Wire: &mdmtest.Direct{}},
	}
	fresh.Prepare()
	h.lived(fresh.Enrol(bounded(t)))
	h.asked(fresh, 2)
	h.stop()
	rollcall(t, "verify", "--data", h.data)
	key := filepath.Join(h.data, "ledger.pub")
	rollcall(t, "audit", "export", "--data", h.data, "--out", filepath.Join(dir, "bundle"))
	rollcall(t, "audit", "verify", filepath.Join(dir, "bundle"), "--key", key)
}

// TestAnOlderLogIsNotTakenForTheNewest puts an old backup of the log back where a newer checkpoint is known: by the
// server itself, or by a witness alone (T61).
func TestAnOlderLogIsNotTakenForTheNewest(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	witness := h.witnessed()
	load := h.grown(8, 2)
	backup := filepath.Join(filepath.Dir(h.data), "backup")
	rollcall(t, "backup", "--data", h.data, "--out", backup)
	h.start()
	h.asked(load, 2)
	h.stop()
	text, err := os.ReadFile(filepath.Join(backup, "log.db"))
	if err == nil {
		err = errors.Join(os.WriteFile(filepath.Join(h.data, "log.db"), text, 0o600), remove(h.data, "views.db", "snapshots.db"))
	}
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(program, serveFlags(h.data, h.address, h.caFile)...).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "were signed, and the log has fewer") {
		t.Errorf("the server took an old log: %v\n%s", err, out)
	}
	if err := remove(h.data, "checkpoint"); err != nil { // whoever restores may have lost it too: a witness has not
		t.Fatal(err)
	}
	bundle := filepath.Join(filepath.Dir(h.data), "bundle")
	rollcall(t, "audit", "export", "--data", h.data, "--out", bundle)
	out, err = exec.Command(program, "audit", "verify", bundle, "--key", filepath.Join(h.data, "ledger.pub"), "--witnessed", witness).CombinedOutput()
	if err == nil {
		t.Errorf("what a witness kept says nothing against an old log:\n%s", out)
	}
}

func remove(dir string, names ...string) (err error) {
	for _, name := range names {
		for _, suffix := range []string{"", "-wal", "-shm"} {
			if e := os.Remove(filepath.Join(dir, name+suffix)); !errors.Is(e, os.ErrNotExist) {
				err = errors.Join(err, e)
			}
		}
	}
	return err
}
