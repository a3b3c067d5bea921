package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
	"golang.org/x/sync/errgroup"

	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/ledger"
	"github.com/rollcall-mdm/rollcall/graphql"
	"github.com/rollcall-mdm/rollcall/handlers"
	"github.com/rollcall-mdm/rollcall/handlers/cms"
	"github.com/rollcall-mdm/rollcall/handlers/enroll"
	proof "github.com/rollcall-mdm/rollcall/handlers/ledger"
	"github.com/rollcall-mdm/rollcall/handlers/mdm"
	"github.com/rollcall-mdm/rollcall/handlers/nano"
	"github.com/rollcall-mdm/rollcall/handlers/push"
	"github.com/rollcall-mdm/rollcall/projections"
)

// serveCmd runs the server until it is asked to stop.
type serveCmd struct{ settings }

// Run fulfils kong's command.
func (c *serveCmd) Run(ctx context.Context) error {
	if err := c.check(); err != nil {
		return err
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(36) // an MDM server is a guest on its machine: a little more work for less memory
	}
	s, err := openServer(ctx, c.settings, time.Now)
	if err != nil {
		return err
	}
	return errors.Join(s.run(ctx), s.close())
}

// A server is a house with its views, its doors and its workers.
type server struct {
	settings
	*house
	views     *projections.Views
	rebuilder *rebuilder
	metrics   *metrics
	identity  *mdm.Identity
	notifier  *push.Notifier
	apns      *push.APNs
	web       *http.Server
	listener  net.Listener
	ready     gate
	ledger    *ledger.Ledger
	authority *handlers.Authority
	vouchers  *handlers.Challenges

	pair         *ownPair // by which the server is known; nil without TLS
	attestations *handlers.Attestations
	enrolments   *handlers.Enrolments
	links        *enroll.Links
	signs        struct {
		sync.Mutex
		signer *cms.Signer
	}

	custodian       *custodian
	control         *http.Server // of the command line
	controlListener net.Listener
}

// openServer opens all that the settings name and listens, so that a server that cannot run says so at once.
func openServer(ctx context.Context, set settings, now func() time.Time) (*server, error) {
	s := &server{settings: set, metrics: newMetrics()}
	if err := s.open(ctx, now); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *server) open(ctx context.Context, now func() time.Time) (err error) {
	logger := s.newLogger()
	if s.house, err = openHouse(ctx, opening{s.storage, s.Data, logger, s.metrics}, now); err != nil {
		return err
	}
	if err := s.openLedger(ctx); err != nil {
		return err
	}
	if s.views, err = projections.Open(ctx, s.path("views.db"), projections.Options{CacheSize: 8 << 20, Logger: logger}); err != nil {
		return err
	}
	s.rebuilder = newRebuilder(s.house, s.views)
	token, err := s.adminToken(ctx)
	if err != nil {
		return err
	}
	if err := s.openIdentity(ctx); err != nil {
		return err
	}
	if err := s.openPush(); err != nil {
		return err
	}
	s.metrics.watch(s.views, s.now, s.ends)
	if err := s.openWeb(); err != nil {
		return err
	}
	if err := s.share(ctx); err != nil {
		return err
	}
	logger.Info("Rollcall is at home", "version", version, "data", s.Data, "store", s.shown(), "url", s.URL, "listen", s.listener.Addr().String(), "admin-token", token)
	return nil
}

// openLedger makes sure that the log still is the one that was signed.
func (s *server) openLedger(ctx context.Context) error {
	key, err := ledger.OpenKey(s.dir, s.origin())
	if err != nil {
		return err
	}
	witnesses, err := s.witnesses()
	if err != nil {
		return err
	}
	s.ledger = &ledger.Ledger{Tree: s.tree, Key: key, File: s.path(ledger.CheckpointFile), Witnesses: witnesses, Logger: s.logger}
	return s.ledger.Resume(ctx)
}

func (s *server) newLogger() *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(s.LogLevel)) // one of four words; info otherwise
	options := &slog.HandlerOptions{Level: level}
	if s.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(os.Stderr, options))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, options))
}

func (s *server) openIdentity(ctx context.Context) error {
	proxies, err := s.proxies()
	if err != nil {
		return err
	}
	s.identity = &mdm.Identity{Methods: s.Identity, TrustedProxies: proxies}
	if err := s.identity.Check(); err != nil {
		return fmt.Errorf("--identity: %w", err)
	}
	return s.openAuthority(ctx)
}

func (s *server) openPush() error {
	s.apns = &push.APNs{URL: s.APNs}
	if s.APNsCA != "" {
		roots, err := pool("--apns-ca", s.APNsCA)
		if err != nil {
			return err
		}
		s.apns.Roots = roots
	}
	s.notifier = &push.Notifier{
		Views: s.views, Devices: s.devices, Certificates: s.pushcerts, Sender: s.apns,
		Now: s.now, Log: s.logger, Count: s.metrics.pushed,
	}
	return nil
}

// lookout is who gives up devices that are silent for too long.
func (s *server) lookout() *push.Lookout {
	return &push.Lookout{Views: s.views, Devices: s.devices, After: s.Silent, Now: s.now, Log: s.logger}
}

// openWeb mounts the doors and listens.
func (s *server) openWeb() error {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.HTTPErrorHandler = handlers.ErrorHandler(s.logger)
	proxies, err := s.proxies()
	if err != nil {
		return err
	}
	e.IPExtractor = handlers.Address(proxies)
	if err := s.mount(e); err != nil {
		return err
	}
	s.web = &http.Server{
		Handler: e, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 60 * time.Second,
		WriteTimeout: 120 * time.Second, IdleTimeout: 120 * time.Second, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(s.logger.Handler(), slog.LevelDebug),
	}
	if s.listener, err = net.Listen("tcp", s.Listen); err != nil {
		return fmt.Errorf("listen on %s: %w", s.Listen, err)
	}
	return s.secure()
}

func (s *server) mount(e *echo.Echo) error {
	declared := &handlers.Declarations{Declarations: s.declarations, Views: s.views, Stamp: s.pseudonyms.Stamp, URL: strings.TrimRight(s.URL, "/")}
	if s.house.shared {
		declared.Log = s.house.log
	}
	many := &handlers.BulkOrders{Orders: s.bulks, Views: s.views}
	s.attestations = s.marks()
	door := &mdm.Door{
		Declarations: declared, Bulk: many, Marks: s.attestations,
		Devices: s.devices, Certificates: s.certificates, Strangers: s.strangers, Pseudonyms: s.pseudonyms,
		Identity: s.identity, Now: s.now, Log: s.logger, Observe: s.metrics.door(), MaxBody: s.MaxBody, KeepAll: s.Evidence == "all",
	}
	if err := s.furnish(door); err != nil {
		return err
	}
	door.Revoked, door.Visitors = s.authority.Revoked, visitors{s.house}
	door.MountFor(e.Group("/mdm"), s.has(checkin), s.has(connect))
	door.Admitted = s.join
	if err := s.mountSCEP(s.doors(e, coming)); err != nil {
		return err
	}
	if err := s.mountACME(s.doors(e, coming)); err != nil {
		return err
	}
	if err := s.mountEnrolment(s.doors(e, coming)); err != nil {
		return err
	}

	e.GET("/healthz", func(c echo.Context) error { return c.String(http.StatusOK, "ok\n") })
	e.GET("/readyz", s.readyz)
	if s.Metrics == "" {
		e.GET("/metrics", echo.WrapHandler(s.metrics.handler()))
	}

	orders := &handlers.Orders{Devices: s.devices}
	s.custodian = newCustodian(s.house, s.views)
	library := s.library()
	asks := &graphql.Door{
		Secrets: &handlers.Secrets{Devices: s.devices, Log: s.house.log, Views: s.views, Bulk: many, Codec: s.codec}, Custody: s.custodian,
		Views: s.views, Log: s.house.log, Codec: s.codec.Views(), Evidence: s.codec, Orders: orders, Bulk: many, Tokens: s.tokens,
		Groups: &handlers.Groups{Groups: s.groups}, Declarations: declared,
		Wanted:     &handlers.Wants{Things: s.house.wanted, Devices: s.devices, Stamp: s.pseudonyms.Stamp, Library: library},
		Library:    library,
		Pseudonyms: s.pseudonyms, Now: s.now, Logger: s.logger,
	}
	asks.Rebuilder, asks.Attestations = s.rebuilder, s.attestations
	asks.Invitations = &handlers.Invitations{Invitations: s.invitations}
	asks.Authority = roller{s.authority, s}
	asks.Secrets.Keep, asks.Secrets.Now = s.Locations, s.now
	asks.Secrets.Escrow = &handlers.Escrow{Pairs: s.escrows, Now: s.now}
	asks.PushCerts = &handlers.PushCerts{Certificates: s.pushcerts, Requests: s.pushRequests, Views: s.views}
	asks.Link, asks.Ends = s.links.Link, s.ends
	letters, err := s.letters(asks.Invitations)
	if err != nil {
		return err
	}
	asks.Letters = letters
	asks.Passwords = &handlers.Passwords{Devices: s.devices}
	asked := s.doors(e, api)
	if err := asks.Mount(asked.Group(""), handlers.Identify, handlers.Recover, s.tokens.Bearer); err != nil {
		return err
	}
	if err := s.openControl(asks); err != nil {
		return err
	}
	(&proof.Door{Ledger: s.ledger, Beyond: ledger.ErrBeyond, Place: exporter{s}.Place}).Mount(asked.Group("/log"))
	(&proof.Exports{Exporter: exporter{s}}).Mount(asked.Group("/log/export", handlers.Identify, handlers.Recover, handlers.Private, s.tokens.Bearer))
	tools := &nano.Door{
		Orders: orders, PushCerts: asks.PushCerts, Views: s.views, Pseudonyms: s.pseudonyms, Release: version, Log: s.logger,
	}
	asked.GET("/version", tools.Version)
	tools.Mount(asked.Group("/v1", handlers.Identify, handlers.Recover, handlers.Private, s.tokens.Basic))
	return nil
}

// secure puts TLS before the listener unless a proxy does it. A device's certificate is asked for and not
// demanded: one that has none is answered with 400, and does not meet a broken handshake.
func (s *server) secure() error {
	if s.PlainHTTP {
		return nil
	}
	var err error
	if s.DevTLS {
		s.pair = &ownPair{}
		s.pair.pair, err = devCertificate(s.URL)
	} else {
		s.pair, err = openPair(s.TLSCert, s.TLSKey, s.logger)
	}
	if err != nil {
		return err
	}
	s.listener = tls.NewListener(s.listener, &tls.Config{
		GetCertificate: s.pair.certificate, MinVersion: tls.VersionTLS12,
		ClientAuth: tls.RequestClientCert, NextProtos: []string{"h2", "http/1.1"},
	})
	return nil
}

// run serves until ctx ends, then lets requests under way end.
func (s *server) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.fold(ctx) })
	g.Go(func() error { return s.rebuilder.run(ctx) })
	g.Go(func() error { return s.workAlone(ctx) })
	g.Go(func() error { return s.ledger.Run(ctx) })
	g.Go(func() error { return s.again(ctx, "revocations elsewhere are not seen for now", s.authority.Run) })
	if s.index != nil {
		g.Go(func() error { return s.again(ctx, "the ledger's index does not go on for now", s.index) })
	}
	g.Go(func() error { return s.custodian.run(ctx) })
	g.Go(func() error { return s.forgetErased(ctx) })
	if s.shares != nil {
		g.Go(func() error { return s.shares.keys.Run(ctx) })
		g.Go(func() error { return s.fetchRoots(ctx) })
	}
	g.Go(func() error { return s.serveControl(ctx) })
	g.Go(func() error {
		if err := s.web.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	g.Go(func() error {
		<-ctx.Done()
		s.ready.shut()
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.Drain)
		defer cancel()
		if err := s.web.Shutdown(drain); err != nil {
			s.logger.Warn("requests were still under way and are cut off; --drain says how long they may take", "error", err)
			return s.web.Close()
		}
		return nil
	})
	if s.Metrics != "" {
		g.Go(func() error { return s.metrics.serve(ctx, s.Metrics) })
	}
	s.ready.open()
	if err := g.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// fold keeps the views up with the log.
func (s *server) fold(ctx context.Context) error {
	return s.again(ctx, "the views do not go on for now", func(ctx context.Context) error {
		return s.views.Run(ctx, s.house.log, s.codec.Views())
	})
}

// aWhile is how long a follower of the log whose file could not be written is left alone.
const aWhile = 2 * time.Second

// again keeps a follower of the log going. When its file cannot be written (the disk is full, say) devices are served
// on, and it tries again: nothing is lost, for it goes on reading the log from where it stands.
func (s *server) again(ctx context.Context, trouble string, follow func(context.Context) error) error {
	for {
		err := follow(ctx)
		if err == nil || errors.Is(err, eventstore.ErrClosed) {
			return err
		}
		s.logger.Error(trouble+"; devices are served on", "error", err, "again", aWhile)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(aWhile):
		}
	}
}

func (s *server) close() error {
	var errs []error
	if s.listener != nil {
		_ = s.listener.Close() // closed already if the server ran
	}
	s.closeControl()
	if s.apns != nil {
		s.apns.Close()
	}
	if s.views != nil {
		errs = append(errs, s.views.Close())
	}
	if s.house != nil {
		errs = append(errs, s.house.close())
	}
	return errors.Join(errs...)
}
