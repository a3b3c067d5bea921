package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/embedded"
)

// million is how many events the log has whose writer is killed.
const million = 1_000_000

// opens measures how long a log of a million events needs until it can be read and written, after its process was killed in
// the middle of writing.
func (s settings) opens(ctx context.Context, r *report) error {
	return s.scratch(func(dir string) error {
		file := filepath.Join(dir, "log.db")
		if err := killWriter(ctx, file); err != nil {
			return err
		}
		wal, err := os.Stat(file + "-wal")
		if err != nil {
			return fmt.Errorf("the killed process left no write-ahead log: %w", err)
		}
		begin := time.Now()
		l, err := embedded.Open(ctx, file, embedded.Options{})
		if err != nil {
			return err
		}
		opened := time.Since(begin)
		err = firstRead(ctx, l)
		ready := time.Since(begin)
		head, headErr := l.Head(ctx)
		if head < million {
			err = errors.Join(err, fmt.Errorf("the log has %d events, want %d", head, million))
		}
		r.add(row{Of: "log", What: "open after SIGKILL, 1,000,000 events", Figure: ready.Seconds() * 1000, Unit: "ms", Want: "1,000 at most",
			Note: fmt.Sprintf("of which opening %.0f ms; with a write-ahead log of %.1f MiB", opened.Seconds()*1000, float64(wal.Size())/(1<<20))})
		return errors.Join(err, headErr, l.Close())
	})
}

// firstRead reads the newest event of one stream.
func firstRead(ctx context.Context, l eventstore.Log) error {
	for _, err := range l.ReadStream(ctx, writerStream(7), -1, eventstore.Backward) {
		return err
	}
	return errors.New("the stream is empty")
}

func writerStream(n int) eventstore.Stream {
	return eventstore.Stream{Kind: "device", ID: fmt.Sprintf("%064d", n)}
}

// killWriter has a process of its own write a million events, and kills it while it goes on writing.
func killWriter(ctx context.Context, file string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	writer := exec.CommandContext(ctx, self, "-write", file) //nolint:gosec // ourselves
	writer.Stderr = os.Stderr
	out, err := writer.StdoutPipe()
	if err != nil {
		return err
	}
	if err := writer.Start(); err != nil {
		return fmt.Errorf("start the writer: %w", err)
	}
	_, err = bufio.NewReader(out).ReadString('\n') // it says when the million is full
	killErr := writer.Process.Kill()
	_ = writer.Wait() // it was killed
	return errors.Join(err, killErr)
}

// writeForever is the process that is killed: a million events in large batches, a word, and then small batches until the end.
func writeForever(ctx context.Context, file string) error {
	l, err := embedded.Open(ctx, file, embedded.Options{})
	if err != nil {
		return err
	}
	const streams, batch = 1000, 500
	for n := 0; ; n++ {
		size := batch
		if n >= million/batch {
			size = 1
		}
		events := make([]eventstore.Envelope, size)
		stream := writerStream(n % streams)
		for i := range events {
			events[i] = sample(stream.ID)
		}
		expected := int64(n/streams*batch) - 1
		if size == 1 {
			expected = int64(million/streams+(n-million/batch)/streams) - 1
		}
		if err := l.Append(ctx, stream, expected, events); err != nil {
			return fmt.Errorf("batch %d: %w", n, err)
		}
		if n == million/batch+streams/2 {
			fmt.Println("written")
		}
	}
}

// metric finds the processor's time that the Merkle tree adds to an event in what BenchmarkLedger prints.
var metric = regexp.MustCompile(`BenchmarkLedger/(\d+)events.*?(-?[\d.]+) µs-cpu/event.*?`)

// ledgerCost runs the benchmark that measures the tree's own calls, and commits with and without its rows.
func (s settings) ledgerCost(ctx context.Context, r *report) error {
	costs := map[string][]float64{}
	for range rounds {
		for group, n := range map[string]string{"1": "6000x", "8": "16000x", "64": "64000x"} {
			cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "^BenchmarkLedger$/^"+group+"events$", "-benchtime", n, "./eventstore/embedded") //nolint:gosec // ours
			out, err := cmd.CombinedOutput()
			m := metric.FindSubmatch(out)
			if err != nil || m == nil {
				return fmt.Errorf("measure the ledger: %w\n%s", errors.Join(err, errors.New("no figure")), out)
			}
			cost, err := strconv.ParseFloat(string(m[2]), 64)
			if err != nil {
				return err
			}
			costs[group] = append(costs[group], cost)
		}
	}
	for _, group := range []string{"1", "8", "64"} {
		r.add(row{Of: "log", What: "Merkle tree, CPU an event, " + group + " in a commit", Figure: median(costs[group]), Unit: "µs", Want: "3 at most",
			Note: "its own calls inside the transaction, and the pages of its rows at the commit; files in memory"})
	}
	return nil
}
