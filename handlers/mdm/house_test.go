package mdm

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/catalog"
	"github.com/rollcall-mdm/rollcall/domain/certificate"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/domain/evidence"
	"github.com/rollcall-mdm/rollcall/domain/stranger"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/embedded"
	"github.com/rollcall-mdm/rollcall/eventstore/seal"
	"github.com/rollcall-mdm/rollcall/handlers/plist"
)

const (
	topic      = "com.apple.mgmt.External.11111111-2222-4333-8444-555555555555"
	certHeader = "X-Ssl-Client-Cert"
)

var noon = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

// A house is a door with a real log behind it, and a clock that stands still until it is told.
type house struct {
	t     testing.TB
	door  *Door
	web   *echo.Echo
	log   eventstore.Log
	codec *seal.Codec[domain.Event]
	ca    *authority
	out   bytes.Buffer // the program's log

	shared bool // there are other houses over the same log

	mu      sync.Mutex
	now     time.Time
	refused map[string]int
}

func (h *house) clock() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

func (h *house) wait(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = h.now.Add(d)
}

// build opens a house. change, if not nil, may change its door before anybody knocks, and its log.
func build(t testing.TB, change func(*house)) *house {
	t.Helper()
	log, err := embedded.Open(context.Background(), filepath.Join(t.TempDir(), "log.db"), embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	return furnish(t, log, change)
}

func furnish(t testing.TB, log eventstore.Log, change func(*house)) *house {
	t.Helper()
	h := &house{t: t, log: log, ca: newAuthority(t, "Device CA"), now: noon, refused: map[string]int{}}
	h.codec = &seal.Codec[domain.Event]{Types: catalog.Events(), Keys: &seal.MemoryKeyring{}}
	h.door = &Door{
		Pseudonyms: seal.NewPseudonyms([32]byte{1}), Now: h.clock,
		Identity: &Identity{
			Methods: []string{byTLS, bySignature, byHeader + ":" + certHeader}, Authorities: h.ca.pool(),
			TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		},
		Log: slog.New(slog.NewTextHandler(&h.out, nil)),
		Observe: Observe{Refused: func(why string) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.refused[why]++
		}},
	}
	if change != nil {
		change(h)
	}
	h.connectRepositories()
	h.web = echo.New()
	h.web.IPExtractor = echo.ExtractIPDirect()
	h.door.Mount(h.web.Group("/mdm"))
	return h
}

func (h *house) connectRepositories() {
	h.door.Devices = &eventstore.Repository[device.Device, domain.Event]{
		Log: h.log, Codec: h.codec, Kind: device.Kind, Fold: device.Device.Evolve, Size: device.Size, Now: h.clock, Shared: h.shared,
	}
	h.door.Certificates = &eventstore.Repository[certificate.Certificate, domain.Event]{
		Log: h.log, Codec: h.codec, Kind: certificate.Kind, Fold: certificate.Certificate.Evolve, Now: h.clock, Shared: h.shared,
	}
	h.door.Strangers = &eventstore.Repository[Nobody, domain.Event]{
		Log: h.log, Codec: h.codec, Kind: stranger.Kind, Now: h.clock,
		Fold: func(n Nobody, e domain.Event, at time.Time) Nobody { return n.Evolve(e, at) },
	}
}

// A sending changes a request before it is sent.
type sending func(*http.Request)

func byProxy(id identity) sending {
	return func(r *http.Request) { r.Header.Set(certHeader, id.escaped()) }
}

// put sends a message and returns the answer, which is never 401.
func (h *house) put(path string, body []byte, how ...sending) *httptest.ResponseRecorder {
	h.t.Helper()
	r := httptest.NewRequest(http.MethodPut, path, bytes.NewReader(body))
	r.RemoteAddr = "127.0.0.1:5000"
	return h.send(r, how...)
}

func (h *house) send(r *http.Request, how ...sending) *httptest.ResponseRecorder {
	h.t.Helper()
	for _, change := range how {
		change(r)
	}
	w := httptest.NewRecorder()
	h.web.ServeHTTP(w, r)
	if w.Code == http.StatusUnauthorized {
		h.t.Fatalf("%s was answered with 401: the device would leave for ever", r.URL.Path)
	}
	return w
}

// A guest is a device that talks to the house.
type guest struct {
	*house
	id   identity
	keys map[string]any // that name it in every message
}

func (h *house) guest(udid string) *guest {
	h.t.Helper()
	return &guest{h, h.ca.issue(h.t, udid), map[string]any{"UDID": udid}}
}

// as returns the same device with other keys that name the sender.
func (g *guest) as(keys map[string]any) *guest { return &guest{g.house, g.id, keys} }

// say sends a message of the device's and wants the status.
func (g *guest) say(status int, path string, keys map[string]any) *httptest.ResponseRecorder {
	g.t.Helper()
	all := map[string]any{}
	for _, some := range []map[string]any{g.keys, keys} {
		for k, v := range some {
			all[k] = v
		}
	}
	w := g.put(path, xml(g.t, all), byProxy(g.id))
	if w.Code != status {
		g.t.Fatalf("%v was answered %d %q, want %d", keys["MessageType"], w.Code, w.Body, status)
	}
	return w
}

func (g *guest) authenticate() {
	g.t.Helper()
	g.say(200, "/mdm/checkin", map[string]any{
		"MessageType": "Authenticate", "Topic": topic, "SerialNumber": "C02CANARY", "OSVersion": "18.1",
		"ProductName": "iPhone12,1", "Challenge": []byte("apple"),
	})
}

func (g *guest) token(more map[string]any) {
	g.t.Helper()
	keys := map[string]any{"MessageType": "TokenUpdate", "Topic": topic, "Token": []byte("canary-token"), "PushMagic": "canary-magic"}
	for k, v := range more {
		keys[k] = v
	}
	g.say(200, "/mdm/checkin", keys)
}

func (h *house) enrolled(udid string) *guest {
	h.t.Helper()
	g := h.guest(udid)
	g.authenticate()
	g.token(nil)
	return g
}

// report sends a status and returns the UUID of the command that is handed out, empty if none is.
func (g *guest) report(status, uuid string, more map[string]any) string {
	g.t.Helper()
	keys := map[string]any{"Status": status}
	if uuid != "" {
		keys["CommandUUID"] = uuid
	}
	for k, v := range more {
		keys[k] = v
	}
	w := g.say(200, "/mdm/connect", keys)
	if w.Body.Len() == 0 {
		return ""
	}
	var next struct{ CommandUUID string }
	if err := plist.Unmarshal(w.Body.Bytes(), &next); err != nil {
		g.t.Fatalf("a command that is no property list: %v", err)
	}
	return next.CommandUUID
}

func (g *guest) stream() string {
	for _, key := range []string{"UDID", "EnrollmentID"} {
		if id, ok := g.keys[key].(string); ok {
			return g.door.Pseudonyms.Device(id)
		}
	}
	return ""
}

// order queues a command on a channel.
func (g *guest) order(channel device.ChannelID, requestType, uuid string) {
	g.t.Helper()
	body := xml(g.t, map[string]any{"CommandUUID": uuid, "Command": map[string]any{"RequestType": requestType}})
	g.change(func(d device.Device, at time.Time) ([]domain.Event, error) {
		return d.Order(channel, device.Order{UUID: uuid, RequestType: requestType, Body: body}, false, at)
	})
}

func (g *guest) change(decide func(device.Device, time.Time) ([]domain.Event, error)) {
	g.t.Helper()
	if _, err := g.door.Devices.Update(context.Background(), g.stream(), eventstore.Meta{}, decide); err != nil {
		g.t.Fatal(err)
	}
}

func (g *guest) state() device.Device {
	g.t.Helper()
	d, _, err := g.door.Devices.Load(context.Background(), g.stream())
	if err != nil {
		g.t.Fatal(err)
	}
	return d
}

// A recorded is an event as the log has it, and as it was.
type recorded struct {
	eventstore.Envelope
	event domain.Event
}

func (h *house) history(s eventstore.Stream) (all []recorded) {
	h.t.Helper()
	for env, err := range h.log.ReadStream(context.Background(), s, 0, eventstore.Forward) {
		if err != nil {
			h.t.Fatal(err)
		}
		e, err := h.codec.Decode(env)
		if err != nil {
			h.t.Fatal(err)
		}
		all = append(all, recorded{env, e})
	}
	return all
}

func (g *guest) history() []recorded {
	g.t.Helper()
	return g.house.history(eventstore.Stream{Kind: device.Kind, ID: g.stream()})
}

func (h *house) strangers() []recorded {
	h.t.Helper()
	return h.history(eventstore.Stream{Kind: stranger.Kind, ID: h.clock().Format(time.DateOnly)})
}

// last returns the device's last event, which must be of type E, and its envelope.
func last[E domain.Event](g *guest) (E, recorded) {
	g.t.Helper()
	all := g.history()
	if len(all) == 0 {
		g.t.Fatal("the device has no history")
	}
	r := all[len(all)-1]
	e, ok := r.event.(E)
	if !ok {
		g.t.Fatalf("the last event is %s, want %T", r.event.EventType(), e)
	}
	return e, r
}

// evidence returns the body that is kept with an event.
func (h *house) evidence(r recorded) []byte { return h.message(r).Body }

func (h *house) message(r recorded) evidence.Message {
	h.t.Helper()
	if len(r.Evidence) == 0 {
		return evidence.Message{}
	}
	open, err := h.codec.Evidence(r.Envelope)
	if err != nil {
		h.t.Fatal(err)
	}
	return evidence.Parse(open)
}

func xml(t testing.TB, v any) []byte {
	t.Helper()
	body, err := plist.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return body
}
