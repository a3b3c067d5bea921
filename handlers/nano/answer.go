package nano

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/rollcall-mdm/rollcall/handlers"
)

// A note is what we add to NanoMDM's errors: the same in words for programs, and what to do.
type note struct {
	Code    string `json:"code,omitempty"`
	Hint    string `json:"hint,omitempty"`
	Request string `json:"request,omitempty"` // under which the server's log knows it
}

// A result is what became of one id.
type result struct {
	PushError    string `json:"push_error,omitempty"`
	PushResult   string `json:"push_result,omitempty"` // Apple's id of the push, or the request's
	CommandError string `json:"command_error,omitempty"`
	Against      string `json:"catalogue_against,omitempty"` // what the catalogue would have refused; it was ordered all the same
	note
}

func (r result) failed() bool { return r.PushError != "" || r.CommandError != "" }

// An answer is NanoMDM's answer to enqueue and push.
type answer struct {
	Status       map[string]result `json:"status,omitempty"`
	NoPush       bool              `json:"no_push,omitempty"`
	PushError    string            `json:"push_error,omitempty"`
	CommandError string            `json:"command_error,omitempty"`
	CommandUUID  string            `json:"command_uuid,omitempty"`
	RequestType  string            `json:"request_type,omitempty"`
	note
}

// status is 200 if all went well, 207 if it did for some, 500 if it did for none.
func (a answer) status() int {
	failed := 0
	for _, r := range a.Status {
		if r.failed() {
			failed++
		}
	}
	switch failed {
	case 0:
		return http.StatusOK
	case len(a.Status):
		return http.StatusInternalServerError
	}
	return http.StatusMultiStatus
}

// explain returns an error as the caller is told it, and logs it if it is a failure.
func (d *Door) explain(c echo.Context, err error) (string, note) {
	ctx := c.Request().Context()
	if handlers.Status(err) == http.StatusInternalServerError {
		handlers.Failed(ctx, d.log(), err)
	}
	p := handlers.Explain(ctx, err)
	return p.Message, note{p.Code, p.Hint, p.Request}
}

// tell answers as NanoMDM does: indented.
func tell(c echo.Context, status int, what any) error { return c.JSONPretty(status, what, "\t") }
