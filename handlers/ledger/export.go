package ledger

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/handlers"
)

// A Question says which events a bundle is to hold. The zero value is all.
type Question struct {
	From, To time.Time // events at From or later, and before To
	Device   string    // UDID or EnrollmentID, or the device's name in the log
	Position int64     // as if the log ended there; its end if 0
}

// An Exporter writes bundles as ZIP files. What it refuses it refuses before it writes.
type Exporter interface {
	Export(ctx context.Context, q Question, w io.Writer) error
}

// An Exports is the door at which auditors fetch bundles:
//
//	GET /log/export?from=&to=&device=&position=    a bundle, as a ZIP file
//
// Times are RFC 3339. Its caller must be known, and an auditor.
type Exports struct {
	Exporter Exporter

	mu sync.Mutex // one at a time: each reads the whole log
}

// Mount serves the route at the group's own path, /log/export. The group lets nobody in without a token.
func (x *Exports) Mount(at *echo.Group) { at.GET("", x.export) }

func (x *Exports) export(c echo.Context) error {
	caller, _ := handlers.CallerFrom(c.Request().Context())
	if err := caller.Audit(); err != nil {
		return err
	}
	q, err := question(c)
	if err != nil {
		return err
	}
	if !x.mu.TryLock() {
		return domain.WithHint(domain.Refusef(domain.Conflict, "another bundle is being exported"), "ask again when it is done")
	}
	defer x.mu.Unlock()
	out := &download{response: c.Response()}
	_ = http.NewResponseController(out.response).SetWriteDeadline(time.Time{}) // a large log takes longer than any answer should
	if err := x.Exporter.Export(c.Request().Context(), q, out); err != nil {
		if !out.begun {
			return err
		}
		return errors.Join(fmt.Errorf("export a bundle: %w", err), out.breakOff())
	}
	return nil
}

// A download begins with its first byte: until then a refusal can be answered.
type download struct {
	response *echo.Response
	begun    bool
}

func (d *download) Write(p []byte) (int, error) {
	if !d.begun {
		d.begun = true
		h := d.response.Header()
		h.Set(echo.HeaderContentType, "application/zip")
		h.Set(echo.HeaderContentDisposition, `attachment; filename="bundle.zip"`)
		d.response.WriteHeader(http.StatusOK)
	}
	return d.response.Write(p)
}

// breakOff makes sure that nobody takes what was sent for whole.
func (d *download) breakOff() error {
	conn, _, err := http.NewResponseController(d.response).Hijack()
	if err != nil {
		return nil // HTTP/2 cannot; the file lacks its end anyway
	}
	return conn.Close()
}

func question(c echo.Context) (q Question, err error) {
	q.Device = c.QueryParam("device")
	for name, at := range map[string]*time.Time{"from": &q.From, "to": &q.To} {
		if text := c.QueryParam(name); text != "" {
			if *at, err = time.Parse(time.RFC3339Nano, text); err != nil {
				return q, domain.Refusef(domain.Invalid, "%s is no time: want one like 2026-01-31T12:00:00Z", name)
			}
		}
	}
	if text := c.QueryParam("position"); text != "" {
		if q.Position, err = strconv.ParseInt(strings.TrimSpace(text), 10, 64); err != nil || q.Position < 1 {
			return q, domain.Refusef(domain.Invalid, "a position is a number from 1 on")
		}
	}
	return q, nil
}
