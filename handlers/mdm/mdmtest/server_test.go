package mdmtest_test

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"howett.net/plist"

	"github.com/rollcall-mdm/rollcall/handlers/mdm/mdmtest"
)

// A server is a small MDM server that does as the protocol says, unless a test spoils it.
type server struct {
	t  *testing.T
	mu sync.Mutex

	queues   map[string][]*order // by channel
	messages []message
	spoil    func(w http.ResponseWriter, m message) bool // answers in the server's place if it returns true
}

type order struct {
	uuid     string
	body     []byte
	deferred bool
}

// A message is what a device sent, decoded.
type message struct {
	keys   map[string]any
	body   []byte
	header http.Header
	tls    bool
}

func (m message) text(key string) string { s, _ := m.keys[key].(string); return s }

// channel returns the name of the sender, as ChannelID does.
func (m message) channel() string {
	id := m.text("UDID") + m.text("EnrollmentID")
	switch user := m.text("UserID") + m.text("EnrollmentUserID"); user {
	case "":
		return id
	case mdmtest.SharedIPadUser:
		return id + ":" + m.text("UserShortName")
	default:
		return id + ":" + user
	}
}

func newServer(t *testing.T) *server { return &server{t: t, queues: map[string][]*order{}} }

// wire returns a wire that ends in the server without a network.
func (s *server) wire() mdmtest.Wire {
	return mdmtest.Roundabout{RoundTripper: mdmtest.Local{Handler: s}}
}

// device returns a new device of the server.
func (s *server) device(p mdmtest.Platform) *mdmtest.Device {
	d := mdmtest.New(7, p)
	d.Server, d.Wire = mdmtest.ServerAt("http://mdm.example.com"), s.wire()
	return d
}

// order queues a command and returns its UUID.
func (s *server) order(channel string, q mdmtest.Question) string {
	uuid := mdmtest.NewUUID()
	s.queue(channel, uuid, mdmtest.RawCommand(q, uuid))
	return uuid
}

func (s *server) queue(channel, uuid string, body []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queues[channel] = append(s.queues[channel], &order{uuid: uuid, body: body})
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		s.t.Errorf("read the body: %v", err)
	}
	if channel, ok := strings.CutPrefix(r.URL.Path, "/v1/enqueue/"); ok {
		s.enqueue(w, r, channel, body)
		return
	}
	m := message{body: body, header: r.Header, tls: r.TLS != nil && len(r.TLS.PeerCertificates) == 1}
	if _, err := plist.Unmarshal(body, &m.keys); err != nil || r.Method != http.MethodPut {
		s.t.Errorf("%s with a body that is no property list: %v", r.Method, err)
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages = append(s.messages, m)
	if s.spoil != nil && s.spoil(w, m) {
		return
	}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-apple-aspen-mdm-checkin") {
		return
	}
	s.connect(w, m)
}

func (s *server) enqueue(w http.ResponseWriter, r *http.Request, channel string, body []byte) {
	if _, token, ok := r.BasicAuth(); !ok || token != "secret" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	var c struct{ CommandUUID string }
	if _, err := plist.Unmarshal(body, &c); err != nil {
		s.t.Errorf("an order is no property list: %v", err)
	}
	s.queue(channel, c.CommandUUID, body)
}

// connect takes a report and hands out the next command.
func (s *server) connect(w http.ResponseWriter, m message) {
	status, channel := m.text("Status"), m.channel()
	var left []*order
	for _, o := range s.queues[channel] {
		switch {
		case status == "Idle":
			o.deferred = false
		case o.uuid == m.text("CommandUUID") && status == "NotNow":
			o.deferred = true
		case o.uuid == m.text("CommandUUID"):
			continue
		}
		left = append(left, o)
	}
	s.queues[channel] = left
	for _, o := range left {
		if !o.deferred {
			hand(w, o.body)
			return
		}
	}
}

func hand(w http.ResponseWriter, body []byte) {
	w.Header().Set("Content-Type", "application/xml; charset=UTF-8")
	_, _ = w.Write(body)
}
