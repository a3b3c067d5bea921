package embedded

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// eventBytes is about what an event of a device carries.
const eventBytes = 700

// sample returns an event of eventBytes bytes: some open, most of it sealed.
func sample(id string) eventstore.Envelope {
	return eventstore.Envelope{
		ID: eventstore.NewUUID(), Type: "device.command-acknowledged", Time: time.Now(),
		Actor:       eventstore.Actor{Kind: eventstore.ByDevice, ID: id},
		Correlation: eventstore.NewUUID(),
		Data:        []byte(`{"Channel":"","CommandUUID":"6F1C7A0E-7C0B-4C52-9F0B-0F3B7C5C1E11","RequestType":"DeviceInformation"}`),
		Personal:    bytes.Repeat([]byte{0xA5}, eventBytes-100),
	}
}

func openBench(b *testing.B) *Log {
	b.Helper()
	l, err := Open(b.Context(), filepath.Join(b.TempDir(), "log.db"), Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	return l
}

// cpu returns the processor time this process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// report adds figures for each of n events.
func report(b *testing.B, n int, before time.Duration) {
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64((cpu()-before).Microseconds())/float64(n), "µs-cpu/event")
}

// BenchmarkAppend appends single events to 10,000 streams, each acknowledged when it is on disk.
func BenchmarkAppend(b *testing.B) {
	for _, writers := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("%dwriters", writers), func(b *testing.B) {
			l := openBench(b)
			var streams [10000]int64
			took := make([]time.Duration, b.N)
			before := cpu()
			b.ResetTimer()
			each(writers, b.N, func(w, i, n int) {
				s := rand.IntN(len(streams)/writers)*writers + w // no two writers share a stream
				stream := eventstore.Stream{Kind: "device", ID: fmt.Sprintf("%064d", s)}
				event := []eventstore.Envelope{sample(stream.ID)}
				start := time.Now()
				if err := l.Append(b.Context(), stream, streams[s]-1, event); err != nil {
					b.Error(err)
				}
				took[n] = time.Since(start)
				streams[s]++
			})
			report(b, b.N, before)
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
		})
	}
}

// each shares n calls among the workers; a call is told its worker, how many that one has made, and how many all have.
func each(workers, n int, call func(w, i, n int)) {
	var all sync.WaitGroup
	var next atomic.Int64
	for w := range workers {
		all.Go(func() {
			for i := 0; ; i++ {
				k := int(next.Add(1)) - 1
				if k >= n {
					return
				}
				call(w, i, k)
			}
		})
	}
	all.Wait()
}

// BenchmarkBare is the disk alone: write as many bytes, and wait for them.
func BenchmarkBare(b *testing.B) {
	for _, events := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("%devents", events), func(b *testing.B) {
			f, err := os.Create(filepath.Join(b.TempDir(), "bare"))
			if err != nil {
				b.Fatal(err)
			}
			defer f.Close()
			buf := make([]byte, events*eventBytes)
			before := cpu()
			b.ResetTimer()
			for i := 0; i < b.N; i += events {
				if _, err := f.Write(buf); err != nil {
					b.Fatal(err)
				}
				if err := syscall.Fdatasync(int(f.Fd())); err != nil {
					b.Fatal(err)
				}
			}
			report(b, b.N, before)
		})
	}
}

// fill appends n events, a thousand at once.
func fill(b *testing.B, l *Log, n int) {
	b.Helper()
	for i := 0; i < n; i += 1000 {
		stream := eventstore.Stream{Kind: "device", ID: fmt.Sprintf("%064d", i%10000)}
		batch := make([]eventstore.Envelope, 1000)
		for j := range batch {
			batch[j] = sample(stream.ID)
		}
		if err := l.Append(b.Context(), stream, int64(i/10000*1000-1), batch); err != nil {
			b.Fatal(err)
		}
	}
}

const filled = 100_000

// BenchmarkReadAll reads the whole log from the file.
func BenchmarkReadAll(b *testing.B) {
	l := openBench(b)
	fill(b, l, filled)
	before := cpu()
	n := 0
	for b.Loop() {
		for _, err := range l.ReadAll(b.Context(), 0) {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
	}
	report(b, n, before)
}

// BenchmarkReadStream reads fifty events of one stream.
func BenchmarkReadStream(b *testing.B) {
	l := openBench(b)
	fill(b, l, filled)
	stream := eventstore.Stream{Kind: "device", ID: fmt.Sprintf("%064d", 3000)}
	for b.Loop() {
		n := 0
		for _, err := range l.ReadStream(b.Context(), stream, 500, eventstore.Forward) {
			if err != nil {
				b.Fatal(err)
			}
			if n++; n == 50 {
				break
			}
		}
	}
}

// BenchmarkFollow follows a log to which 64 writers append.
func BenchmarkFollow(b *testing.B) {
	l := openBench(b)
	before := cpu()
	b.ResetTimer()
	var all sync.WaitGroup
	all.Go(func() {
		each(64, b.N, func(w, i, _ int) {
			stream := eventstore.Stream{Kind: "device", ID: fmt.Sprintf("%032d", w)}
			if err := l.Append(b.Context(), stream, int64(i-1), []eventstore.Envelope{sample(stream.ID)}); err != nil {
				b.Error(err)
			}
		})
	})
	n, batches := 0, 0
	for batch, err := range l.Follow(b.Context(), 0) {
		if err != nil {
			b.Fatal(err)
		}
		batches++
		if n += len(batch); n == b.N {
			break
		}
	}
	all.Wait()
	report(b, b.N, before)
	b.ReportMetric(float64(n)/float64(batches), "events/batch")
}
