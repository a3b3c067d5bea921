package nano_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/catalog"
	"github.com/rollcall-mdm/rollcall/domain/device"
	"github.com/rollcall-mdm/rollcall/domain/operator"
	"github.com/rollcall-mdm/rollcall/domain/pushcert"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/eventstore/embedded"
	"github.com/rollcall-mdm/rollcall/eventstore/seal"
	"github.com/rollcall-mdm/rollcall/handlers"
	"github.com/rollcall-mdm/rollcall/handlers/nano"
	"github.com/rollcall-mdm/rollcall/handlers/push"
	"github.com/rollcall-mdm/rollcall/handlers/push/apnstest"
	"github.com/rollcall-mdm/rollcall/projections"
)

const (
	topic      = "com.apple.mgmt.External.11111111-2222-4333-8444-555555555555"
	otherTopic = "com.apple.mgmt.External.99999999-2222-4333-8444-555555555555"
)

// A house is the door with a real log, real views, a real worker and a make-believe Apple behind it.
type house struct {
	t      *testing.T
	door   *nano.Door
	web    *echo.Echo
	apns   *apnstest.Server
	views  *projections.Views
	names  seal.Pseudonyms
	role   operator.Role
	output bytes.Buffer
}

func build(t *testing.T) *house {
	t.Helper()
	log, err := embedded.Open(t.Context(), filepath.Join(t.TempDir(), "log.db"), embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	codec := &seal.Codec[domain.Event]{Types: catalog.Events(), Keys: &seal.MemoryKeyring{}}
	h := &house{t: t, web: echo.New(), role: operator.Operator, names: seal.NewPseudonyms([32]byte{7})}
	if h.apns, err = apnstest.Start(apnstest.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.apns.Close() })
	h.views = h.follow(log, codec)
	h.door = &nano.Door{
		Orders: &handlers.Orders{Devices: &eventstore.Repository[device.Device, domain.Event]{
			Log: log, Codec: codec, Kind: device.Kind, Fold: device.Device.Evolve,
		}},
		PushCerts: &handlers.PushCerts{
			Certificates: &eventstore.Repository[pushcert.PushCertificate, domain.Event]{
				Log: log, Codec: codec, Kind: pushcert.Kind, Fold: pushcert.PushCertificate.Evolve,
			},
			Requests: &eventstore.Repository[pushcert.Request, domain.Event]{
				Log: log, Codec: codec, Kind: pushcert.RequestKind, Fold: pushcert.Request.Evolve,
			},
			Views: h.views,
		},
		Views: h.views, Pseudonyms: h.names, Release: "v1.2.3", MaxBody: 64 << 10, Patience: 20 * time.Second,
		Log: slog.New(slog.NewTextHandler(&h.output, nil)),
	}
	h.web.Use(handlers.Identify, h.introduce)
	h.web.HTTPErrorHandler = handlers.ErrorHandler(h.door.Log)
	h.door.Mount(h.web.Group("/v1"))
	h.web.GET("/version", h.door.Version)
	return h
}

// follow opens and runs the views.
func (h *house) follow(log eventstore.Log, codec eventstore.Codec[domain.Event]) *projections.Views {
	h.t.Helper()
	views, err := projections.Open(h.t.Context(), filepath.Join(h.t.TempDir(), "views.db"), projections.Options{})
	if err != nil {
		h.t.Fatal(err)
	}
	h.background(func(ctx context.Context) error { return views.Run(ctx, log, codec) }, views.Close)
	return views
}

// background runs something until the test ends.
func (h *house) background(run func(context.Context) error, after func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	var g sync.WaitGroup
	g.Go(func() {
		if err := run(ctx); err != nil {
			h.t.Error(err)
		}
	})
	h.t.Cleanup(func() {
		cancel()
		g.Wait()
		if err := after(); err != nil {
			h.t.Error(err)
		}
	})
}

// wake runs the worker that pushes.
func (h *house) wake() {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(h.apns.CA)
	way := &push.APNs{URL: h.apns.URL, Roots: roots}
	n := &push.Notifier{
		Views: h.views, Devices: h.door.Orders.Devices, Certificates: h.door.PushCerts.Certificates, Sender: way,
		Log: slog.New(slog.DiscardHandler), FirstWait: time.Millisecond,
	}
	h.background(n.Run, func() error { way.Close(); return nil })
}

func (h *house) introduce(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if h.role != "" {
			who := handlers.Caller{ID: "t1", Name: "script", Role: h.role, Address: "192.0.2.7"}
			c.SetRequest(c.Request().WithContext(handlers.WithCaller(c.Request().Context(), who)))
		}
		return next(c)
	}
}

// ask sends a request and returns the status and the answer, which is JSON.
func (h *house) ask(method, path, body string) (int, map[string]any) {
	h.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	w := httptest.NewRecorder()
	h.web.ServeHTTP(w, r)
	var told map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &told); err != nil {
		h.t.Fatalf("%s %s: %d, %q is not JSON: %v", method, path, w.Code, w.Body, err)
	}
	return w.Code, told
}

// enrol enrols a device, and users of it.
func (h *house) enrol(udid, topic string, users ...string) {
	h.t.Helper()
	h.change(udid, func(d device.Device, at time.Time) ([]domain.Event, error) {
		return d.Authenticate(device.Authenticate{
			Identity: device.Identity{UDID: udid}, Topic: topic, Certificate: device.Certificate{Fingerprint: udid},
		}, at)
	})
	for _, user := range append([]string{""}, users...) {
		h.change(udid, func(d device.Device, at time.Time) ([]domain.Event, error) {
			m := device.TokenUpdate{Topic: topic, Token: []byte(udid + user), PushMagic: "magic of " + udid + user}
			if user != "" {
				m.Channel = device.ChannelID(h.names.Channel(udid, user))
			}
			return d.UpdateToken(m, at)
		})
	}
}

func (h *house) change(udid string, decide func(d device.Device, at time.Time) ([]domain.Event, error)) {
	h.t.Helper()
	change, err := h.door.Orders.Devices.Update(context.Background(), h.names.Device(udid), eventstore.Meta{}, decide)
	if err != nil {
		h.t.Fatal(err)
	}
	h.seen(change.Position)
}

func (h *house) seen(at eventstore.Position) {
	h.t.Helper()
	if err := h.views.Wait(context.Background(), at); err != nil {
		h.t.Fatal(err)
	}
}

// catchUp waits until the views know all.
func (h *house) catchUp() {
	h.t.Helper()
	head, err := h.door.Orders.Devices.Log.Head(context.Background())
	if err != nil {
		h.t.Fatal(err)
	}
	h.seen(head)
}

func (h *house) queue(udid string, channel device.ChannelID) []string {
	h.t.Helper()
	d, _, err := h.door.Orders.Devices.Load(context.Background(), h.names.Device(udid))
	if err != nil {
		h.t.Fatal(err)
	}
	c, _ := d.Channel(channel)
	var uuids []string
	for _, item := range c.Queue {
		uuids = append(uuids, item.UUID)
	}
	return uuids
}

func (h *house) pem(topic string, notAfter time.Time) string {
	h.t.Helper()
	cert, key, err := h.apns.PushCertificate(topic, notAfter)
	if err != nil {
		h.t.Fatal(err)
	}
	return string(cert) + string(key)
}

func command(uuid string) string {
	return fmt.Sprintf(`<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0"><dict><key>Command</key><dict><key>RequestType</key><string>ProfileList</string></dict>
<key>CommandUUID</key><string>%s</string></dict></plist>`, uuid)
}

func status(told map[string]any, id string) map[string]any {
	all, _ := told["status"].(map[string]any)
	one, _ := all[id].(map[string]any)
	return one
}

func TestVersion(t *testing.T) {
	h := build(t)
	h.role = "" // it needs no caller
	if code, told := h.ask("GET", "/version", ""); code != 200 || !reflect.DeepEqual(told, map[string]any{"version": "v1.2.3"}) {
		t.Errorf("%d %v", code, told)
	}
}

func TestEnqueueKeepsTheCommandUUIDAndTheBody(t *testing.T) {
	for _, method := range []string{"PUT", "POST"} {
		t.Run(method, func(t *testing.T) {
			h := build(t)
			h.enrol("U1", topic)
			h.enrol("U2", topic)
			h.enrol("U3", topic, "501")
			code, told := h.ask(method, "/v1/enqueue/U1,U2,U3:501", command("My-Own_UUID"))
			if code != 200 || told["command_uuid"] != "My-Own_UUID" || told["request_type"] != "ProfileList" {
				t.Fatalf("%d %v", code, told)
			}
			for _, id := range []string{"U1", "U2", "U3:501"} {
				if s := status(told, id); len(s) != 1 || s["push_result"] == "" {
					t.Errorf("%s: %v", id, s)
				}
			}
			user := device.ChannelID(h.names.Channel("U3", "501"))
			if h.queue("U1", "")[0] != "My-Own_UUID" || h.queue("U2", "")[0] != "My-Own_UUID" || h.queue("U3", user)[0] != "My-Own_UUID" {
				t.Error("the command is not in each queue")
			}
			d, _, _ := h.door.Orders.Devices.Load(t.Context(), h.names.Device("U1"))
			if item, _, _ := d.Item("My-Own_UUID"); string(item.Body) != command("My-Own_UUID") {
				t.Errorf("the command was changed: %s", item.Body)
			}
			h.catchUp()
			if due, err := h.views.Due(t.Context(), time.Now(), 10); err != nil || len(due) != 3 {
				t.Errorf("%d channels are to be pushed, want 3 (%v)", len(due), err)
			}
		})
	}
}

func TestEnqueueWithoutPush(t *testing.T) {
	h := build(t)
	h.enrol("U1", topic)
	code, told := h.ask("PUT", "/v1/enqueue/U1?nopush=1", command("A"))
	want := map[string]any{"no_push": true, "command_uuid": "A", "request_type": "ProfileList"}
	if code != 200 || !reflect.DeepEqual(told, want) {
		t.Errorf("%d %v, want %v", code, told, want)
	}
	h.catchUp()
	if due, err := h.views.Due(t.Context(), time.Now(), 10); err != nil || len(due) != 0 {
		t.Errorf("%d channels are to be pushed, want none (%v)", len(due), err)
	}
}

// Lesson 54: a parameter that is misspelt is no parameter that is ignored.
func TestAParameterThatNobodyKnowsIsRefused(t *testing.T) {
	h := build(t)
	h.enrol("U1", topic)
	for _, query := range []string{"?noPush=1", "?no_push=1", "?nopush=1&expire=1"} {
		if code, told := h.ask("PUT", "/v1/enqueue/U1"+query, command("A")); code != 400 || !strings.Contains(fmt.Sprint(told), "no parameter is called") {
			t.Errorf("%s: %d %v", query, code, told)
		}
	}
	if code, told := h.ask("PUT", "/v1/enqueue/U1?nopush=1", command("A")); code != 200 {
		t.Errorf("after the refusals the command is not new: %d %v", code, told)
	}
}

func TestEnqueueThatFails(t *testing.T) {
	h := build(t)
	h.enrol("U1", topic)
	for _, test := range []struct {
		name, path, body string
		role             operator.Role
		status           int
		error, code      string // top-level
		ids              map[string]string
	}{
		{name: "for some", path: "/v1/enqueue/U1,nobody", body: command("B"), status: 207,
			ids: map[string]string{"nobody": "not-found"}},
		{name: "for all", path: "/v1/enqueue/nobody,U1:nobody", body: command("C"), status: 500,
			ids: map[string]string{"nobody": "not-found", "U1:nobody": "not-found"}},
		{name: "a UUID that was used", path: "/v1/enqueue/U1", body: command("B"), status: 500, ids: map[string]string{"U1": "conflict"}},
		{name: "no plist", path: "/v1/enqueue/U1", body: "hello", status: 400, code: "invalid"},
		{name: "no request type", path: "/v1/enqueue/U1", body: strings.ReplaceAll(command("D"), "RequestType", "Request"), status: 400, code: "invalid"},
		{name: "no UUID", path: "/v1/enqueue/U1", body: command(""), status: 400, code: "invalid"},
		{name: "no ids", path: "/v1/enqueue/,%20,", body: command("E"), status: 400, code: "invalid"},
		{name: "too large", path: "/v1/enqueue/U1", body: strings.Repeat("x", 65<<10), status: 413},
		{name: "too many ids", path: "/v1/enqueue/" + manyIDs(), body: command("F"), status: 400, code: "invalid"},
		{name: "a viewer", path: "/v1/enqueue/U1", body: command("G"), role: operator.Viewer, status: 403, code: "forbidden"},
		{name: "an auditor", path: "/v1/enqueue/U1", body: command("G"), role: operator.Auditor, status: 403, code: "forbidden"},
		{name: "nobody", path: "/v1/enqueue/U1", body: command("G"), role: "none", status: 403, code: "forbidden"},
	} {
		t.Run(test.name, func(t *testing.T) {
			h.role = operator.Administrator
			if test.role == "none" {
				h.role = ""
			} else if test.role != "" {
				h.role = test.role
			}
			code, told := h.ask("PUT", test.path, test.body)
			if code != test.status {
				t.Errorf("%d %v, want %d", code, told, test.status)
			}
			if test.code != "" && (told["code"] != test.code || told["command_error"] == nil || told["request"] == nil) {
				t.Errorf("%v, want code %s", told, test.code)
			}
			for id, want := range test.ids {
				if s := status(told, id); s["command_error"] == nil || s["code"] != want {
					t.Errorf("%s: %v, want %s", id, s, want)
				}
			}
		})
	}
	if got := h.queue("U1", ""); !reflect.DeepEqual(got, []string{"B"}) {
		t.Errorf("the queue is %v, want B alone", got)
	}
}

func manyIDs() string {
	ids := make([]string, 10_001)
	for i := range ids {
		ids[i] = fmt.Sprint(i)
	}
	return strings.Join(ids, ",")
}

func TestPushTellsWhatAppleSaid(t *testing.T) {
	h := build(t)
	if code, told := h.ask("PUT", "/v1/pushcert", h.pem(topic, time.Now().AddDate(1, 0, 0))); code != 200 {
		t.Fatalf("%d %v", code, told)
	}
	h.enrol("U1", topic, "Zoë")
	h.enrol("DEAD", topic)
	h.apns.Fail(func(p apnstest.Push) apnstest.Fault {
		if p.Magic == "magic of DEAD" {
			return apnstest.Unregistered
		}
		return apnstest.Fault{}
	})
	h.wake()
	code, told := h.ask("GET", "/v1/push/U1,U1:Zo%C3%AB,DEAD,nobody", "")
	if code != 207 {
		t.Errorf("%d %v", code, told)
	}
	ids := map[string]string{}
	for _, p := range h.apns.Pushes() {
		ids[p.Magic] = p.ID
	}
	if s := status(told, "U1"); s["push_result"] != ids["magic of U1"] || s["push_error"] != nil {
		t.Errorf("U1: %v, want %s", s, ids["magic of U1"])
	}
	if s := status(told, "U1:Zoë"); s["push_result"] != ids["magic of U1Zoë"] {
		t.Errorf("U1:Zoë: %v, want %s", s, ids["magic of U1Zoë"])
	}
	if s := status(told, "DEAD"); s["push_error"] != "Apple refused the push: Unregistered" || s["push_result"] != nil {
		t.Errorf("DEAD: %v", s)
	}
	if s := status(told, "nobody"); s["push_error"] == nil || s["code"] != "not-found" {
		t.Errorf("nobody: %v", s)
	}
}

func TestPushDoesNotWaitForEver(t *testing.T) {
	h := build(t)
	h.enrol("U1", topic)
	h.door.Patience = 10 * time.Millisecond // and nobody pushes
	for _, method := range []string{"GET", "PUT", "POST"} {
		code, told := h.ask(method, "/v1/push/U1", "")
		if result, _ := status(told, "U1")["push_result"].(string); code != 200 || len(result) != 36 {
			t.Errorf("%s: %d %v", method, code, told)
		}
	}
	h.door.Patience = -1
	if code, told := h.ask("PUT", "/v1/enqueue/U1", ""); code != 200 || status(told, "U1")["push_result"] == nil || told["command_uuid"] != nil {
		t.Errorf("enqueue without a command: %d %v", code, told)
	}
	h.role = operator.Viewer
	if code, told := h.ask("GET", "/v1/push/U1", ""); code != 403 || told["push_error"] == nil {
		t.Errorf("a viewer: %d %v", code, told)
	}
}

func TestPushCertificate(t *testing.T) {
	year := time.Now().AddDate(1, 0, 0).UTC().Truncate(time.Second)
	h := build(t)
	first := h.pem(topic, year)
	code, told := h.ask("PUT", "/v1/pushcert", first)
	if code != 200 || told["topic"] != topic || told["not_after"] != year.Format(time.RFC3339) || told["renewal"] != nil {
		t.Fatalf("%d %v", code, told)
	}
	if code, told = h.ask("PUT", "/v1/pushcert", first); code != 200 || told["unchanged"] != true {
		t.Errorf("the same again: %d %v", code, told)
	}
	later := year.AddDate(0, 0, 1)
	if code, told = h.ask("PUT", "/v1/pushcert", h.pem(topic, later)); code != 200 || told["renewal"] != true {
		t.Errorf("a renewal: %d %v", code, told)
	}
	for _, path := range []string{"/v1/pushcert?topic=" + topic, "/v1/pushcert"} {
		h.catchUp()
		if code, told = h.ask("GET", path, ""); code != 200 || told["topic"] != topic || told["not_after"] != later.Format(time.RFC3339) {
			t.Errorf("GET %s: %d %v", path, code, told)
		}
	}
	if code, told = h.ask("GET", "/v1/pushcert?topic=x", ""); code != 404 || told["error"] == nil || told["code"] != "not-found" {
		t.Errorf("an unknown topic: %d %v", code, told)
	}
}

func TestAPushCertificateOfAnotherTopicNeedsForce(t *testing.T) {
	year := time.Now().AddDate(1, 0, 0)
	h := build(t)
	h.ask("PUT", "/v1/pushcert", h.pem(topic, year))
	h.enrol("U1", topic)
	h.enrol("U2", topic)
	h.catchUp()
	other := h.pem(otherTopic, year)
	code, told := h.ask("PUT", "/v1/pushcert", other)
	if text, _ := told["error"].(string); code != 409 || !strings.Contains(text, "the 2 devices") || !strings.Contains(text, topic) {
		t.Fatalf("%d %v", code, told)
	}
	if hint, _ := told["hint"].(string); !strings.Contains(hint, "force=1") || !strings.Contains(hint, "renew") {
		t.Errorf("hint: %v", told["hint"])
	}
	if code, told = h.ask("PUT", "/v1/pushcert?force=1", other); code != 200 || told["topic"] != otherTopic {
		t.Errorf("with force: %d %v", code, told)
	}
	if code, told = h.ask("PUT", "/v1/pushcert", h.pem(topic, year.AddDate(0, 0, 1))); code != 200 {
		t.Errorf("the first is renewed: %d %v", code, told)
	}
	h.catchUp()
	if code, told = h.ask("GET", "/v1/pushcert", ""); code != 400 || !strings.Contains(fmt.Sprint(told["hint"]), otherTopic) {
		t.Errorf("which topic: %d %v", code, told)
	}
}

func TestAPushCertificateThatIsRefused(t *testing.T) {
	year := time.Now().AddDate(1, 0, 0)
	h := build(t)
	cert, key, err := h.apns.PushCertificate(topic, year)
	if err != nil {
		t.Fatal(err)
	}
	_, otherKey, err := h.apns.PushCertificate(topic, year)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, body, says string
		role             operator.Role
		status           int
	}{
		{name: "nothing", body: "", says: "no certificate", status: 400},
		{name: "no PEM", body: "hello", says: "no certificate", status: 400},
		{name: "no key", body: string(cert), says: "no private key", status: 400},
		{name: "no certificate", body: string(key), says: "no certificate", status: 400},
		{name: "somebody else's key", body: string(cert) + string(otherKey), says: "not the certificate's", status: 400},
		{name: "a key with a password", body: string(cert) + strings.ReplaceAll(string(key), "PRIVATE KEY", "ENCRYPTED PRIVATE KEY"), says: "password", status: 400},
		{name: "an app's certificate", body: h.pem("com.example.app", year), says: "no MDM push certificate", status: 400},
		{name: "expired", body: h.pem(topic, time.Now().Add(-time.Hour)), says: "expired", status: 400},
		{name: "garbage in PEM", body: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")})) + string(key), says: "cannot be read", status: 400},
		{name: "too large", body: strings.Repeat("x", 65<<10), says: "", status: 413},
		{name: "a viewer", body: string(cert) + string(key), role: operator.Viewer, says: "role", status: 403},
	} {
		t.Run(test.name, func(t *testing.T) {
			h.role = operator.Administrator
			if test.role != "" {
				h.role = test.role
			}
			code, told := h.ask("PUT", "/v1/pushcert", test.body)
			if code != test.status || !strings.Contains(fmt.Sprint(told["error"]), test.says) {
				t.Errorf("%d %v, want %d and %q", code, told, test.status, test.says)
			}
			if strings.Contains(fmt.Sprint(told), "PRIVATE KEY-----") {
				t.Error("the answer tells the key")
			}
		})
	}
	h.role = operator.Administrator
	if code, _ := h.ask("PUT", "/v1/pushcert", string(key)+strings.TrimSuffix(string(cert), "\n")); code != http.StatusOK {
		t.Errorf("the key first: %d", code)
	}
	mushed := strings.TrimSuffix(h.pem(topic, year.AddDate(0, 0, 2)), "\n")
	mushed = strings.Replace(mushed, "-----END CERTIFICATE-----\n-----BEGIN", "-----END CERTIFICATE----------BEGIN", 1)
	if code, told := h.ask("PUT", "/v1/pushcert", mushed); code != http.StatusOK {
		t.Errorf("files put together without a line's end: %d %v", code, told)
	}
}

// What the catalogue would have refused of a raw command is an administrator's to order, and is said.
func TestTheCatalogueHasSomethingAgainstIt(t *testing.T) {
	h := build(t)
	h.enrol("U1", topic)
	wrong := strings.ReplaceAll(command("W"), "<key>RequestType</key>", "<key>Nonsense</key><true/><key>RequestType</key>")
	h.role = operator.Operator
	if code, told := h.ask("PUT", "/v1/enqueue/U1?nopush=1", wrong); code != 500 || status(told, "U1")["code"] != "forbidden" {
		t.Errorf("an operator is answered %d %v", code, told)
	}
	h.role = operator.Administrator
	code, told := h.ask("PUT", "/v1/enqueue/U1?nopush=1", wrong)
	if says, _ := status(told, "U1")["catalogue_against"].(string); code != 200 || !strings.Contains(says, "Nonsense") {
		t.Errorf("an administrator is answered %d %v", code, told)
	}
	h.role = operator.Operator
	if code, told := h.ask("PUT", "/v1/enqueue/U1?nopush=1", command("R")); code != 200 || status(told, "U1") != nil && len(status(told, "U1")) > 0 {
		t.Errorf("an operator with a command that has nothing against it is answered %d %v", code, told)
	}
	if got := h.queue("U1", ""); !reflect.DeepEqual(got, []string{"W", "R"}) {
		t.Errorf("the queue is %v", got)
	}
}
