// Package esdbtest plays an EventStoreDB on the wire, for tests and demonstrations.
//
// A Server speaks gRPC as EventStoreDB 24 does: streams, $all, subscriptions, gossip. It is strict where the
// real one is strict (expected revisions, event ids, sizes, positions) and keeps its events in memory. They
// survive a Stop, so that a restart can be played; they end with the program. A Fault makes it fail on demand.
// It cannot leave out when an event was created: the official client would end the program.
package esdbtest

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
)

// Options shape a server. The zero value is a single node without TLS on a free port of this host.
type Options struct {
	Addr      string           // where it listens; 127.0.0.1 and a free port if empty
	TLS       *tls.Config      // none if nil
	User      string           // who may enter, with Password; anybody if empty
	Password  string           //
	MaxAppend int              // bytes of all events of an append; 1 MiB if zero
	Noise     int              // a system event is written after so many events; none if zero
	Leader    *Server          // makes this server its follower, with the same events; a leader if nil
	Now       func() time.Time // the clock of the events' creation; time.Now if nil
}

// A Server is a make-believe EventStoreDB.
type Server struct {
	streams.UnimplementedStreamsServer
	options Options
	store   *store
	faults  faults
	cluster *cluster

	mu      sync.Mutex
	grpc    *grpc.Server  // nil while it is stopped
	stopped chan struct{} // closed when grpc is
	served  sync.WaitGroup
	calls   map[string]int
}

// Start starts a server. Close ends it.
func Start(options Options) (*Server, error) {
	if options.MaxAppend == 0 {
		options.MaxAppend = 1 << 20
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	s := &Server{options: options, calls: map[string]int{}}
	if leader := options.Leader; leader != nil {
		s.store, s.cluster = leader.store, leader.cluster
	} else {
		s.store, s.cluster = newStore(options.Noise, options.Now), new(cluster)
	}
	if err := s.Restart(); err != nil {
		return nil, err
	}
	s.cluster.join(s)
	return s, nil
}

// Restart starts to listen again, at the same address, after a Stop.
func (s *Server) Restart() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.grpc != nil {
		return errors.New("the make-believe EventStoreDB is running")
	}
	listener, err := s.listen()
	if err != nil {
		return fmt.Errorf("start a make-believe EventStoreDB: %w", err)
	}
	s.options.Addr = listener.Addr().String()
	s.grpc, s.stopped = grpc.NewServer(s.wire()...), make(chan struct{})
	streams.RegisterStreamsServer(s.grpc, s)
	gossip.RegisterGossipServer(s.grpc, gossiper{server: s})
	serve := s.grpc
	s.served.Go(func() { _ = serve.Serve(listener) }) // it ends with Stop, which is no error
	return nil
}

func (s *Server) listen() (net.Listener, error) {
	if s.options.Addr == "" {
		return Listen()
	}
	return net.Listen("tcp", s.options.Addr)
}

func (s *Server) wire() []grpc.ServerOption {
	options := []grpc.ServerOption{
		grpc.MaxRecvMsgSize(17 << 20),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: time.Second, PermitWithoutStream: true}),
		grpc.UnaryInterceptor(s.enterCall),
		grpc.StreamInterceptor(s.enterStream),
	}
	if s.options.TLS != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(s.options.TLS)))
	}
	return options
}

// Stop stops listening and cuts every connection. The events stay; Restart listens again.
func (s *Server) Stop() {
	s.mu.Lock()
	stopping := s.grpc
	if s.grpc = nil; stopping != nil {
		close(s.stopped)
	}
	s.mu.Unlock()
	if stopping != nil {
		stopping.Stop()
		s.served.Wait()
	}
}

// Close ends the server.
func (s *Server) Close() {
	s.cluster.leave(s)
	s.Stop()
}

// Addr returns the host and port at which it listens.
func (s *Server) Addr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.options.Addr
}

// URL returns the connection string of this node.
func (s *Server) URL() string {
	who := ""
	if s.options.User != "" {
		who = s.options.User + ":" + s.options.Password + "@"
	}
	return fmt.Sprintf("esdb://%s%s?tls=%t", who, s.Addr(), s.options.TLS != nil)
}

// Calls returns how often a method (Append, Read, …) was called. A refused call counts too.
func (s *Server) Calls(method string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[method]
}
