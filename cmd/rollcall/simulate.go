package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rollcall-mdm/rollcall/handlers/mdm/mdmtest"
)

// simulateCmd plays devices against any MDM server that knows NanoMDM's enqueue route, or Rollcall's GraphQL.
//
// It ends with status 1 when a command was lost, doubled or out of order, or when the server broke the protocol.
type simulateCmd struct {
	URL         string        `name:"url" default:"http://127.0.0.1:8443" placeholder:"URL" help:"The server. Devices speak to its /mdm, unless --checkin-url and --connect-url say otherwise."`
	CheckInURL  string        `name:"checkin-url" placeholder:"URL" help:"Where devices check in."`
	ConnectURL  string        `name:"connect-url" placeholder:"URL" help:"Where devices fetch commands."`
	Devices     int           `default:"50" help:"How many devices."`
	Concurrency int           `default:"16" help:"How many of them speak at once."`
	Commands    int           `default:"5" help:"Commands for each device; 0 for none. They need --token."`
	Identity    string        `default:"header:X-Ssl-Client-Cert" placeholder:"WAY" help:"How devices prove who they are: mtls, signature, signature-sha1, header:NAME, rfc9440[:NAME]."`
	DeviceCA    string        `name:"device-ca" default:"device-ca.pem" placeholder:"FILE" help:"The CA of the devices' identities, PEM. Made if it is missing."`
	DeviceCAKey string        `name:"device-ca-key" default:"device-ca-key.pem" placeholder:"FILE" help:"Its key, PEM."`
	RSA         bool          `name:"rsa" help:"RSA keys for the devices, as real ones have: slower to make."`
	ServerCA    string        `name:"server-ca" type:"existingfile" placeholder:"FILE" help:"The root of the server's own certificate, PEM."`
	Insecure    bool          `help:"Believe any certificate of the server: for --dev-tls."`
	Token       string        `placeholder:"TOKEN" help:"API token, to queue commands. @FILE reads it from a file."`
	GraphQL     bool          `name:"graphql" help:"Queue commands by GraphQL's sendCommand, not by /v1/enqueue."`
	Topic       string        `placeholder:"TOPIC" help:"The push topic that devices name."`
	Users       bool          `help:"Macs have a user, and some iPads are shared."`
	NotNow      float64       `name:"notnow" default:"0" help:"Share of commands that devices defer, 0 to 1."`
	Errors      float64       `default:"0" help:"Share of commands that fail, 0 to 1."`
	Asleep      float64       `default:"0" help:"Share of devices that sleep through a round of --duration, 0 to 1."`
	Seed        uint64        `default:"1" help:"The same seed makes the same devices."`
	Duration    time.Duration `help:"Go on with polls and commands for so long, instead of one round."`
	Script      string        `type:"existingfile" placeholder:"FILE" help:"Play these lines of awkward devices instead, see docs/operations.md."`
	JSON        bool          `name:"json" help:"Print the figures as JSON."`

	Out io.Writer `kong:"-"` // standard output if nil
	Err io.Writer `kong:"-"` // for progress; standard error if nil
}

// simulation is what --json prints.
type simulation struct {
	Devices  int             `json:"devices"`
	Phases   []mdmtest.Phase `json:"phases"`
	Outcomes map[string]int  `json:"outcomes"`
	Lost     int             `json:"lost"`
	Doubled  int             `json:"doubled"`
	Disorder int             `json:"outOfOrder"`
	Unasked  int             `json:"neverQueued"`
}

// Run plays the devices.
func (s *simulateCmd) Run(ctx context.Context) error {
	s.Out, s.Err = cmp.Or[io.Writer](s.Out, os.Stdout), cmp.Or[io.Writer](s.Err, os.Stderr)
	if err := s.check(); err != nil {
		return err
	}
	load, err := s.load()
	if err != nil {
		return err
	}
	if s.Script != "" {
		return s.playScript(ctx, load)
	}
	result := simulation{Devices: s.Devices, Phases: s.play(ctx, load), Outcomes: load.Outcomes()}
	audit := load.Audit()
	result.Lost, result.Doubled = len(audit.Lost), len(audit.Doubled)
	result.Disorder, result.Unasked = len(audit.Disordered), len(audit.Unasked)
	if err := s.print(result); err != nil {
		return err
	}
	return errors.Join(ctx.Err(), audit.Err(), trouble(result.Phases))
}

// check refuses settings that cannot work.
func (s *simulateCmd) check() error {
	for _, share := range []float64{s.NotNow, s.Errors, s.Asleep} {
		if share < 0 || share > 1 {
			return fmt.Errorf("%v is no share: --notnow, --errors and --asleep take 0 to 1", share)
		}
	}
	if s.Devices < 1 || s.Concurrency < 1 || s.Commands < 0 {
		return errors.New("--devices and --concurrency start at 1, --commands at 0")
	}
	if name, ok := strings.CutPrefix(s.Token, "@"); ok {
		token, err := os.ReadFile(name)
		if err != nil {
			return fmt.Errorf("read the API token: %w", err)
		}
		s.Token = strings.TrimSpace(string(token))
	}
	if s.Commands > 0 && s.Token == "" {
		return errors.New("commands need an API token: --token @DATA/admin-token, or --commands 0")
	}
	return nil
}

// load makes the fleet and what plays it.
func (s *simulateCmd) load() (*mdmtest.Load, error) {
	proof, err := mdmtest.ParseProof(s.Identity)
	if err != nil {
		return nil, err
	}
	config, err := s.tls()
	if err != nil {
		return nil, err
	}
	ca, err := s.ca()
	if err != nil {
		return nil, err
	}
	server := mdmtest.ServerAt(s.URL)
	server.CheckIn, server.Connect, server.Topic = cmp.Or(s.CheckInURL, server.CheckIn), cmp.Or(s.ConnectURL, server.Connect), cmp.Or(s.Topic, server.Topic)
	watch := &mdmtest.Stopwatch{}
	fleet := mdmtest.Fleet{
		Size: s.Devices, Seed: s.Seed, Users: s.Users, Server: server, CA: ca, Proof: proof, TLS: config, Watch: watch,
		Habits: mdmtest.Habits{NotNow: s.NotNow, Error: s.Errors},
	}
	devices, err := fleet.Make()
	if err != nil {
		return nil, err
	}
	return &mdmtest.Load{
		Devices: devices, Concurrency: s.Concurrency, Watch: watch, Progress: s.progress(), Asleep: s.Asleep, Seed: s.Seed,
		Orderer: &mdmtest.Orderer{URL: s.URL, Token: s.Token, GraphQL: s.GraphQL, Wire: watch.Around(&mdmtest.Direct{TLS: config})},
	}, nil
}

// play goes through the phases: once, or until the time is over. At the end everybody works off what is left.
func (s *simulateCmd) play(ctx context.Context, load *mdmtest.Load) []mdmtest.Phase {
	end := time.Now().Add(s.Duration)
	enrol, idle := load.Enrol(ctx), load.Idle(ctx)
	if s.Commands == 0 {
		for ctx.Err() == nil && time.Now().Before(end) {
			idle = idle.Plus(load.Idle(ctx))
		}
		return []mdmtest.Phase{enrol, idle}
	}
	order, answer := load.Order(ctx, s.Commands), load.Answer(ctx)
	for ctx.Err() == nil && time.Now().Before(end) {
		idle, order, answer = idle.Plus(load.Idle(ctx)), order.Plus(load.Order(ctx, s.Commands)), answer.Plus(load.Answer(ctx))
	}
	if s.Asleep > 0 {
		load.Asleep = 0
		answer = answer.Plus(load.Answer(ctx))
	}
	return []mdmtest.Phase{enrol, idle, order, answer}
}

// ca reads the CA of the devices, or makes it.
func (s *simulateCmd) ca() (*mdmtest.CA, error) {
	cert, err := os.ReadFile(s.DeviceCA)
	if errors.Is(err, fs.ErrNotExist) {
		return s.newCA()
	}
	if err != nil {
		return nil, fmt.Errorf("read the device CA: %w", err)
	}
	key, err := os.ReadFile(s.DeviceCAKey)
	if err != nil {
		return nil, fmt.Errorf("read the device CA's key: %w", err)
	}
	ca, err := mdmtest.ParseCA(cert, key)
	if err != nil {
		return nil, err
	}
	ca.RSA = s.RSA
	return ca, nil
}

func (s *simulateCmd) newCA() (*mdmtest.CA, error) {
	ca, err := mdmtest.NewCA("Rollcall simulated devices")
	if err != nil {
		return nil, err
	}
	key, err := ca.KeyPEM()
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(s.DeviceCAKey, key, 0o600); err != nil {
		return nil, fmt.Errorf("keep the device CA's key: %w", err)
	}
	if err := os.WriteFile(s.DeviceCA, ca.PEM(), 0o644); err != nil { //nolint:gosec // a certificate is public
		return nil, fmt.Errorf("keep the device CA: %w", err)
	}
	fmt.Fprintf(s.Err, "Made a CA for the devices. Start the server with --device-ca %s so that it believes them.\n", s.DeviceCA)
	ca.RSA = s.RSA
	return ca, nil
}

// tls returns how the devices check the server.
func (s *simulateCmd) tls() (*tls.Config, error) {
	config := &tls.Config{InsecureSkipVerify: s.Insecure} //nolint:gosec // asked for
	if s.ServerCA == "" {
		return config, nil
	}
	pem, err := os.ReadFile(s.ServerCA)
	if err != nil {
		return nil, fmt.Errorf("read the server's root: %w", err)
	}
	config.RootCAs = x509.NewCertPool()
	if !config.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate in PEM", s.ServerCA)
	}
	return config, nil
}

// progress returns what shows a line that moves, ten times a second at most. It is for people: a file gets none.
func (s *simulateCmd) progress() func(string, int, int) {
	if s.JSON || !terminal(s.Err) {
		return nil
	}
	var last atomic.Int64
	return func(phase string, done, total int) {
		now := time.Now().UnixMilli()
		before := last.Load()
		if done < total && (now-before < 100 || !last.CompareAndSwap(before, now)) {
			return
		}
		fmt.Fprintf(s.Err, "\r\x1b[K%s: %d of %d devices", phase, done, total)
		if done == total {
			fmt.Fprint(s.Err, "\r\x1b[K")
		}
	}
}

func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func (s *simulateCmd) print(r simulation) error {
	if s.JSON {
		e := json.NewEncoder(s.Out)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	fmt.Fprintf(s.Out, "%-8s %9s %11s %9s %9s %9s %7s %7s\n", "phase", "requests", "requests/s", "p50", "p95", "p99", "errors", "failed")
	for _, p := range r.Phases {
		fmt.Fprintf(s.Out, "%-8s %9d %11.0f %9s %9s %9s %7d %7d\n", p.Name, p.Requests, p.Rate, short(p.P50), short(p.P95), short(p.P99), p.Errors, p.Failed)
	}
	fmt.Fprintf(s.Out, "answers: %d acknowledged, %d errors, %d format errors, %d deferrals\n",
		r.Outcomes["Acknowledged"], r.Outcomes["Error"], r.Outcomes["CommandFormatError"], r.Outcomes["NotNow"])
	_, err := fmt.Fprintf(s.Out, "commands lost: %d, doubled: %d, out of order: %d, never queued: %d\n", r.Lost, r.Doubled, r.Disorder, r.Unasked)
	return err
}

// short prints a time in milliseconds.
func short(d time.Duration) string { return fmt.Sprintf("%.2f ms", d.Seconds()*1000) }

// trouble returns the first failure of every phase.
func trouble(phases []mdmtest.Phase) error {
	var all []error
	for _, p := range phases {
		if p.Failed > 0 {
			all = append(all, fmt.Errorf("%s: %d devices failed, the first so: %s", p.Name, p.Failed, p.First))
		}
	}
	return errors.Join(all...)
}
