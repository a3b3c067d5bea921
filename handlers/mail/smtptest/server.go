// Package smtptest plays a mail server that is as strict as the specifications let it be: it takes no line that does not end
// with CR LF, no bare CR or LF, no line of more than 998 bytes, and no password over a connection that others can read.
package smtptest

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"sync"
	"time"
)

// A Message is what the server took.
type Message struct {
	From, To string
	User     string // who had logged in
	TLS      bool
	Text     string // without the dots that were stuffed
}

// A Server is a make-believe mail server. Its fields are set before Start.
type Server struct {
	User, Password string            // who must log in; nobody need to if empty
	TLS            bool              // from the first byte on
	NoSTARTTLS     bool              // it is not offered
	Refuses        map[string]string // what is answered to a receiver, such as "550 5.1.1 no such user"
	Silent         bool              // it takes connections and never answers

	Address string // host:port
	Roots   *x509.CertPool
	PEM     []byte // the same

	certificate tls.Certificate
	listener    net.Listener
	done        sync.WaitGroup
	mu          sync.Mutex
	taken       []Message
	open        map[net.Conn]bool
	complaints  []string
}

// Start listens on this machine.
func (s *Server) Start() error {
	if err := s.certify(); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.listener, s.Address, s.open = listener, listener.Addr().String(), map[net.Conn]bool{}
	s.done.Go(s.accept)
	return nil
}

func (s *Server) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.open[conn] = true
		s.mu.Unlock()
		s.done.Go(func() {
			s.serve(conn)
			_ = conn.Close()
		})
	}
}

func (s *Server) serve(conn net.Conn) {
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	if s.Silent {
		_, _ = bufio.NewReader(conn).ReadByte() // until the client has had enough
		return
	}
	t := &talk{s: s, conn: conn}
	if s.TLS {
		t.encrypt()
	}
	t.in = bufio.NewReader(t.conn)
	t.run()
}

// Close ends it, and all connections.
func (s *Server) Close() {
	_ = s.listener.Close()
	s.mu.Lock()
	for conn := range s.open {
		_ = conn.Close()
	}
	s.mu.Unlock()
	s.done.Wait()
}

// Taken lists what the server took.
func (s *Server) Taken() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Message(nil), s.taken...)
}

// Complaints lists what clients did that no client may do.
func (s *Server) Complaints() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.complaints...)
}

func (s *Server) take(m Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken = append(s.taken, m)
}

func (s *Server) complain(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.complaints = append(s.complaints, what)
}

// certify makes the server's certificate, for 127.0.0.1.
func (s *Server) certify() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	about := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "smtptest"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, about, about, key.Public(), key)
	if err != nil {
		return err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return err
	}
	s.Roots = x509.NewCertPool()
	s.Roots.AddCert(leaf)
	s.PEM = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	s.certificate = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	return nil
}
