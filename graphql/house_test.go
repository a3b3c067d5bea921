package graphql

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/catalog"
	"github.com/rollcall-mdm/rollcall/domain/declaration"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/domain/group"
	"github.com/rollcall-mdm/rollcall/domain/operator"
	"github.com/rollcall-mdm/rollcall/domain/profile"
	"github.com/rollcall-mdm/rollcall/domain/wanted"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/embedded"
	"github.com/rollcall-mdm/rollcall/eventstore/seal"
	"github.com/rollcall-mdm/rollcall/handlers"
	"github.com/rollcall-mdm/rollcall/handlers/auth"
	"github.com/rollcall-mdm/rollcall/projections"
)

var noon = time.Date(2026, 2, 3, 12, 0, 0, 0, time.UTC)

// A house is a whole server behind its GraphQL door, with a clock that the test moves.
type house struct {
	t       testing.TB
	log     eventstore.Log
	views   *projections.Views
	devices *eventstore.Repository[device.Device, domain.Event]
	names   seal.Pseudonyms
	door    *Door
	web     *echo.Echo
	tokens  map[operator.Role]string
	logged  *safeBuffer
	stop    func() // the views stand still from now on

	mu  sync.Mutex
	now time.Time
}

// A safeBuffer is a buffer that several goroutines may write to.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func (h *house) clock() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

func (h *house) pass(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = h.now.Add(d)
}

func newHouse(t testing.TB) *house {
	t.Helper()
	return newHouseThatPauses(t, -1)
}

// newHouseThatPauses makes a house whose views rest so long after what they have folded, unless somebody waits.
func newHouseThatPauses(t testing.TB, pause time.Duration) *house {
	t.Helper()
	h := &house{t: t, now: noon, names: seal.NewPseudonyms([32]byte{1}), tokens: map[operator.Role]string{}, logged: new(safeBuffer)}
	logger := slog.New(slog.NewTextHandler(h.logged, nil))
	dir := t.TempDir()
	log, err := embedded.Open(t.Context(), filepath.Join(dir, "log.db"), embedded.Options{})
	h.ok(err)
	h.log = log
	codec := &seal.Codec[domain.Event]{Types: catalog.Events(), Keys: new(seal.MemoryKeyring)}
	h.views, err = projections.Open(t.Context(), filepath.Join(dir, "views.db"), projections.Options{Pause: pause, Logger: logger})
	h.ok(err)
	h.follow(codec)
	h.devices = &eventstore.Repository[device.Device, domain.Event]{
		Log: log, Codec: codec, Kind: device.Kind, Fold: device.Device.Evolve, Size: device.Size, Now: h.clock,
	}
	tokens := &auth.Tokens{Now: h.clock, Logger: logger, Operators: &eventstore.Repository[operator.Token, domain.Event]{
		Log: log, Codec: codec, Kind: operator.Kind, Fold: operator.Token.Evolve, Now: h.clock,
	}}
	groups := &handlers.Groups{Groups: &eventstore.Repository[group.Group, domain.Event]{
		Log: log, Codec: codec, Kind: group.Kind, Fold: group.Group.Evolve, Size: group.Size, Now: h.clock,
	}}
	declarations := &handlers.Declarations{Views: h.views, Stamp: h.names.Stamp, Declarations: &eventstore.Repository[declaration.Declaration, domain.Event]{
		Log: log, Codec: codec, Kind: declaration.Kind, Fold: declaration.Declaration.Evolve, Now: h.clock,
	}}
	things := &eventstore.Repository[wanted.Thing, domain.Event]{Log: log, Codec: codec, Kind: wanted.Kind, Fold: wanted.Thing.Evolve, Now: h.clock}
	library := &handlers.Library{Things: things, Views: h.views, Stamp: h.names.Stamp, Profiles: &eventstore.Repository[profile.Kept, domain.Event]{
		Log: log, Codec: codec, Kind: profile.Kind, Fold: profile.Kept.Evolve, Now: h.clock,
	}}
	h.door = &Door{
		Groups: groups, Declarations: declarations, Library: library,
		Wanted: &handlers.Wants{Devices: h.devices, Stamp: h.names.Stamp, Things: things, Library: library},
		Views:  h.views, Log: log, Codec: codec.Views(), Evidence: codec, Orders: &handlers.Orders{Devices: h.devices},
		Tokens: tokens, Pseudonyms: h.names, Now: h.clock, Logger: logger,
	}
	h.web = echo.New()
	h.web.IPExtractor = handlers.Address(nil)
	h.web.HTTPErrorHandler = handlers.ErrorHandler(logger)
	h.web.Use(handlers.Identify, handlers.Recover)
	h.ok(h.door.Mount(h.web.Group("", tokens.Bearer)))
	setup := handlers.Caller{ID: "setup", Name: "setup", Role: operator.Administrator}
	for _, role := range operator.Roles() {
		_, h.tokens[role], err = tokens.Create(t.Context(), setup, "Ada the "+string(role), role, time.Time{})
		h.ok(err)
	}
	return h
}

// follow keeps the views up to date until the test ends.
func (h *house) follow(codec *seal.Codec[domain.Event]) {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = h.views.Run(ctx, h.log, codec.Views())
	}()
	h.stop = func() { stop(); <-done }
	h.t.Cleanup(func() {
		h.stop()
		h.ok(h.views.Close())
		h.ok(h.log.Close())
	})
}

func (h *house) ok(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// does lets a device decide something.
func (h *house) does(udid string, evidence []byte, decide func(device.Device, time.Time) ([]domain.Event, error)) []domain.Event {
	h.t.Helper()
	id := h.names.Device(udid)
	meta := eventstore.Meta{Actor: eventstore.Actor{Kind: eventstore.ByDevice, ID: id, Address: "198.51.100.7"}, Evidence: evidence}
	change, err := h.devices.Update(context.Background(), id, meta, decide)
	h.ok(err)
	h.ok(h.views.Wait(context.Background(), change.Position))
	return change.Events
}

// enrols makes a device enrol.
func (h *house) enrols(udid, serial, product, version string) {
	h.t.Helper()
	identity := device.Identity{UDID: udid, SerialNumber: serial, DeviceName: "The " + product}
	certificate := device.Certificate{Fingerprint: "cert " + udid, NotAfter: noon.AddDate(1, 0, 0)}
	h.does(udid, []byte("<plist>Authenticate "+udid+"</plist>"), func(d device.Device, at time.Time) ([]domain.Event, error) {
		return d.Authenticate(device.Authenticate{Identity: identity, Topic: "com.apple.mgmt.test", OSVersion: version,
			ProductName: product, Certificate: certificate}, at)
	})
	h.does(udid, nil, func(d device.Device, at time.Time) ([]domain.Event, error) {
		return d.UpdateToken(device.TokenUpdate{Topic: "com.apple.mgmt.test", Token: []byte("canary-token"), PushMagic: "canary-magic",
			UnlockToken: []byte("canary-unlock"), Identity: identity, Certificate: certificate}, at)
	})
}

// connects makes a device report, and returns the UUID of the command that it is handed.
func (h *house) connects(udid string, r device.Report) string {
	h.t.Helper()
	events := h.does(udid, nil, func(d device.Device, at time.Time) ([]domain.Event, error) { return d.Connect(r, at) })
	for _, e := range events {
		if delivered, ok := e.(device.CommandDelivered); ok {
			return delivered.UUID
		}
	}
	return ""
}

// answers fetches the next command and acknowledges it with a result.
func (h *house) answers(udid, result string) {
	h.t.Helper()
	uuid := h.connects(udid, device.Report{Status: device.Idle})
	if uuid == "" {
		h.t.Fatal("there was nothing to answer")
	}
	h.connects(udid, device.Report{Status: device.Acknowledged, UUID: uuid, Result: json.RawMessage(result)})
}

// post sends a request as a role and returns the answer.
func (h *house) post(role operator.Role, query string, variables map[string]any) (status int, out reply) {
	h.t.Helper()
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	h.ok(err)
	rec := h.send(role, http.MethodPost, "/graphql", "application/json", "", string(body))
	h.ok(json.Unmarshal(rec.Body.Bytes(), &out))
	return rec.Code, out
}

func (h *house) send(role operator.Role, method, url, contentType, accept, body string) *httptest.ResponseRecorder {
	return h.sendWith(role, method, url, contentType, body, "Accept", accept)
}

// sendWith sends a request with a header of one's own.
func (h *house) sendWith(role operator.Role, method, url, contentType, body, key, value string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(method, url, strings.NewReader(body))
	if role != "" {
		req.Header.Set("Authorization", "Bearer "+h.tokens[role])
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if value != "" {
		req.Header.Set(key, value)
	}
	rec := httptest.NewRecorder()
	h.web.ServeHTTP(rec, req)
	return rec
}

type reply struct {
	Data   map[string]any
	Errors []Error
}

// at returns what stands at a path of the data, e.g. device.queue.0.uuid.
func (r reply) at(path string) any {
	var v any = r.Data
	for part := range strings.SplitSeq(path, ".") {
		switch in := v.(type) {
		case map[string]any:
			v = in[part]
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i >= len(in) {
				return nil
			}
			v = in[i]
		default:
			return nil
		}
	}
	return v
}

func (r reply) text(path string) string {
	s, _ := r.at(path).(string)
	return s
}

// asks asks as a role, and fails the test if there are errors.
func (h *house) asks(role operator.Role, query string, variables map[string]any) reply {
	h.t.Helper()
	_, out := h.post(role, query, variables)
	if len(out.Errors) > 0 {
		h.t.Fatalf("%s\n%+v\n%s", query, out.Errors, h.logged)
	}
	return out
}

// expect compares what stands at paths with what should, as JSON.
func (h *house) expect(r reply, want map[string]string) {
	h.t.Helper()
	for path, v := range want {
		got, err := json.Marshal(r.at(path))
		h.ok(err)
		if string(got) != v {
			h.t.Errorf("%s is %s, want %s", path, got, v)
		}
	}
}
