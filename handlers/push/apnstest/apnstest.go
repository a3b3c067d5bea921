// Package apnstest plays Apple's push service: for tests, for the demonstration and for simulated fleets.
//
// It speaks HTTP/2 over TLS with client certificates, is as strict about headers and payload as the real one,
// and fails on demand. Its devices wake up by Options.Delivered. It knows no test: whoever needs an APNs starts one.
package apnstest

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"context"
	"io"
	"log"
)

// Options say how a Server behaves. All are useful at zero.
type Options struct {
	Address    string // where it listens; a free port of 127.0.0.1 if empty
	MaxStreams int    // how many pushes may be under way on one connection; 1000 if zero, as Apple
	Keep       int    // how many pushes are remembered, the newest; 20,000 if zero

	// Registered makes it strict about tokens: whoever was not registered has a bad one.
	Registered bool

	// Delivered is told of each push that was accepted, before it is answered. It must return at once.
	Delivered func(topic, token, magic string)
}

// A Server is a running make-believe APNs.
type Server struct {
	URL string // https://127.0.0.1:port
	CA  []byte // PEM: the authority of its own certificate and of the push certificates it takes

	options   Options
	authority *authority
	web       *http.Server
	served    chan struct{} // closed when the server has ended
	ended     chan struct{} // closed when the server is to end: nothing hangs on

	mu      sync.Mutex
	fault   func(Push) Fault
	tokens  map[string]string    // token -> topic
	dead    map[string]time.Time // token -> since when
	revoked map[string]bool      // topics
	pushes  []Push               // a ring once it is full
	next    int                  // where the ring is written
	busy    int
	stats   Stats
}

// Stats say how the server was used.
type Stats struct {
	Requests    int            // all that came, refused ones included
	Accepted    int            // answered with 200
	Connections int            // ever opened
	Open        int            // now
	MaxOpen     int            // at once
	MaxBusy     int            // requests under way at once
	Reasons     map[string]int // how often each reason was given
}

// Start starts a make-believe APNs.
func Start(o Options) (*Server, error) {
	if o.Address == "" {
		o.Address = "127.0.0.1:0"
	}
	if o.Keep == 0 {
		o.Keep = 20_000
	}
	if o.MaxStreams == 0 {
		o.MaxStreams = 1000
	}
	a, err := newAuthority()
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", o.Address)
	if err != nil {
		return nil, fmt.Errorf("listen for pushes: %w", err)
	}
	s := &Server{
		URL: "https://" + listener.Addr().String(), CA: a.pem(), options: o, authority: a,
		served: make(chan struct{}), ended: make(chan struct{}),
		tokens: map[string]string{}, dead: map[string]time.Time{}, revoked: map[string]bool{},
		stats: Stats{Reasons: map[string]int{}},
	}
	if err := s.serve(listener); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return s, nil
}

// connectionKey finds a request's connection in its context.
type connectionKey struct{}

func (s *Server) serve(listener net.Listener) error {
	identity, err := s.authority.server(listener.Addr())
	if err != nil {
		return err
	}
	s.web = &http.Server{
		Handler: http.HandlerFunc(s.handle), ReadHeaderTimeout: 10 * time.Second,
		ErrorLog: log.New(io.Discard, "", 0), // refused handshakes are part of the play
		HTTP2:    &http.HTTP2Config{MaxConcurrentStreams: s.options.MaxStreams},
		TLSConfig: &tls.Config{
			Certificates: []tls.Certificate{identity}, MinVersion: tls.VersionTLS12,
			ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: s.authority.pool(), NextProtos: []string{"h2"},
		},
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, connectionKey{}, c)
		},
		ConnState: s.connection,
	}
	go func() {
		defer close(s.served)
		_ = s.web.ServeTLS(listener, "", "") // ends with http.ErrServerClosed
	}()
	return nil
}

// connection counts connections.
func (s *Server) connection(_ net.Conn, state http.ConnState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch state {
	case http.StateNew:
		s.stats.Connections++
		s.stats.Open++
		s.stats.MaxOpen = max(s.stats.MaxOpen, s.stats.Open)
	case http.StateClosed, http.StateHijacked:
		s.stats.Open--
	}
}

// Close ends the server and all its connections.
func (s *Server) Close() error {
	s.mu.Lock()
	select {
	case <-s.ended:
	default:
		close(s.ended)
	}
	s.mu.Unlock()
	err := s.web.Close()
	<-s.served
	return err
}
