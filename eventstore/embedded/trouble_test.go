package embedded_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/embedded"
)

// quiet is for tests that provoke what is worth a warning.
var quiet = slog.New(slog.DiscardHandler)

// squeezed plays a process whose disk is full for a while: no file may grow beyond a limit.
func squeezed(dir string) error {
	signal.Ignore(syscall.SIGXFSZ)
	ctx := context.Background()
	var failed int
	l, err := embedded.Open(ctx, filepath.Join(dir, "log.db"), embedded.Options{Logger: quiet, Observe: func(c embedded.Commit) {
		if c.Err != nil {
			failed++
		}
	}})
	if err != nil {
		return err
	}
	var kept []eventstore.Envelope
	append := func() error {
		s := eventstore.Stream{Kind: "device", ID: fmt.Sprint(len(kept) % 7)}
		e := []eventstore.Envelope{{ID: eventstore.NewUUID(), Type: fmt.Sprint("type ", len(kept)), Evidence: make([]byte, 10_000)}}
		err := l.Append(ctx, s, int64(len(kept)/7-1), e)
		if err == nil {
			kept = append(kept, e...)
		}
		return err
	}
	for range 20 {
		if err := append(); err != nil {
			return err
		}
	}
	if err := squeeze(1 << 20); err != nil {
		return err
	}
	for range 200 {
		if err = append(); err != nil {
			break
		}
	}
	if err == nil || errors.Is(err, eventstore.ErrConflict) {
		return fmt.Errorf("the disk was full, and the append: %v", err)
	}
	for range 5 {
		if append() == nil {
			return errors.New("an append succeeded on a full disk")
		}
	}
	if err := squeeze(1 << 40); err != nil {
		return err
	}
	for range 20 {
		if err := append(); err != nil {
			return fmt.Errorf("append when there is space again: %w", err)
		}
	}
	n := 0
	for e, err := range l.ReadAll(ctx, 0) {
		if err != nil {
			return err
		}
		if e.ID != kept[n].ID || e.Type != kept[n].Type || e.Position != kept[n].Position || int(e.Position) != n+1 {
			return fmt.Errorf("event %d is %s %s, want %s %s", e.Position, e.ID, e.Type, kept[n].ID, kept[n].Type)
		}
		n++
	}
	if n != len(kept) {
		return fmt.Errorf("the log has %d events, want %d", n, len(kept))
	}
	if err := l.Close(); err != nil {
		return err
	}
	if failed == 0 {
		return errors.New("nobody observed the failure")
	}
	return nil
}

// squeeze sets how large this process may make a file.
func squeeze(bytes uint64) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	limit.Cur = min(bytes, limit.Max)
	return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit)
}

// A full disk fails the appends that meet it, and no others.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := child("squeezed", dir).Run(); err != nil {
		t.Error(err)
	}
	fits(t, open(t, dir, embedded.Options{}))
}
