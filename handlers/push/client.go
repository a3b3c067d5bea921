//lint:file-ignore SA1019 http2.Transport speaks HTTP/2 or nothing, and one connection for all pushes; http.Transport would fall back to HTTP/1.1.

package push

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/sideshow/apns2"
	"golang.org/x/net/http2"

	"github.com/rollcall-mdm/rollcall/domain/pushcert"
)

// dialTimeout is how long Apple may take to shake hands.
const dialTimeout = 20 * time.Second

// A client speaks for one push certificate. It knows its connections, so that none is left over when it ends.
type client struct {
	fingerprint string
	apns        *apns2.Client
	slots       chan struct{} // one for each push under way

	mu    sync.Mutex
	busy  int  // pushes under way, or about to be
	ended bool // to be closed when nothing is under way
	conns map[net.Conn]bool
	alert error // with which the other side ended a connection last; nil since it answered
}

// open returns a client for the certificate. It connects at the first push.
func open(host string, roots *x509.CertPool, slots int, cert pushcert.PushCertificate) (*client, error) {
	pair, err := tls.X509KeyPair(cert.Certificate, cert.Key)
	if err != nil {
		return nil, &Trouble{Reason: "the push certificate cannot be used"} // the cause might quote the key
	}
	c := &client{fingerprint: cert.Fingerprint, apns: apns2.NewClient(pair), slots: make(chan struct{}, slots), conns: map[net.Conn]bool{}}
	transport := &http2.Transport{
		TLSClientConfig: &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: roots, MinVersion: tls.VersionTLS12},
		DialTLSContext:  c.dial,
		ReadIdleTimeout: 30 * time.Second, PingTimeout: 15 * time.Second, WriteByteTimeout: 30 * time.Second,
		MaxHeaderListSize:  64 << 10,
		DisableCompression: true,
	}
	c.apns.HTTPClient = &http.Client{Transport: &listener{transport}, CheckRedirect: noRedirect}
	c.apns.Host = host
	return c, nil
}

func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

func (c *client) dial(ctx context.Context, network, address string, config *tls.Config) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	plain, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	known := &conn{plain, c}
	if !c.know(known) {
		_ = plain.Close()
		return nil, net.ErrClosed
	}
	secure := tls.Client(known, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = known.Close()
		return nil, err
	}
	if p := secure.ConnectionState().NegotiatedProtocol; p != http2.NextProtoTLS {
		_ = known.Close()
		return nil, fmt.Errorf("shake hands with APNs: it speaks %q and not HTTP/2", p)
	}
	return &ear{secure, c}, nil
}

// An ear hears why the other side ends a connection. With TLS 1.3 it does so after the handshake, and a write that
// fails at the same time would be all that the library tells.
type ear struct {
	*tls.Conn
	client *client
}

// Read fulfils net.Conn.
func (e *ear) Read(b []byte) (int, error) {
	k, err := e.Conn.Read(b)
	if err != nil && handshake(err) != "" {
		e.client.heard(err)
	}
	return k, err
}

func (c *client) heard(alert error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.alert = alert
}

func (c *client) last() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.alert
}

// A conn takes itself from its client's list when it closes.
type conn struct {
	net.Conn
	client *client
}

// Close fulfils net.Conn.
func (c *conn) Close() error {
	c.client.mu.Lock()
	delete(c.client.conns, c)
	c.client.mu.Unlock()
	return c.Conn.Close()
}

func (c *client) know(n *conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended && c.busy == 0 {
		return false
	}
	c.conns[n] = true
	return true
}

// use says that a push is under way; done that it is not any more.
func (c *client) use() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy++
}

func (c *client) done() {
	c.mu.Lock()
	c.busy--
	over := c.ended && c.busy == 0
	c.mu.Unlock()
	if over {
		c.hangUp()
	}
}

// end closes the client's connections, as soon as no push is under way on them.
func (c *client) end() {
	c.mu.Lock()
	c.ended = true
	over := c.busy == 0
	c.mu.Unlock()
	if over {
		c.hangUp()
	}
}

func (c *client) hangUp() {
	c.mu.Lock()
	open := make([]net.Conn, 0, len(c.conns))
	for n := range c.conns {
		open = append(open, n)
	}
	c.mu.Unlock()
	for _, n := range open {
		_ = n.Close()
	}
}
