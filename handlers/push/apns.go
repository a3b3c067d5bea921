package push

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sideshow/apns2"

	"github.com/rollcall-mdm/rollcall/domain/pushcert"
)

// defaultSlots is half of what HTTP/2 grants until the server says more.
const defaultSlots = 50

// A Message tells one channel to call.
type Message struct {
	Token      []byte
	Magic      string
	Expiration time.Time // until when Apple keeps it for a device that is off
}

// An Answer is what Apple said to a push.
type Answer struct {
	Status     int           // of HTTP
	Reason     string        // Apple's word for a refusal
	ID         string        // apns-id
	DeadSince  time.Time     // with 410: since when the token is dead
	RetryAfter time.Duration // how long to wait at least; 0 if nothing was said
}

// An APNs sends pushes to Apple, or to whoever plays Apple. It keeps one client, and with it one connection, for
// each topic, and takes a new one when the topic's certificate is renewed.
type APNs struct {
	URL   string         // https://host[:port] without a path; Apple's own if empty
	Roots *x509.CertPool // whom to trust as APNs; the system's roots if nil

	// Slots is how many pushes of one topic are under way at most; 50 if zero. It stays below what Apple allows
	// on one connection, lest the client open more of them: Apple calls many connections abuse. The limit is ours
	// because the library's own (StrictMaxConcurrentStreams) stands still for ever once it is exceeded.
	Slots int

	mu      sync.Mutex
	clients map[string]*client // by topic
	closed  bool
}

// Send sends one push with the topic's certificate and returns Apple's answer, whatever it is. An error means that
// there was none; a *Trouble, that none will come before the certificate or the setting is mended.
func (a *APNs) Send(ctx context.Context, cert pushcert.PushCertificate, m Message) (Answer, error) {
	c, err := a.client(cert)
	if err != nil {
		return Answer{}, err
	}
	defer c.done()
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return Answer{}, fmt.Errorf("wait to push: %w", ctx.Err())
	}
	payload, err := Payload(m.Magic)
	if err != nil {
		return Answer{}, err
	}
	var heard Answer
	_, err = c.apns.PushWithContext(context.WithValue(ctx, heardKey{}, &heard), &apns2.Notification{
		DeviceToken: hex.EncodeToString(m.Token), Topic: cert.Topic, PushType: apns2.PushTypeMDM,
		Priority: apns2.PriorityHigh, Expiration: m.Expiration, Payload: payload,
	})
	if err != nil && heard.Status == 0 {
		return Answer{}, withoutToken(errors.Join(err, c.last()))
	}
	c.heard(nil)
	return heard, nil
}

// Payload returns the body of a push, {"mdm":"magic"}: no aps, nothing else. Source: Apple, "Sending push
// notifications to MDM clients".
func Payload(magic string) ([]byte, error) {
	payload, err := json.Marshal(map[string]string{"mdm": magic})
	if err != nil {
		return nil, fmt.Errorf("write a push: %w", err)
	}
	return payload, nil
}

// client returns the client for the certificate, in use: whoever has it says done.
func (a *APNs) client(cert pushcert.PushCertificate) (*client, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil, errors.New("the way to APNs is closed")
	}
	old := a.clients[cert.Topic]
	if old != nil && old.fingerprint == cert.Fingerprint {
		old.use()
		return old, nil
	}
	host := cmp.Or(a.URL, apns2.HostProduction)
	c, err := open(host, a.Roots, cmp.Or(a.Slots, defaultSlots), cert)
	if err != nil {
		return nil, err
	}
	if a.clients == nil {
		a.clients = map[string]*client{}
	}
	a.clients[cert.Topic] = c
	c.use()
	if old != nil {
		old.end()
	}
	return c, nil
}

// Close takes no pushes any more and closes all connections, as soon as no push is under way on them.
func (a *APNs) Close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	for _, c := range a.clients {
		c.end()
	}
	a.clients = nil
}
