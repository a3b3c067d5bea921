package main

import (
	"flag"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/projections"
)

var (
	pastDevices = flag.Int("past.devices", 1000, "devices in the log of BenchmarkRebuild")
	pastDays    = flag.Int("past.days", 12, "days that they were managed; a day is some 18 events for each")
)

// BenchmarkRebuild measures how many events of a realistic log are read, opened and folded in a second: for the fleet
// view alone, and for all views.
//
//	go test ./tests/bench -run '^$' -bench Rebuild -benchtime 1x
func BenchmarkRebuild(b *testing.B) {
	p := lived(b, *pastDevices, *pastDays)
	head, err := p.log.Head(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	b.Run("reading alone", func(b *testing.B) {
		for b.Loop() {
			for _, err := range p.log.ReadAll(b.Context(), 0) {
				if err != nil {
					b.Fatal(err)
				}
			}
		}
		b.ReportMetric(float64(head)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
	})
	b.Run("opening alone", func(b *testing.B) {
		codec := p.codec.Views()
		for b.Loop() {
			for env, err := range p.log.ReadAll(b.Context(), 0) {
				if err != nil {
					b.Fatal(err)
				}
				if _, err := codec.Decode(env); err != nil {
					b.Fatal(err)
				}
			}
		}
		b.ReportMetric(float64(head)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
	})
	for name, views := range map[string][]string{"the fleet view": {"fleet"}, "all views": nil} {
		b.Run(name, func(b *testing.B) {
			v, err := projections.Open(b.Context(), filepath.Join(b.TempDir(), "views.db"), projections.Options{})
			if err != nil {
				b.Fatal(err)
			}
			if err := v.CatchUp(b.Context(), p.log, p.codec.Views(), nil); err != nil {
				b.Fatal(err)
			}
			before := cpu()
			for b.Loop() {
				if err := v.Rebuild(b.Context(), p.log, p.codec.Views(), nil, views...); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(head)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(float64(head), "events")
			b.ReportMetric(float64((cpu()-before).Nanoseconds())/1e3/float64(b.N)/float64(head), "cpu-µs/event")
			if err := v.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// cpu is what this process has spent.
func cpu() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// BenchmarkDeviceAsOf measures how long it takes to say how a device was, and all that was known of it, at a moment in a
// stream of 10,000 events; the moment is another one each time.
func BenchmarkDeviceAsOf(b *testing.B) {
	p := lived(b, 1, 700)
	v, err := projections.Open(b.Context(), filepath.Join(b.TempDir(), "views.db"), projections.Options{})
	if err != nil {
		b.Fatal(err)
	}
	if err := v.CatchUp(b.Context(), p.log, p.codec.Views(), nil); err != nil {
		b.Fatal(err)
	}
	head := v.Position()
	at := head
	for b.Loop() {
		at = (at+4_999)%head + 1
		if _, found, err := v.Device(b.Context(), pseudonym(0), at); err != nil || !found && at > 10 {
			b.Fatal(found, err)
		}
		if _, err := v.Facts(b.Context(), pseudonym(0), "", at); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(head), "events")
	if err := v.Close(); err != nil {
		b.Fatal(err)
	}
}
