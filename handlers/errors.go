package handlers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/projections"
)

// A Problem is an error as the caller is told it. It holds no secret, and nothing about a failure but its kind.
type Problem struct {
	Code    string `json:"code"` // stable, fit for programs
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`    // what the caller can do next
	Request string `json:"request,omitempty"` // under which the server's log knows it
}

var statuses = map[domain.Reason]int{
	domain.Invalid:   http.StatusBadRequest,
	domain.Conflict:  http.StatusConflict,
	domain.Forbidden: http.StatusForbidden,
	domain.NotFound:  http.StatusNotFound,
	domain.Unmanaged: http.StatusBadRequest,
}

// Status returns the HTTP status with which err is told: a refusal by its reason, echo's errors by their code, a
// server that is overtaxed or going down 503, all else 500.
func Status(err error) int {
	if r, ok := domain.Refused(err); ok {
		return statuses[r.Reason]
	}
	if h, ok := errors.AsType[*echo.HTTPError](err); ok {
		return h.Code
	}
	if h, ok := errors.AsType[*http.MaxBytesError](err); ok && h != nil {
		return http.StatusRequestEntityTooLarge
	}
	if passing(err) {
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// passing reports whether the same request may well succeed in a moment.
func passing(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) ||
		errors.Is(err, eventstore.ErrUnavailable) || errors.Is(err, eventstore.ErrConflict) || errors.Is(err, eventstore.ErrClosed) || errors.Is(err, projections.ErrBuilding)
}

// Explain returns err as its caller is told it. Failures are masked: their text may hold anything.
func Explain(ctx context.Context, err error) Problem {
	p := Problem{Request: RequestFrom(ctx).String()}
	if r, ok := domain.Refused(err); ok {
		p.Code, p.Message, p.Hint = r.Reason.String(), r.Text, r.Hint
		return p
	}
	status := Status(err)
	p.Code = strings.ReplaceAll(strings.ToLower(http.StatusText(status)), " ", "-")
	p.Message = http.StatusText(status)
	switch {
	case errors.Is(err, projections.ErrBuilding):
		p.Code, p.Message, p.Hint = "unavailable", "the views are being built for this version of the server", "views { rebuilding rebuilt } tells how far that has come"
	case passing(err):
		p.Code, p.Message, p.Hint = "unavailable", "the server could not finish in time", "try again in a moment"
	case status >= http.StatusInternalServerError:
		p.Code, p.Message = "internal", "something went wrong in the server"
		p.Hint = "the server's log knows more, under this request's id"
	case errors.Is(err, echo.ErrNotFound):
		p.Message = "there is nothing at this address"
	default:
		if h, ok := errors.AsType[*echo.HTTPError](err); ok {
			p.Message = fmt.Sprint(h.Message)
		}
	}
	p.Hint = cmp.Or(p.Hint, hints[status])
	return p
}

// hints are what can be done about errors that are of a kind.
var hints = map[int]string{
	http.StatusUnauthorized: "send an API token: as Authorization: Bearer TOKEN to /graphql, as the password of any user to /v1; the first one is in DATA/admin-token",
	http.StatusNotFound:     "people ask at /graphql and /v1, devices at /mdm; docs/api.md tells what is where",
}

// ErrorHandler tells errors to people's programs as JSON: {"error":{"code","message","hint","request"}}. Failures
// are logged here, once; refusals are answers, and are not.
func ErrorHandler(log *slog.Logger) func(error, echo.Context) {
	return func(err error, c echo.Context) {
		status := Status(err)
		if status == http.StatusInternalServerError {
			Failed(c.Request().Context(), log, err)
		}
		if c.Response().Committed {
			return
		}
		if c.Request().Method == http.MethodHead {
			_ = c.NoContent(status)
			return
		}
		_ = c.JSON(status, map[string]Problem{"error": Explain(c.Request().Context(), err)}) // the client may be gone
	}
}

// Failed logs a failure under its request's id.
func Failed(ctx context.Context, log *slog.Logger, err error) {
	log.ErrorContext(ctx, "a request failed", "request", RequestFrom(ctx).String(), "error", err)
}
