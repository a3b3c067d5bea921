package handlers

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"

	"github.com/labstack/echo/v4"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// Identify gives each request an id and tells it to the client as X-Request-Id. What a client sends under that
// name is not believed: nobody else chooses what our log says.
func Identify(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		id := eventstore.NewUUID()
		c.Response().Header().Set(echo.HeaderXRequestID, id.String())
		c.SetRequest(c.Request().WithContext(WithRequest(c.Request().Context(), id)))
		return next(c)
	}
}

// Recover turns a panic into a failure, so that one request cannot end the others. The stack goes to the log with it.
func Recover(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			if p := recover(); p != nil {
				if p == http.ErrAbortHandler {
					panic(p)
				}
				err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
			}
		}()
		return next(c)
	}
}

// Limit refuses bodies of more than max bytes with 413, before they are read where they tell their length.
func Limit(max int64) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			req := c.Request()
			if req.ContentLength > max {
				return echo.NewHTTPError(http.StatusRequestEntityTooLarge, fmt.Sprintf("the body may have %d bytes at most", max))
			}
			req.Body = http.MaxBytesReader(c.Response(), req.Body, max)
			return next(c)
		}
	}
}

// Private keeps answers of people's doors out of caches, frames and guesses at their type.
func Private(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		h := c.Response().Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		return next(c)
	}
}

// Address returns how a server learns its clients' addresses: from the connection, or, where that comes from one
// of the proxies, from the last X-Forwarded-For that no proxy wrote. Nobody else's word is taken.
func Address(proxies []netip.Prefix) echo.IPExtractor {
	if len(proxies) == 0 {
		return echo.ExtractIPDirect()
	}
	trust := []echo.TrustOption{echo.TrustLoopback(false), echo.TrustLinkLocal(false), echo.TrustPrivateNet(false)}
	for _, p := range proxies {
		p = p.Masked()
		trust = append(trust, echo.TrustIPRange(&net.IPNet{
			IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen()),
		}))
	}
	return echo.ExtractIPFromXFFHeader(trust...)
}
