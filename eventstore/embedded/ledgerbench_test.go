package embedded

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
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

// BenchmarkLedger is what the Merkle tree adds to an event, in processor time of the committer's thread: the tree's own calls
// are measured inside the transaction, one by one, less what it takes to read the clock; and the pages that its blocks add to a
// commit, by comparing commits with blocks and commits without. Lower quartiles are added up, and the garbage collector rests,
// so that what else the machine and the program do is not in them. The files are in memory where there is /dev/shm: a disk that is
// waited for leaves nothing in the processor's caches, which is the disk's cost.
func BenchmarkLedger(b *testing.B) {
	for _, group := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("%devents", group), func(b *testing.B) {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			defer debug.SetGCPercent(debug.SetGCPercent(-1))
			with, without := openHalf(b, true), openHalf(b, false)
			for i := 0; i < b.N; i += group {
				with.commitSome(b, group)
				without.commitSome(b, group)
			}
			hashing, rows, pages := with.cost(without)
			b.ReportMetric(hashing+rows+pages, "µs-cpu/event")
			b.ReportMetric(hashing, "µs-hashing")
			b.ReportMetric(rows, "µs-rows")
			b.ReportMetric(pages, "µs-pages")
			b.ReportMetric(micros(with.spent)/float64(with.events), "µs-cpu-in-all/event")
		})
	}
}

// A half is a committer's tables, with the tree or without it, and what its commits took.
type half struct {
	*committer
	tree    bool
	spent   time.Duration
	events  int
	adds    []time.Duration         // of each event
	flushes map[int][]time.Duration // of each commit, by how many blocks it writes
	commits map[int][]time.Duration
}

func openHalf(b *testing.B, tree bool) *half {
	b.Helper()
	var o Options
	o.fill()
	dir, err := os.MkdirTemp("/dev/shm", "rollcall-")
	if err != nil {
		dir = b.TempDir()
	}
	c, err := openCommitter(filepath.Join(dir, "log.db"), o)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = errors.Join(c.close(), os.RemoveAll(dir)) })
	return &half{committer: c, tree: tree, flushes: map[int][]time.Duration{}, commits: map[int][]time.Duration{}}
}

// took returns the processor time of a call.
func took(call func()) time.Duration {
	start := threadCPU()
	call()
	return threadCPU() - start
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
			h.adds = append(h.adds, took(func() { leaf = h.committer.tree.add(&e) }))
		}
		err = errors.Join(err, h.tables.addEvent(int64(h.events%1000+1), &e, &leaf))
	}
	blocks := len(h.committer.tree.tail) / blockHashes
	h.flushes[blocks] = append(h.flushes[blocks], took(func() { err = errors.Join(err, h.committer.tree.flush()) }))
	h.commits[blocks] = append(h.commits[blocks], took(func() { err = errors.Join(err, run(h.commit)) }))
	if err != nil {
		b.Fatal(err)
	}
	h.spent += threadCPU() - start
	if err := h.wal.tend(n * eventBytes); err != nil {
		b.Fatal(err)
	}
}

// cost returns what the tree took of an event, in microseconds: hashing it, writing rows of hashes, and the pages of those
// rows at the commit.
func (h *half) cost(without *half) (hashing, rows, pages float64) {
	var reads []time.Duration
	for range 10_000 {
		reads = append(reads, took(func() {}))
	}
	clock := undisturbed(reads)
	base := undisturbed(without.commits[0])
	if len(h.commits[0]) > 0 {
		base = undisturbed(h.commits[0])
	}
	for blocks, all := range h.flushes {
		rows += micros(undisturbed(all)-clock) * float64(len(all))
		if blocks > 0 {
			pages += micros(undisturbed(h.commits[blocks])-base) * float64(len(all))
		}
	}
	return micros(undisturbed(h.adds) - clock), rows / float64(h.events), pages / float64(h.events)
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }

// undisturbed returns the lower quartile: whatever else the machine does only adds to a time.
func undisturbed(all []time.Duration) time.Duration {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[len(all)/4]
}
