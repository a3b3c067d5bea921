package auth

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/operator"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/handlers"
)

// streams is a log in memory that can append and read streams: all that a repository needs.
type streams struct {
	eventstore.Log
	mu sync.Mutex
	m  map[eventstore.Stream][]eventstore.Envelope
}

func (s *streams) Append(_ context.Context, stream eventstore.Stream, expected int64, events []eventstore.Envelope) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if int64(len(s.m[stream]))-1 != expected {
		return eventstore.ErrConflict
	}
	s.m[stream] = append(s.m[stream], events...)
	return nil
}

func (s *streams) ReadStream(_ context.Context, stream eventstore.Stream, from int64, _ eventstore.Direction) iter.Seq2[eventstore.Envelope, error] {
	return func(yield func(eventstore.Envelope, error) bool) {
		for _, e := range s.m[stream][from:] {
			if !yield(e, nil) {
				return
			}
		}
	}
}

// plain is a codec without seals.
type plain struct{}

func (plain) Encode(env eventstore.Envelope, e domain.Event) (eventstore.Envelope, error) {
	env.Type = e.EventType()
	var err error
	env.Data, err = json.Marshal(e)
	return env, err
}

func (plain) Decode(env eventstore.Envelope) (domain.Event, error) {
	switch env.Type {
	case operator.TokenCreated{}.EventType():
		var e operator.TokenCreated
		return e, json.Unmarshal(env.Data, &e)
	}
	var e operator.TokenRevoked
	return e, json.Unmarshal(env.Data, &e)
}

var (
	noon  = time.Date(2026, 2, 3, 12, 0, 0, 0, time.UTC)
	admin = handlers.Caller{ID: "setup", Name: "setup", Role: operator.Administrator}
)

func newTokens(log *bytes.Buffer) (*Tokens, *streams, *time.Time) {
	now := noon
	clock := func() time.Time { return now }
	s := &streams{m: map[eventstore.Stream][]eventstore.Envelope{}}
	t := &Tokens{
		Operators: &eventstore.Repository[operator.Token, domain.Event]{
			Log: s, Codec: plain{}, Kind: operator.Kind, Fold: operator.Token.Evolve, Now: clock,
		},
		Now: clock, Logger: slog.New(slog.NewTextHandler(log, nil)),
	}
	return t, s, &now
}

func TestATokenIsShownOnceAndKeptAsAHash(t *testing.T) {
	tokens, stored, _ := newTokens(new(bytes.Buffer))
	id, text, err := tokens.Create(t.Context(), admin, "Ada", operator.Operator, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	if len(text) != textLength {
		t.Errorf("the text has %d bytes, want %d", len(text), textLength)
	}
	caller, err := tokens.Authenticate(t.Context(), text)
	if want := (handlers.Caller{ID: id, Name: "Ada", Role: operator.Operator}); err != nil || caller != want {
		t.Errorf("the token is %+v, %v; want %+v", caller, err, want)
	}
	for _, events := range stored.m {
		for _, e := range events {
			if secret := text[len(text)-secretText:]; strings.Contains(string(e.Data), secret) {
				t.Errorf("the log holds the secret: %s", e.Data)
			}
		}
	}
}

func TestWhoIsDenied(t *testing.T) {
	tokens, _, now := newTokens(new(bytes.Buffer))
	id, good, err := tokens.Create(t.Context(), admin, "Ada", operator.Viewer, noon.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	revokedID, revoked, _ := tokens.Create(t.Context(), admin, "Eve", operator.Viewer, time.Time{})
	if err := tokens.Revoke(t.Context(), admin, revokedID, "left"); err != nil {
		t.Fatal(err)
	}
	tests := map[string]string{
		"nothing":           "",
		"an id alone":       prefix + id,
		"another's secret":  good[:len(prefix)+2*idBytes] + revoked[len(prefix)+2*idBytes:],
		"a cut text":        good[:len(good)-1],
		"a longer text":     good + "A",
		"an unknown id":     prefix + strings.Repeat("0", 2*idBytes) + good[len(prefix)+2*idBytes:],
		"an id in capitals": prefix + strings.ToUpper("ab") + good[len(prefix)+2:],
		"a revoked token":   revoked,
		"another prefix":    "xx_" + good[3:],
	}
	for name, text := range tests {
		if _, err := tokens.Authenticate(t.Context(), text); !errors.Is(err, ErrDenied) {
			t.Errorf("%s: %v, want ErrDenied", name, err)
		}
	}
	if _, err := tokens.Authenticate(t.Context(), good); err != nil {
		t.Errorf("the good one: %v", err)
	}
	*now = noon.Add(time.Hour)
	if _, err := tokens.Authenticate(t.Context(), good); !errors.Is(err, ErrDenied) {
		t.Errorf("after it expired: %v, want ErrDenied", err)
	}
}

func TestOnlyAnAdministratorMakesTokens(t *testing.T) {
	tokens, stored, _ := newTokens(new(bytes.Buffer))
	for _, role := range []operator.Role{"", operator.Viewer, operator.Auditor, operator.Operator} {
		c := handlers.Caller{Role: role}
		_, _, err := tokens.Create(t.Context(), c, "x", operator.Viewer, time.Time{})
		if r, ok := domain.Refused(err); !ok || r.Reason != domain.Forbidden {
			t.Errorf("%q makes a token: %v", role, err)
		}
		if r, ok := domain.Refused(tokens.Revoke(t.Context(), c, "x", "y")); !ok || r.Reason != domain.Forbidden {
			t.Errorf("%q revokes a token: %v", role, r)
		}
	}
	if len(stored.m) != 0 {
		t.Errorf("something was stored: %v", stored.m)
	}
}

func TestTheDoorAsksForATokenAndTellsWhoCame(t *testing.T) {
	var logged bytes.Buffer
	tokens, _, _ := newTokens(&logged)
	id, text, _ := tokens.Create(t.Context(), admin, "Ada", operator.Operator, time.Time{})
	web := echo.New()
	web.IPExtractor = handlers.Address(nil)
	web.HTTPErrorHandler = handlers.ErrorHandler(slog.New(slog.NewTextHandler(&logged, nil)))
	who := func(c echo.Context) error {
		caller, _ := handlers.CallerFrom(c.Request().Context())
		return c.String(http.StatusOK, caller.ID+" "+caller.Address)
	}
	web.GET("/bearer", who, tokens.Bearer)
	web.GET("/basic", who, tokens.Basic)
	tests := []struct {
		path, header string
		status       int
	}{
		{"/bearer", "Bearer " + text, 200},
		{"/bearer", "bearer  " + text, 200},
		{"/bearer", "Basic " + text, 401},
		{"/bearer", text, 401},
		{"/bearer", "", 401},
		{"/bearer", "Bearer " + text[:20], 401},
		{"/basic", "Bearer " + text, 200},
		{"/basic", "", 401},
	}
	for _, test := range tests {
		req := httptest.NewRequest(http.MethodGet, test.path, nil)
		req.Header.Set("Authorization", test.header)
		req.Header.Set("X-Forwarded-For", "9.9.9.9")
		rec := httptest.NewRecorder()
		web.ServeHTTP(rec, req)
		if rec.Code != test.status {
			t.Errorf("%s with %q: %d %s, want %d", test.path, test.header, rec.Code, rec.Body, test.status)
		}
		if want := id + " 192.0.2.1"; rec.Code == 200 && rec.Body.String() != want {
			t.Errorf("%s: the caller is %q, want %q", test.path, rec.Body, want)
		}
		if rec.Code == 401 && (rec.Header().Get("WWW-Authenticate") == "" || !strings.Contains(rec.Body.String(), `"code":"unauthorized"`)) {
			t.Errorf("%s: a 401 that helps nobody: %v %s", test.path, rec.Header(), rec.Body)
		}
	}
	req := httptest.NewRequest(http.MethodGet, "/basic", nil)
	req.SetBasicAuth("anybody", text)
	rec := httptest.NewRecorder()
	if web.ServeHTTP(rec, req); rec.Code != 200 {
		t.Errorf("a token as the password: %d %s", rec.Code, rec.Body)
	}
	if strings.Contains(logged.String(), text[len(text)-secretText:]) {
		t.Error("the log of the server holds the secret")
	}
}

func TestAnAddressThatFailsTooOftenIsToldSo(t *testing.T) {
	tokens, _, now := newTokens(new(bytes.Buffer))
	_, text, _ := tokens.Create(t.Context(), admin, "Ada", operator.Viewer, time.Time{})
	web := echo.New()
	web.IPExtractor = handlers.Address(nil)
	web.GET("/", func(c echo.Context) error { return c.NoContent(200) }, tokens.Bearer)
	ask := func(token, forwarded string) int {
		req := httptest.NewRequest(http.MethodGet, "/", nil)
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("X-Forwarded-For", forwarded)
		rec := httptest.NewRecorder()
		web.ServeHTTP(rec, req)
		return rec.Code
	}
	for i := range burst {
		if code := ask("wrong", ""); code != 401 {
			t.Fatalf("failure %d: %d", i, code)
		}
	}
	if code := ask("wrong", "8.8.8.8"); code != 429 {
		t.Errorf("one failure too many, in another's name: %d, want 429", code)
	}
	if code := ask(text, ""); code != 200 {
		t.Errorf("a good token from there: %d, want 200", code)
	}
	*now = now.Add(refill)
	if code := ask("wrong", ""); code != 401 {
		t.Errorf("a while later: %d, want 401", code)
	}
}

func TestFailuresTakeBoundedMemory(t *testing.T) {
	tokens, _, _ := newTokens(new(bytes.Buffer))
	for i := range 3 * maxAddresses {
		tokens.allow(time.Duration(i).String())
	}
	if n := len(tokens.failures); n > maxAddresses {
		t.Errorf("%d addresses are kept, want %d at most", n, maxAddresses)
	}
}
