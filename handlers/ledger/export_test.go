package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/operator"
	"github.com/rollcall-mdm/rollcall/handlers"
	"github.com/rollcall-mdm/rollcall/handlers/ledger"
)

// An exporter writes what it is asked for, until it fails.
type exporter struct {
	fails          error // before the first byte
	breaks         error // after some
	entered, leave chan struct{}
}

func (x *exporter) Export(_ context.Context, q ledger.Question, w io.Writer) error {
	if x.entered != nil {
		x.entered <- struct{}{}
		<-x.leave
	}
	if x.fails != nil {
		return x.fails
	}
	fmt.Fprintf(w, "%+v", q)
	return x.breaks
}

// exports serves the door to a caller with a role.
func exports(t *testing.T, x *exporter, role operator.Role) string {
	t.Helper()
	e := echo.New()
	e.HTTPErrorHandler = handlers.ErrorHandler(slog.New(slog.DiscardHandler))
	known := func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			c.SetRequest(c.Request().WithContext(handlers.WithCaller(c.Request().Context(), handlers.Caller{Name: "Ada", Role: role})))
			return next(c)
		}
	}
	(&ledger.Exports{Exporter: x}).Mount(e.Group("/log/export", known))
	web := httptest.NewServer(e)
	t.Cleanup(web.Close)
	return web.URL + "/log/export"
}

func TestOnlyAuditorsExport(t *testing.T) {
	for _, role := range operator.Roles() {
		status, header, body := get(t, exports(t, &exporter{}, role)+"?device=U1&from=2026-01-31T12:00:00Z&position=7")
		if role.MayAudit() != (status == http.StatusOK) || status != http.StatusOK && status != http.StatusForbidden {
			t.Errorf("%s is answered %d %s", role, status, body)
		}
		if status == http.StatusOK && (header.Get("Content-Type") != "application/zip" ||
			string(body) != "{From:2026-01-31 12:00:00 +0000 UTC To:0001-01-01 00:00:00 +0000 UTC Device:U1 Position:7}") {
			t.Errorf("%s got %v %s", role, header, body)
		}
	}
}

func TestQuestionsThatMakeNoSense(t *testing.T) {
	url := exports(t, &exporter{}, operator.Auditor)
	for _, query := range []string{"?from=yesterday", "?to=1", "?position=0", "?position=-3", "?position=x"} {
		if status, _, body := get(t, url+query); status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", query, status, body)
		}
	}
}

// What fails before the first byte is answered; what fails afterwards cannot be taken for a whole bundle.
func TestExportsThatFail(t *testing.T) {
	if status, _, body := get(t, exports(t, &exporter{fails: domain.Refusef(domain.NotFound, "no such device")}, operator.Auditor)); status != http.StatusNotFound || !strings.Contains(string(body), "no such device") {
		t.Errorf("a refusal: %d %s", status, body)
	}
	resp, err := http.Get(exports(t, &exporter{breaks: errors.New("an event was changed")}, operator.Auditor))
	if err == nil {
		_, err = io.ReadAll(resp.Body)
		_ = resp.Body.Close()
	}
	if err == nil {
		t.Error("a bundle that broke off ended well")
	}
}

func TestOneExportAtATime(t *testing.T) {
	x := &exporter{entered: make(chan struct{}), leave: make(chan struct{})}
	url := exports(t, x, operator.Auditor)
	first := make(chan int)
	go func() {
		resp, err := http.Get(url)
		if err != nil {
			first <- 0
			return
		}
		_ = resp.Body.Close()
		first <- resp.StatusCode
	}()
	<-x.entered
	if status, _, body := get(t, url); status != http.StatusConflict {
		t.Errorf("a second export is answered %d %s", status, body)
	}
	x.leave <- struct{}{}
	if status := <-first; status != http.StatusOK {
		t.Errorf("the first export was answered %d", status)
	}
}
