package main

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rollcall-mdm/rollcall/eventstore"
)

// maxLag is how many events the views may be behind before the server says that it is not ready.
const maxLag = 1_000_000

// glance is how long whoever watches the server waits for the log.
const glance = 2 * time.Second

// A gate says whether the server takes requests.
type gate struct{ is atomic.Bool }

func (g *gate) open() { g.is.Store(true) }
func (g *gate) shut() { g.is.Store(false) }

// readyz answers 200 if the log can be read and the views can be asked and are not far behind it, else 503 and why.
// Devices are served meanwhile: nothing that they say needs a view.
func (s *server) readyz(c echo.Context) error {
	if !s.ready.is.Load() {
		return c.String(http.StatusServiceUnavailable, "starting or stopping\n")
	}
	if !s.has(coming, api, working) {
		return s.readyWithoutViews(c)
	}
	if _, asked := s.views.Stale(); !asked {
		return c.String(http.StatusServiceUnavailable, "the views are being built for this version of the server\n")
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), glance)
	defer cancel()
	lag, err := s.lag(ctx)
	if err != nil {
		return c.String(http.StatusServiceUnavailable, "the log cannot be read\n")
	}
	if lag > maxLag {
		return c.String(http.StatusServiceUnavailable, "the views are far behind the log\n")
	}
	return c.String(http.StatusOK, "ready\n")
}

// readyWithoutViews answers for a server whose roles need no views.
func (s *server) readyWithoutViews(c echo.Context) error {
	ctx, cancel := context.WithTimeout(c.Request().Context(), glance)
	defer cancel()
	if _, err := s.house.log.Head(ctx); err != nil {
		return c.String(http.StatusServiceUnavailable, "the log cannot be read\n")
	}
	return c.String(http.StatusOK, "ready\n")
}

// lag returns how many events the views are behind the log.
func (s *server) lag(ctx context.Context) (int64, error) {
	head, err := s.house.log.Head(ctx)
	if err != nil {
		return 0, err
	}
	return eventstore.Between(ctx, s.house.log, s.views.Position(), head)
}
