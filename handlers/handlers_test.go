package handlers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/operator"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

func TestHowErrorsAreTold(t *testing.T) {
	tests := []struct {
		err    error
		status int
		code   string
		holds  string
	}{
		{domain.Refusef(domain.Invalid, "mend it"), 400, "invalid", "mend it"},
		{domain.Refusef(domain.Conflict, "not now"), 409, "conflict", "not now"},
		{domain.Refusef(domain.Forbidden, "not you"), 403, "forbidden", "not you"},
		{domain.Refusef(domain.NotFound, "what?"), 404, "not-found", "what?"},
		{domain.Refusef(domain.Unmanaged, "who?"), 400, "unmanaged", "who?"},
		{fmt.Errorf("order: %w", domain.WithHint(domain.Refusef(domain.Conflict, "full"), "clear it")), 409, "conflict", `"hint":"clear it"`},
		{errors.New("canary at /var/lib"), 500, "internal", "something went wrong"},
		{fmt.Errorf("canary: %w", context.DeadlineExceeded), 503, "unavailable", "again"},
		{fmt.Errorf("canary: %w", eventstore.ErrConflict), 503, "unavailable", "again"},
		{eventstore.ErrClosed, 503, "unavailable", ""},
		{echo.NewHTTPError(405, "by POST"), 405, "method-not-allowed", "by POST"},
		{echo.NewHTTPError(500, "canary"), 500, "internal", ""},
		{&http.MaxBytesError{Limit: 7}, 413, "request-entity-too-large", ""},
		{echo.ErrNotFound, 404, "not-found", ""},
	}
	for _, test := range tests {
		var logged bytes.Buffer
		web := echo.New()
		web.HTTPErrorHandler = ErrorHandler(slog.New(slog.NewTextHandler(&logged, nil)))
		web.GET("/", func(echo.Context) error { return test.err }, Identify)
		rec := httptest.NewRecorder()
		web.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/", nil))
		var body struct{ Error Problem }
		if err := json.Unmarshal(rec.Body.Bytes(), &body); err != nil {
			t.Fatal(err)
		}
		if rec.Code != test.status || body.Error.Code != test.code || !strings.Contains(rec.Body.String(), test.holds) {
			t.Errorf("%v is told as %d %s", test.err, rec.Code, rec.Body)
		}
		if strings.Contains(rec.Body.String(), "canary") {
			t.Errorf("%v is not masked: %s", test.err, rec.Body)
		}
		if id := rec.Header().Get("X-Request-Id"); id == "" || id != body.Error.Request {
			t.Errorf("the request is %q and %q", id, body.Error.Request)
		}
		if once := strings.Count(logged.String(), "a request failed"); (once == 1) != (test.status == 500) {
			t.Errorf("%v was logged %d times", test.err, once)
		}
	}
}

func TestAPanicIsAFailure(t *testing.T) {
	var logged bytes.Buffer
	web := echo.New()
	web.HTTPErrorHandler = ErrorHandler(slog.New(slog.NewTextHandler(&logged, nil)))
	web.GET("/", func(echo.Context) error { panic("canary") }, Identify, Recover)
	rec := httptest.NewRecorder()
	web.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/", nil))
	if rec.Code != 500 || strings.Contains(rec.Body.String(), "canary") || !strings.Contains(logged.String(), "handlers_test.go") {
		t.Errorf("%d %s\n%s", rec.Code, rec.Body, logged.String())
	}
}

func TestBodiesAreBounded(t *testing.T) {
	web := echo.New()
	web.HTTPErrorHandler = ErrorHandler(slog.New(slog.DiscardHandler))
	web.POST("/", func(c echo.Context) error {
		_, err := new(bytes.Buffer).ReadFrom(c.Request().Body)
		return err
	}, Limit(10))
	for length, status := range map[int]int{10: 200, 11: 413} {
		for _, told := range []bool{true, false} {
			req := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(strings.Repeat("a", length)))
			if !told {
				req.ContentLength = -1
			}
			rec := httptest.NewRecorder()
			if web.ServeHTTP(rec, req); rec.Code != status {
				t.Errorf("%d bytes, length told %v: %d, want %d", length, told, rec.Code, status)
			}
		}
	}
}

func TestOnlyProxiesAreBelieved(t *testing.T) {
	tests := []struct {
		proxies, remote, forwarded, want string
	}{
		{"", "9.9.9.9:1", "1.2.3.4", "9.9.9.9"},
		{"", "127.0.0.1:1", "1.2.3.4", "127.0.0.1"},
		{"10.0.0.0/8", "9.9.9.9:1", "1.2.3.4", "9.9.9.9"},
		{"10.0.0.0/8", "10.1.1.1:1", "1.2.3.4", "1.2.3.4"},
		{"10.0.0.0/8", "10.1.1.1:1", "6.6.6.6, 1.2.3.4", "1.2.3.4"},
		{"10.0.0.0/8", "10.1.1.1:1", "1.2.3.4, 10.2.2.2", "1.2.3.4"},
		{"10.0.0.0/8", "127.0.0.1:1", "1.2.3.4", "127.0.0.1"},
		{"10.0.0.0/8", "10.1.1.1:1", "", "10.1.1.1"},
		{"fd00::/8", "[fd00::1]:1", "2001:db8::7", "2001:db8::7"},
	}
	for _, test := range tests {
		var proxies []netip.Prefix
		if test.proxies != "" {
			proxies = []netip.Prefix{netip.MustParsePrefix(test.proxies)}
		}
		req := httptest.NewRequest(http.MethodGet, "/", nil)
		req.RemoteAddr = test.remote
		if test.forwarded != "" {
			req.Header.Set("X-Forwarded-For", test.forwarded)
		}
		if got := Address(proxies)(req); got != test.want {
			t.Errorf("%+v: the client is %s", test, got)
		}
	}
}

func TestACallerIsAnActor(t *testing.T) {
	c := Caller{ID: "1", Name: "Ada", Role: operator.Operator, Address: "1.2.3.4"}
	want := eventstore.Actor{Kind: eventstore.ByToken, ID: "1", Name: "Ada", Role: "operator", Address: "1.2.3.4"}
	if got := c.Actor(); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if _, known := CallerFrom(t.Context()); known {
		t.Error("a context without a caller knows one")
	}
	if got, known := CallerFrom(WithCaller(t.Context(), c)); !known || got != c {
		t.Errorf("%+v", got)
	}
}

func TestOrdersFromParameters(t *testing.T) {
	order, err := TypedOrder("DeviceLock", map[string]any{"PIN": "123456", "Message": "Hello"}, "")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(order.Parameters), "123456") || !strings.Contains(string(order.Parameters), "Hello") {
		t.Errorf("the parameters are %s", order.Parameters)
	}
	body := string(order.Body)
	if !strings.Contains(body, "<string>123456</string>") || !strings.Contains(body, order.UUID) || len(order.UUID) != 36 || order.UUID != strings.ToUpper(order.UUID) {
		t.Errorf("the body is %s", body)
	}
	for name, parameters := range map[string]map[string]any{"Dance": nil, "DeviceLock": {"Pin": "1"}, "InstallProfile": {}} {
		if _, err := TypedOrder(name, parameters, ""); Status(err) != 400 {
			t.Errorf("%s with %v: %v", name, parameters, err)
		}
	}
}

const rawLock = `<?xml version="1.0" encoding="UTF-8"?><plist version="1.0"><dict><key>CommandUUID</key><string>keep-Me</string>
	<key>Command</key><dict><key>RequestType</key><string>%s</string><key>PIN</key><string>123456</string></dict></dict></plist>`

func TestOrdersFromPropertyLists(t *testing.T) {
	for _, requestType := range []string{"DeviceLock", "SomethingOfNextYear"} {
		body := fmt.Sprintf(rawLock, requestType)
		order, err := RawOrder([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		if order.UUID != "keep-Me" || order.RequestType != requestType || string(order.Body) != body {
			t.Errorf("%+v", order)
		}
		if strings.Contains(string(order.Parameters), "123456") {
			t.Errorf("the parameters of %s are %s", requestType, order.Parameters)
		}
	}
	plain := fmt.Sprintf(rawLock, "DeviceLock")
	for name, body := range map[string]string{
		"nothing": "", "text": "hello", "no UUID": strings.Replace(plain, "keep-Me", "", 1),
		"no type":     strings.Replace(plain, "DeviceLock", "", 1),
		"a long UUID": strings.Replace(plain, "keep-Me", strings.Repeat("a", 200), 1),
		"no command":  strings.Replace(plain, "<key>Command</key>", "<key>Comand</key>", 1),
		"a list":      `<plist><array/></plist>`,
		"a number":    strings.Replace(plain, "<string>keep-Me</string>", "<integer>1</integer>", 1),
	} {
		if order, err := RawOrder([]byte(body)); Status(err) != 400 {
			t.Errorf("%s: %+v, %v", name, order, err)
		}
	}
}

func FuzzRawOrder(f *testing.F) {
	f.Add([]byte(fmt.Sprintf(rawLock, "DeviceLock")))
	f.Add([]byte(fmt.Sprintf(rawLock, "SomethingOfNextYear")))
	f.Fuzz(func(t *testing.T, body []byte) {
		order, err := RawOrder(body)
		if err == nil && (order.UUID == "" || order.RequestType == "" || len(order.Body) == 0) {
			t.Errorf("half an order: %+v", order)
		}
		if err != nil && Status(err) != 400 {
			t.Errorf("%v", err)
		}
	})
}
