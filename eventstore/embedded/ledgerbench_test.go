package embedded

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// threadCPU returns the processor time that this thread has used: other threads, and the disk, are not in it.
func threadCPU() time.Duration {
	const clockThread = 3 // CLOCK_THREAD_CPUTIME_ID
	var t syscall.Timespec
	_, _, _ = syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, clockThread, uintptr(unsafe.Pointer(&t)), 0)
	return time.Duration(t.Nano())
}

// BenchmarkLedger is what the Merkle tree adds to an event: hashing it, and keeping the hashes. Commits with the tree and
// without it are made in turns, each in a file of its own, and the processor's time for them compared.
func BenchmarkLedger(b *testing.B) {
	for _, group := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("%devents", group), func(b *testing.B) {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			with, without := openHalf(b, true), openHalf(b, false)
			for i := 0; i < b.N; i += group {
				with.commitSome(b, group)
				without.commitSome(b, group)
			}
			each := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 / float64(with.events) }
			b.ReportMetric(each(with.spent-without.spent), "µs-cpu/event")
			b.ReportMetric(each(with.spent), "µs-cpu-in-all/event")
		})
	}
}

// A half is a committer's tables, with the tree or without it.
type half struct {
	*committer
	tree   bool
	spent  time.Duration
	events int
}

func openHalf(b *testing.B, tree bool) *half {
	b.Helper()
	var o Options
	o.fill()
	c, err := openCommitter(filepath.Join(b.TempDir(), "log.db"), o)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { c.close() })
	return &half{committer: c, tree: tree}
}

// commitSome commits n events of as many streams.
func (h *half) commitSome(b *testing.B, n int) {
	start := threadCPU()
	err := run(h.begin)
	for range n {
		h.events++
		stream := eventstore.Stream{Kind: "device", ID: fmt.Sprintf("%064d", h.events%1000)}
		e := sample(stream.ID)
		e.Stream, e.Version, e.Position = stream, int64(h.events/1000), eventstore.Position(h.events)
		var leaf tlog.Hash
		if h.tree {
			leaf = h.committer.tree.add(&e)
		}
		err = errors.Join(err, h.tables.addEvent(int64(h.events%1000+1), &e, &leaf))
	}
	if err = errors.Join(err, h.committer.tree.flush(), run(h.commit)); err != nil {
		b.Fatal(err)
	}
	h.spent += threadCPU() - start
	if err := h.wal.tend(n * eventBytes); err != nil {
		b.Fatal(err)
	}
}
