package tests

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/handlers/mdm/mdmtest"
)

// TestSIGKILLDuringTheFirstStart kills a server that makes its data directory, each time as soon as another of its
// files appears. The next start makes whatever is missing.
func TestSIGKILLDuringTheFirstStart(t *testing.T) {
	t.Parallel()
	whole := newHost(t)
	whole.start()
	whole.stop()
	files, err := os.ReadDir(whole.data)
	if err != nil || len(files) < 8 {
		t.Fatalf("a data directory holds %v, %v", files, err)
	}
	for _, f := range files {
		t.Run(f.Name(), func(t *testing.T) {
			h := newHost(t)
			h.killWhenThereIs(f.Name())
			h.start()
			d := h.fleet(mdmtest.Fleet{Size: 1})[0]
			if err := d.Enrol(t.Context()); err != nil {
				t.Error(err)
			}
			if err := enqueue(t, &mdmtest.Direct{}, h.url(), h.token(), d.ID(), mdmtest.NewUUID()); err != nil {
				t.Errorf("with the token of the second start: %v", err)
			}
			h.stop()
			h.open().wantViewsAsFromAFreshFold()
		})
	}
}

// killWhenThereIs starts the program and kills it when the file is there.
func (h *host) killWhenThereIs(file string) {
	h.t.Helper()
	h.process = exec.Command(program, serveFlags(h.data, h.address, h.caFile)...)
	h.process.Stdout, h.process.Stderr = &h.said, &h.said
	if err := h.process.Start(); err != nil {
		h.process = nil
		h.t.Fatal(err)
	}
	deadline := time.Now().Add(patience)
	for _, err := os.Stat(filepath.Join(h.data, file)); err != nil; _, err = os.Stat(filepath.Join(h.data, file)) {
		if time.Now().After(deadline) {
			h.t.Fatalf("the server never made %s", file)
		}
	}
	h.kill()
}
