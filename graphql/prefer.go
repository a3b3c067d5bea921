package graphql

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
)

// patience returns how long the client would rather wait than be told what is out of date: the preference wait, in
// seconds (RFC 7240 section 4.3), or zero.
func patience(h http.Header) time.Duration {
	for _, line := range h.Values("Prefer") {
		for preference := range strings.SplitSeq(line, ",") {
			name, value, _ := strings.Cut(strings.SplitN(preference, ";", 2)[0], "=")
			if !strings.EqualFold(strings.TrimSpace(name), "wait") {
				continue
			}
			seconds, err := strconv.ParseUint(strings.Trim(strings.TrimSpace(value), `"`), 10, 16)
			if err != nil {
				continue
			}
			return time.Duration(seconds) * time.Second // the first one holds
		}
	}
	return 0
}

// freshen waits, if the client asks for it, until the views show all that the log had when the request came. If they do
// not get there in time, or the log cannot say how far it is, the client is told what there is, without the header
// that says that its preference was applied.
func (d *Door) freshen(ctx context.Context, c echo.Context) {
	wait := patience(c.Request().Header)
	if wait == 0 {
		return
	}
	waiting, cancel := context.WithTimeout(ctx, min(wait, d.Timeout/2)) // the rest is for the answer
	defer cancel()
	head, err := d.Log.Head(waiting)
	if err == nil {
		err = d.Views.Wait(waiting, head)
	}
	if err == nil {
		c.Response().Header().Set("Preference-Applied", "wait="+strconv.Itoa(int(wait/time.Second)))
	}
}
