package auth

import (
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rollcall-mdm/rollcall/handlers"
)

// Bearer lets in who brings a token as "Authorization: Bearer", and tells the handlers after it who that is.
func (t *Tokens) Bearer(next echo.HandlerFunc) echo.HandlerFunc {
	return t.admit(next, `Bearer realm="rollcall"`, bearer)
}

// Basic lets in who brings a token as the password of any user, or as Bearer does: the way of tools that were
// written for NanoMDM.
func (t *Tokens) Basic(next echo.HandlerFunc) echo.HandlerFunc {
	return t.admit(next, `Basic realm="rollcall", charset="UTF-8"`, func(r *http.Request) string {
		if _, password, ok := r.BasicAuth(); ok {
			return password
		}
		return bearer(r)
	})
}

func bearer(r *http.Request) string {
	scheme, text, _ := strings.Cut(r.Header.Get(echo.HeaderAuthorization), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(text)
}

func (t *Tokens) admit(next echo.HandlerFunc, challenge string, token func(*http.Request) string) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		text := token(r)
		caller, err := t.Authenticate(r.Context(), text)
		if errors.Is(err, ErrDenied) {
			return t.deny(c, challenge, text)
		}
		if err != nil {
			return err
		}
		caller.Address = c.RealIP()
		c.SetRequest(r.WithContext(handlers.WithCaller(r.Context(), caller)))
		return next(c)
	}
}

// Only lets in those callers alone whom check does not refuse, e.g. handlers.Caller.Change.
func Only(check func(handlers.Caller) error) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			caller, _ := handlers.CallerFrom(c.Request().Context())
			if err := check(caller); err != nil {
				return err
			}
			return next(c)
		}
	}
}

// deny answers 401, and 429 to an address that fails too often. A good token is let in from there all the same:
// a program with a stale token does not lock out its neighbours.
func (t *Tokens) deny(c echo.Context, challenge, text string) error {
	if !t.allow(c.RealIP()) {
		c.Response().Header().Set("Retry-After", strconv.Itoa(int(refill/time.Second)))
		return echo.NewHTTPError(http.StatusTooManyRequests, "too many wrong tokens came from this address")
	}
	id, _ := idOf(text)
	t.logger().WarnContext(c.Request().Context(), "a caller was denied", "address", c.RealIP(), "token", id)
	c.Response().Header().Set(echo.HeaderWWWAuthenticate, challenge)
	return echo.NewHTTPError(http.StatusUnauthorized, ErrDenied.Error()+"; an administrator can make one")
}

func (t *Tokens) logger() *slog.Logger {
	if t.Logger == nil {
		return slog.Default()
	}
	return t.Logger
}

// How often one address may fail: burst times at once, then once every refill.
const (
	burst        = 20
	refill       = 3 * time.Second
	maxAddresses = 10_000
)

// A bucket says when an address had how many failures left.
type bucket struct {
	left int
	at   time.Time
}

// allow counts one failure of the address, and reports whether it may still be answered at length. When too many
// addresses fail, all are forgiven: the memory that a stranger can take is bounded.
func (t *Tokens) allow(address string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	b, known := t.failures[address]
	if !known {
		if t.failures == nil || len(t.failures) >= maxAddresses {
			t.failures = map[string]bucket{}
		}
		b = bucket{burst, now}
	}
	if back := int(now.Sub(b.at) / refill); back > 0 {
		b.left, b.at = min(b.left+back, burst), now
	}
	if b.left == 0 {
		return false
	}
	b.left--
	t.failures[address] = b
	return true
}
