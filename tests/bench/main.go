// Command bench measures the built server under load: devices enrol, poll, are given commands and carry them out. Then it
// measures the log alone. In the end it prints all figures in one table, or as JSON.
//
//	go run ./tests/bench -binary bin/rollcall
//	go run ./tests/bench -only log -json
//
// The load shares the machine with the server. Every phase tells the rate, how long answers took, and what the server
// and the load spent; every command is checked for order, loss and doubling. The views fold what has happened while the load
// runs and after it: how long they need to catch up, and what that costs, is told too.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/rollcall-mdm/rollcall/handlers/mdm/mdmtest"
)

// settings say what is measured.
type settings struct {
	binary      string
	devices     int
	concurrency int
	commands    int
	scale       int
	keep        bool
	only        string
	json        bool
}

func main() {
	var s settings
	flag.StringVar(&s.binary, "binary", "bin/rollcall", "the built server")
	flag.IntVar(&s.devices, "devices", 2000, "devices")
	flag.IntVar(&s.concurrency, "concurrency", 64, "devices that speak at once")
	flag.IntVar(&s.commands, "commands", 5, "commands for each device")
	flag.IntVar(&s.scale, "scale", 20000, "devices that are enrolled at the end, to see whether it stays as fast; 0 for none")
	flag.BoolVar(&s.keep, "keep", false, "keep the servers' directories, and say where they are")
	flag.StringVar(&s.only, "only", "", "measure only the server, only the log, or only the growth of the files")
	flag.BoolVar(&s.json, "json", false, "print the figures as JSON on standard output, and all else on standard error")
	write := flag.String("write", "", "a log to write to until somebody kills this process: part of the measurement")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	run := s.run
	if *write != "" {
		run = func(ctx context.Context) error { return writeForever(ctx, *write) }
	}
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run measures what is asked for, and prints it.
func (s settings) run(ctx context.Context) error {
	out := os.Stdout
	if s.json {
		os.Stdout = os.Stderr
	}
	r := &report{Machine: machine()}
	var errs []error
	if s.only == "growth" {
		return s.growth(ctx)
	}
	if s.only != "log" {
		errs = append(errs, s.measureServer(ctx, r))
	}
	if s.only != "server" {
		errs = append(errs, s.measureLog(ctx, r))
	}
	return errors.Join(append(errs, r.print(out, s.json))...)
}

// measureServer measures one server after the other, each on an empty directory.
func (s settings) measureServer(ctx context.Context, r *report) error {
	fmt.Printf("%d devices, %d at once, %d commands each; every event is on disk before it is answered\n", s.devices, s.concurrency, s.commands)
	mixed := s.measure(ctx, r, "inventory: DeviceInformation, SecurityInfo, 60 apps, profiles, certificates", mdmtest.Inventory)
	plain := s.measure(ctx, r, "DeviceInformation alone", mdmtest.Inventory[:1])
	return errors.Join(mixed, plain, s.growth(ctx), s.grow(ctx, r))
}

// measure plays the four phases to a fresh server.
func (s settings) measure(ctx context.Context, r *report, title string, questions []mdmtest.Question) error {
	fmt.Printf("\n%s\n", title)
	return s.withServer(ctx, func(srv *server) error {
		load, err := s.load(srv, s.devices, 1)
		if err != nil {
			return err
		}
		load.Questions = questions
		load.Prepare()
		header()
		enrol := srv.phase(func() mdmtest.Phase { return load.Enrol(ctx) })
		idle := srv.phase(func() mdmtest.Phase { return load.Idle(ctx) })
		before := srv.disk()
		order := srv.phase(func() mdmtest.Phase { return load.Order(ctx, s.commands) })
		answer := srv.phase(func() mdmtest.Phase { return load.Answer(ctx) })
		err = errors.Join(load.Audit().Err(), trouble(enrol, idle, order, answer), srv.settle(ctx))
		audit := load.Audit()
		fmt.Printf("commands lost: %d, doubled: %d, out of order: %d\n", len(audit.Lost), len(audit.Doubled), len(audit.Disordered))
		srv.account(before, answer)
		r.add(srv.figures(title, enrol, idle, order, answer)...)
		return err
	})
}

// grow enrols many devices, a quarter at a time.
func (s settings) grow(ctx context.Context, r *report) error {
	if s.scale == 0 {
		return nil
	}
	fmt.Printf("\nenrolment as the fleet grows to %d\n", s.scale)
	return s.withServer(ctx, func(srv *server) error {
		header()
		var all []mdmtest.Phase
		for quarter := range 4 {
			load, err := s.load(srv, s.scale/4, uint64(quarter+1))
			if err != nil {
				return err
			}
			all = append(all, srv.phase(func() mdmtest.Phase { return load.Enrol(ctx) }))
			r.add(row{Of: "server", What: fmt.Sprintf("enrolment requests, to %d devices", (quarter+1)*s.scale/4), Figure: all[quarter].Rate,
				Unit: "/s", Want: "4,000, flat", Note: "p99 " + millis(all[quarter].P99)})
		}
		return errors.Join(trouble(all...), srv.settle(ctx))
	})
}

// load makes devices that the server believes.
func (s settings) load(srv *server, devices int, seed uint64) (*mdmtest.Load, error) {
	watch := &mdmtest.Stopwatch{}
	wire := watch.Around(&mdmtest.Direct{})
	fleet, err := mdmtest.Fleet{
		Size: devices, Seed: seed, Server: mdmtest.ServerAt(srv.url), CA: srv.ca, Wire: wire,
		Proof: mdmtest.Proof{Way: mdmtest.ByHeader, Header: certHeader},
	}.Make()
	if err != nil {
		return nil, err
	}
	return &mdmtest.Load{
		Devices: fleet, Concurrency: s.concurrency, Watch: watch,
		Orderer: &mdmtest.Orderer{URL: srv.url, Token: srv.token, Wire: wire},
	}, nil
}

// trouble returns the first failure of every phase.
func trouble(phases ...mdmtest.Phase) error {
	var all []error
	for _, p := range phases {
		if p.Failed > 0 || p.Errors > 0 {
			all = append(all, fmt.Errorf("%s: %d devices failed, %d requests had no good answer; first: %s", p.Name, p.Failed, p.Errors, p.First))
		}
	}
	return errors.Join(all...)
}

func header() {
	fmt.Printf("%-8s %9s %11s %9s %9s %13s %9s %10s %12s %13s %9s\n", "phase", "requests", "requests/s", "p50", "p99",
		"CPU/request", "its load", "commands", "commands/s", "CPU/command", "peak RSS")
}

func millis(d time.Duration) string { return fmt.Sprintf("%.2f ms", d.Seconds()*1000) }
