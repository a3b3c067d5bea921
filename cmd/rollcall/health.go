package main

import (
	"net/http"
	"sync/atomic"

	"github.com/labstack/echo/v4"
)

// maxLag is how many events the views may be behind before the server says that it is not ready.
const maxLag = 1_000_000

// A gate says whether the server takes requests.
type gate struct{ is atomic.Bool }

func (g *gate) open() { g.is.Store(true) }
func (g *gate) shut() { g.is.Store(false) }

// readyz answers 200 if the log can be read and the views are not far behind it, else 503 and why.
func (s *server) readyz(c echo.Context) error {
	if !s.ready.is.Load() {
		return c.String(http.StatusServiceUnavailable, "starting or stopping\n")
	}
	head, err := s.house.log.Head(c.Request().Context())
	if err != nil {
		return c.String(http.StatusServiceUnavailable, "the log cannot be read\n")
	}
	if lag := head - s.views.Position(); lag > maxLag {
		return c.String(http.StatusServiceUnavailable, "the views are far behind the log\n")
	}
	return c.String(http.StatusOK, "ready\n")
}
