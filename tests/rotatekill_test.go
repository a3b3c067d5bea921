package tests

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/eventstore/seal/kmstest"
	"github.com/rollcall-mdm/rollcall/handlers/mdm/mdmtest"
)

// cutOff is how many rotations must have been cut off in their middle, and attempts how often it is tried at most.
const (
	cutOff   = 6
	attempts = 60
)

// slowly has a handler take its time.
func slowly(h http.Handler, delay time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		timer := time.NewTimer(delay)
		defer timer.Stop()
		<-timer.C
		h.ServeHTTP(w, r)
	})
}

// TestSIGKILLDuringRotationLosesNothing kills the server again and again while its master key moves between files and
// a key management service, and devices enrol and work meanwhile. It opens every time, under the one key or the other;
// all that was acknowledged is in the log, and everything in the log opens.
func TestSIGKILLDuringRotationLosesNothing(t *testing.T) {
	t.Parallel()
	kms := httptest.NewServer(slowly(kmstest.New("alias/slow", 9), time.Millisecond))
	defer kms.Close()
	h := newHost(t)
	h.start()
	c := newCrowd(h)
	ctx, giveUp := context.WithCancel(bounded(t))
	defer giveUp()
	var all sync.WaitGroup
	for i, d := range h.fleet(mdmtest.Fleet{Size: writers, Seed: 12, Habits: mdmtest.Habits{NotNow: 0.05}}) {
		d.Prepare(mdmtest.Inventory...)
		all.Go(func() {
			w := writer{crowd: c, device: d, number: i}
			if err := w.run(ctx); err != nil {
				t.Errorf("writer %d: %v", i, err)
				giveUp()
			}
		})
	}
	c.ledger.await(ctx, 300) // the devices have keys by then
	cut, tried := 0, 0
	for ; cut < cutOff && tried < attempts && ctx.Err() == nil; tried++ {
		to := kms.URL
		if tried%2 == 1 {
			to = "file:" + filepath.Join(h.data, fmt.Sprintf("master-%d.key", tried))
		}
		cut += killDuringRotation(ctx, h, to)
		h.start()
		c.risen()
		c.ledger.await(ctx, 50)
	}
	c.ending.Store(true)
	all.Wait()
	if t.Failed() || ctx.Err() != nil {
		t.Fatalf("the load did not come to its end: %v", context.Cause(ctx))
	}
	h.stop()
	c.ledger.audit(h.open())
	if cut < cutOff {
		t.Errorf("of %d rotations only %d were cut off", tried, cut)
	}
	t.Logf("%d of %d rotations were cut off; %d messages were acknowledged", cut, tried, len(c.ledger.acknowledged))
}

// killDuringRotation has the master key changed, kills the server a moment later, and returns 1 if that was in the
// middle of it.
func killDuringRotation(ctx context.Context, h *host, to string) int {
	h.t.Helper()
	rotate := exec.CommandContext(ctx, program, "keys", "rotate", "--data", h.data, "--to", to)
	if err := rotate.Start(); err != nil {
		h.t.Fatal(err)
	}
	note := filepath.Join(h.data, "master-key.from.next")
	ended := make(chan struct{})
	go func() { _ = rotate.Wait(); close(ended) }() // it fails if the server dies
	underWay := func() bool {
		_, err := os.Stat(note)
		return !errors.Is(err, fs.ErrNotExist)
	}
	for begun := false; !begun; {
		select {
		case <-ended:
			begun = true
		case <-time.After(time.Millisecond):
			begun = underWay()
		}
	}
	timer := time.NewTimer(time.Duration(rand.IntN(80)) * time.Millisecond)
	<-timer.C
	h.kill()
	<-ended
	if underWay() {
		return 1
	}
	return 0
}
