// Package graphql is the door for people who ask: what is, what was, and what is to be done.
//
// Before the library below sees a document it is guarded: counted in one pass over its bytes, parsed, weighed, and
// only then validated and run (scan.go, weigh.go, prepare.go). Fields are made from views; each has its place in
// the table of permissions (permissions.go). The schema's core stands in testdata/core.graphql: names that others
// depend on, and that never change.
package graphql

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"github.com/graphql-go/graphql"
	"github.com/graphql-go/graphql/language/ast"
	"github.com/labstack/echo/v4"

	"github.com/rollcall-mdm/rollcall/domain/operator"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/handlers"
	"github.com/rollcall-mdm/rollcall/projections"
)

// A Door answers GraphQL over HTTP, POST and GET. It expects the caller in the request's context: mount it behind
// the middleware that puts it there.
type Door struct {
	Views        *projections.Views
	Log          eventstore.Log
	Codec        Codec
	Evidence     Evidence
	Orders       *handlers.Orders
	Bulk         *handlers.BulkOrders
	Groups       *handlers.Groups
	Declarations *handlers.Declarations
	Wanted       *handlers.Wants
	Library      *handlers.Library
	Secrets      *handlers.Secrets
	Passwords    *handlers.Passwords
	PushCerts    *handlers.PushCerts
	Invitations  *handlers.Invitations
	Authority    Authority
	Ends         func() []handlers.End          // certificates of files that the server depends on; none if nil
	Link         func(invitation string) string // the address by which an invitation is used
	Letters      *handlers.Letters
	Custody      Custody
	Tokens       Tokens
	Pseudonyms   Pseudonyms

	Now     func() time.Time // time.Now if nil
	Timeout time.Duration    // of one request; 10 s if zero
	AtOnce  int              // requests that run at the same time, others wait; 32 if zero
	Logger  *slog.Logger     // slog.Default() if nil

	Rebuilder    Rebuilder    // nobody if nil
	Attestations Attestations // judge what devices attest of themselves; that is not shown if nil

	once   sync.Once
	failed error
	schema graphql.Schema
	ready  documents
	slots  chan struct{}
}

// Tokens make and take back API tokens.
type Tokens interface {
	Create(ctx context.Context, c handlers.Caller, name string, role operator.Role, expires time.Time) (id, text string, err error)
	Revoke(ctx context.Context, c handlers.Caller, id, reason string) error
}

// Pseudonyms tell by which name the log knows a device or its user.
type Pseudonyms interface {
	Device(id string) string
	Channel(id, user string) string
}

// Mount makes the schema and puts the door at /graphql of the group, behind what must come before it. It may stand in
// several places. It fails only by a slip in the schema.
func (d *Door) Mount(g *echo.Group, before ...echo.MiddlewareFunc) error {
	d.once.Do(func() { d.failed = d.init() })
	if d.failed != nil {
		return fmt.Errorf("make the GraphQL schema: %w", d.failed)
	}
	g.Any("/graphql", d.serve, append(before, handlers.Private, handlers.Limit(maxBody))...)
	return nil
}

func (d *Door) init() (err error) {
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Timeout == 0 {
		d.Timeout = 10 * time.Second
	}
	if d.AtOnce == 0 {
		d.AtOnce = 32
	}
	if d.Logger == nil {
		d.Logger = slog.Default()
	}
	d.slots = make(chan struct{}, d.AtOnce)
	d.schema, err = newSchema()
	d.ready.schema = &d.schema
	return err
}

// An answer is what a client gets. Data is absent, not null, when nothing was run.
type answer struct {
	Data   any     `json:"data,omitempty"`
	Errors []Error `json:"errors,omitempty"`
	status int
	firm   bool // the status holds whatever the media type
}

func (d *Door) serve(c echo.Context) error {
	c.Response().Header().Set("Vary", "Accept, Origin")
	kind := negotiate(c.Request().Header.Get(echo.HeaderAccept))
	if kind == "" {
		return echo.NewHTTPError(http.StatusNotAcceptable, "accept application/json or "+typeResponse)
	}
	if m := c.Request().Method; m != http.MethodPost && m != http.MethodGet {
		c.Response().Header().Set("Allow", "GET, POST")
		return echo.NewHTTPError(http.StatusMethodNotAllowed, "ask by POST, or by GET for queries")
	}
	req, err := decode(c)
	if err != nil {
		return write(c, kind, d.refuse(c.Request().Context(), err))
	}
	return write(c, kind, d.answer(c, req, kind))
}

// answer prepares and runs a request.
func (d *Door) answer(c echo.Context, req request, kind string) answer {
	ctx, cancel := context.WithTimeout(c.Request().Context(), d.Timeout)
	defer cancel()
	doc, err := d.ready.prepare(req.Query, req.Variables)
	if err != nil {
		return d.refuse(ctx, err).as(kind)
	}
	op := operation(doc, req.OperationName)
	switch {
	case op != nil && op.Operation == ast.OperationTypeSubscription:
		return d.refuse(ctx, bad("subscriptions are not served here"))
	case op != nil && op.Operation == ast.OperationTypeMutation && c.Request().Method == http.MethodGet:
		c.Response().Header().Set("Allow", "POST")
		return d.refuse(ctx, echo.NewHTTPError(http.StatusMethodNotAllowed, "a mutation goes by POST"))
	}
	d.freshen(ctx, c)
	select {
	case d.slots <- struct{}{}:
		defer func() { <-d.slots }()
	case <-ctx.Done():
		return d.refuse(ctx, ctx.Err())
	}
	return d.run(ctx, req, doc).as(kind)
}

// run executes a prepared document. The library would leave resolvers running behind its back when a context
// ends; so it gets one that does not, and resolvers, who wait for nothing but stores, obey the real one.
func (d *Door) run(ctx context.Context, req request, doc *ast.Document) answer {
	r := newRun(ctx, d)
	result := graphql.Execute(graphql.ExecuteParams{
		Schema: d.schema, AST: doc, OperationName: req.OperationName, Args: req.Variables,
		Context: context.WithValue(context.WithoutCancel(ctx), runKey{}, r),
	})
	a := answer{Data: result.Data, status: http.StatusOK}
	a.Errors = teller{ctx, d.Logger, req.Query}.tell(result.Errors)
	if result.Data != nil || len(a.Errors) == 0 {
		return a
	}
	if len(a.Errors[0].Path) == 0 {
		a.status = http.StatusBadRequest // variables that do not fit, an operation that is not there
		return a
	}
	a.Data = json.RawMessage("null")
	return a
}

// refuse tells why nothing was run.
func (d *Door) refuse(ctx context.Context, err error) answer {
	switch e := err.(type) {
	case *invalid:
		return answer{Errors: e.errors, status: http.StatusBadRequest}
	case *limit:
		return answer{Errors: []Error{{Message: e.message, Extensions: extensions("limit", e.hint)}}, status: e.status, firm: true}
	}
	message, told := teller{ctx: ctx, log: d.Logger}.explain(err, false)
	return answer{Errors: []Error{{Message: message, Extensions: told}}, status: handlers.Status(err), firm: true}
}

// as fits the status to the media type: application/json tells by 200 that the server understood the request,
// even if the document was wrong.
func (a answer) as(kind string) answer {
	if !a.firm && kind == typeJSON {
		a.status = http.StatusOK
	}
	return a
}

func write(c echo.Context, kind string, a answer) error {
	h := c.Response().Header()
	h.Set(echo.HeaderContentType, kind+"; charset=utf-8")
	c.Response().WriteHeader(a.status)
	e := json.NewEncoder(c.Response())
	e.SetEscapeHTML(false)
	if err := e.Encode(a); err != nil && !errors.Is(err, http.ErrHandlerTimeout) {
		return fmt.Errorf("write a GraphQL answer: %w", err)
	}
	return nil
}

// guarded runs a resolver. A panic becomes a failure that carries its stack to the log, and nowhere else.
func guarded(f func() (any, error)) (v any, err error) {
	defer func() {
		if p := recover(); p != nil {
			v, err = nil, fmt.Errorf("a resolver panicked: %v\n%s", p, debug.Stack())
		}
	}()
	return f()
}
