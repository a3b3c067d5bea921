package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/embedded"
)

const (
	eventBytes = 700             // about what an event of a device carries
	stretch    = 2 * time.Second // how long each thing is done
	rounds     = 3               // how often; the median counts
)

// measureLog measures the log alone.
func (s settings) measureLog(ctx context.Context, r *report) error {
	fmt.Println("\nthe log alone")
	return errors.Join(s.appends(ctx, r), s.replays(ctx, r), s.opens(ctx, r), s.ledgerCost(ctx, r))
}

// scratch calls f with a directory that is removed again.
func (s settings) scratch(f func(dir string) error) error {
	dir, err := os.MkdirTemp("", "rollcall-bench-log-")
	if err != nil {
		return fmt.Errorf("make a directory: %w", err)
	}
	return errors.Join(f(dir), os.RemoveAll(dir))
}

// appends compares durable appends with the same bytes written and synced by a bare loop on the same disk, in turns.
func (s settings) appends(ctx context.Context, r *report) error {
	for _, writers := range []int{1, 8, 64} {
		var logs, bares []float64
		var spent time.Duration
		for range rounds {
			err := s.scratch(func(dir string) error {
				bare, err := bareAppends(filepath.Join(dir, "bare"), 1)
				if err != nil {
					return err
				}
				bares = append(bares, bare)
				before := ownCPU()
				rate, err := logAppends(ctx, filepath.Join(dir, "log.db"), writers)
				spent += ownCPU() - before
				logs = append(logs, rate)
				return err
			})
			if err != nil {
				return err
			}
		}
		log, bare := median(logs), median(bares)
		r.add(row{Of: "log", What: fmt.Sprintf("durable appends, %d at once", writers), Figure: log, Unit: "events/s",
			Note: fmt.Sprintf("%.2f × a bare append and fdatasync, one after the other (%s/s)", log/bare, number(bare))})
		total := 0.0
		for _, rate := range logs {
			total += rate * stretch.Seconds()
		}
		r.add(row{Of: "log", What: fmt.Sprintf("CPU an append, %d at once", writers), Figure: spent.Seconds() * 1e6 / total, Unit: "µs"})
	}
	return s.scratch(func(dir string) error {
		bare, err := bareAppends(filepath.Join(dir, "bare"), 64)
		r.add(row{Of: "disk", What: "bare append and fdatasync of 64 events together", Figure: bare, Unit: "events/s"})
		return err
	})
}

// bareAppends writes as many bytes as so many events have, waits until the disk has them, and again; it returns events
// in a second.
func bareAppends(file string, together int) (rate float64, err error) {
	f, err := os.Create(file) //nolint:gosec // ours
	if err != nil {
		return 0, fmt.Errorf("make a file: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	buf := make([]byte, together*eventBytes)
	n, begin := 0, time.Now()
	for ; time.Since(begin) < stretch; n += together {
		if _, err := f.Write(buf); err != nil {
			return 0, err
		}
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			return 0, err
		}
	}
	return float64(n) / time.Since(begin).Seconds(), nil
}

// logAppends has so many writers append single events, each to streams of its own.
func logAppends(ctx context.Context, file string, writers int) (rate float64, err error) {
	l, err := embedded.Open(ctx, file, embedded.Options{})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	var all sync.WaitGroup
	counts, errs := make([]int, writers), make([]error, writers)
	begin := time.Now()
	for w := range writers {
		all.Go(func() {
			for time.Since(begin) < stretch && errs[w] == nil {
				stream := eventstore.Stream{Kind: "device", ID: fmt.Sprintf("%060d-%03d", w, counts[w]%100)}
				errs[w] = l.Append(ctx, stream, int64(counts[w]/100)-1, []eventstore.Envelope{sample(stream.ID)})
				counts[w]++
			}
		})
	}
	all.Wait()
	took := time.Since(begin)
	total := 0
	for _, n := range counts {
		total += n
	}
	return float64(total) / took.Seconds(), errors.Join(errs...)
}

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
