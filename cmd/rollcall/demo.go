package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rollcall-mdm/rollcall/domain/operator"
	"github.com/rollcall-mdm/rollcall/handlers/mdm/mdmtest"
	"github.com/rollcall-mdm/rollcall/handlers/push/apnstest"
)

// demoCmd runs a server, a make-believe Apple and a small fleet in one process: first some weeks of history on a
// simulated clock, then live until Ctrl-C.
type demoCmd struct {
	Listen  string `default:"127.0.0.1:8080" placeholder:"ADDR" help:"Address to listen on."`
	Data    string `placeholder:"DIR" help:"Where to keep it; a temporary directory, removed at the end, if not set."`
	Devices int    `default:"50" help:"How many devices there are."`
	Days    int    `default:"21" help:"How many days of history are played first."`
	Seed    uint64 `default:"1" help:"The same seed tells the same story."`
	Once    bool   `help:"End after the history is played and the examples are printed."`
}

// A demo is what runs.
type demo struct {
	*demoCmd
	clock   *demoClock
	server  *server
	apple   *apnstest.Server
	devices []*mdmtest.Device
	wakes   chan string         // push tokens, in hex, of devices that Apple wakes
	people  map[string]orderers // who orders, by name
}

// Run fulfils kong's command.
func (c *demoCmd) Run(ctx context.Context) error {
	if c.Data == "" {
		dir, err := os.MkdirTemp("", "rollcall-demo-")
		if err != nil {
			return fmt.Errorf("make a directory for the demo: %w", err)
		}
		defer os.RemoveAll(dir)
		c.Data = dir
	} else if _, err := os.Stat(filepath.Join(c.Data, "log.db")); err == nil {
		return fmt.Errorf("%s holds a log already: the demo wants a directory of its own", c.Data)
	}
	d := &demo{demoCmd: c, clock: newDemoClock(c.Days), wakes: make(chan string, 1024)}
	if err := d.open(ctx); err != nil {
		return errors.Join(err, d.close())
	}
	return errors.Join(d.run(ctx), d.close())
}

// open starts Apple, makes the fleet and opens the server.
func (d *demo) open(ctx context.Context) (err error) {
	d.apple, err = apnstest.Start(apnstest.Options{Delivered: d.wake})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(d.Data, 0o700); err != nil {
		return fmt.Errorf("make the demo's directory: %w", err)
	}
	ca, err := mdmtest.NewCA("Demo Device CA")
	if err != nil {
		return err
	}
	caFile, appleFile := filepath.Join(d.Data, "demo-device-ca.pem"), filepath.Join(d.Data, "demo-apple.pem")
	if err := errors.Join(os.WriteFile(caFile, ca.PEM(), 0o600), os.WriteFile(appleFile, d.apple.CA, 0o600)); err != nil {
		return fmt.Errorf("write the demo's certificates: %w", err)
	}
	if err := d.openFleet(ca); err != nil {
		return err
	}
	set := settings{
		Data: d.Data, Listen: d.Listen, URL: "http://" + d.Listen, PlainHTTP: true, Views: "sqlite",
		Identity: []string{"header:X-Ssl-Client-Cert"}, Proxies: []string{"127.0.0.0/8"}, DeviceCA: []string{caFile},
		APNs: d.apple.URL, APNsCA: appleFile, MaxBody: 8 << 20, Drain: 2 * time.Second, LogFormat: "text", LogLevel: "warn",
		Silent: 720 * time.Hour, Locations: 72 * time.Hour, identities: identities{CertificateDays: 365, IdentityPayload: "scep"},
		wantedTimes: wantedTimes{SetupLimit: 10 * time.Minute, CheckEvery: 24 * time.Hour},
	}
	if err := set.check(); err != nil {
		return err
	}
	d.server, err = openServer(ctx, set, d.clock.Now)
	return err
}

func (d *demo) openFleet(ca *mdmtest.CA) (err error) {
	proof, err := mdmtest.ParseProof("header:X-Ssl-Client-Cert")
	if err != nil {
		return err
	}
	d.devices, err = mdmtest.Fleet{
		Size: d.Devices, Seed: d.Seed, Users: true, Server: mdmtest.ServerAt("http://" + d.Listen), CA: ca, Proof: proof,
		Habits: mdmtest.Habits{NotNow: 0.1, Error: 0.02, Asleep: 0.1},
	}.Make()
	return err
}

// wake is told by Apple of each push. A full channel loses it, as the network may.
func (d *demo) wake(_, token, _ string) {
	select {
	case d.wakes <- token:
	default:
	}
}

// run plays the history, tells how to look, and lets the fleet live until ctx ends.
func (d *demo) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	ctx, stop := context.WithCancel(ctx)
	g.Go(func() error { return d.server.run(ctx) })
	g.Go(func() error {
		defer stop()
		if err := d.prepare(ctx); err != nil {
			return err
		}
		if err := d.playHistory(ctx); err != nil {
			return err
		}
		d.clock.goLive()
		if err := d.tell(ctx, os.Stdout); err != nil || d.Once {
			return err
		}
		return d.live(ctx)
	})
	if err := g.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// prepare makes the people who will order things, and gives the server its push certificate.
func (d *demo) prepare(ctx context.Context) error {
	d.people = map[string]orderers{}
	for name, role := range map[string]operator.Role{"Ada": operator.Administrator, "Grace": operator.Operator, "inventory": operator.Operator} {
		_, token, err := d.server.tokens.Create(ctx, founder, name, role, time.Time{})
		if err != nil {
			return fmt.Errorf("make a token for %s: %w", name, err)
		}
		d.people[name] = newOrderers(d.server.URL, token)
	}
	certificate, key, err := d.apple.PushCertificate(mdmtest.DefaultTopic, time.Now().AddDate(0, 10, 0))
	if err != nil {
		return err
	}
	return d.people["Ada"].pushCertificate(ctx, append(certificate, key...))
}

func (d *demo) close() error {
	var errs []error
	if d.server != nil {
		errs = append(errs, d.server.close())
	}
	if d.apple != nil {
		errs = append(errs, d.apple.Close())
	}
	return errors.Join(errs...)
}
