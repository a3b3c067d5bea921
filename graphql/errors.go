package graphql

import (
	"context"
	"log/slog"
	"strings"

	"github.com/graphql-go/graphql/gqlerrors"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/handlers"
)

// What an answer says about errors at most.
const (
	maxErrors  = 20
	maxMessage = 500 // bytes
)

// An Error is an error as GraphQL tells it. Its extensions hold a stable code, a hint if there is one, and for a
// failure the request's id, under which the server's log knows more.
type Error struct {
	Message    string         `json:"message"`
	Locations  []Location     `json:"locations,omitempty"`
	Path       []any          `json:"path,omitempty"`
	Extensions map[string]any `json:"extensions"`
}

// A Location is a place in the document. Both count from 1.
type Location struct {
	Line   int `json:"line"`
	Column int `json:"column"`
}

func extensions(code, hint string) map[string]any {
	e := map[string]any{"code": code}
	if hint != "" {
		e["hint"] = hint
	}
	return e
}

// located tells an error in the document with its places.
func located(e *gqlerrors.Error, text, code string) Error {
	message, _, _ := strings.Cut(e.Message, "\n") // what follows quotes the document
	out := Error{Message: shorten(message), Extensions: extensions(code, advice(message))}
	for _, at := range e.Positions[:min(len(e.Positions), 4)] {
		out.Locations = append(out.Locations, place(text, at))
	}
	return out
}

// advice is what can be done about an error that the library found, if its words tell little.
func advice(message string) string {
	if strings.Contains(message, "invalid value") {
		return "a Time is written as 2026-02-03T14:00:00Z, an enum without quotes; long or nested JSON goes into variables"
	}
	return ""
}

func place(text string, at int) Location {
	before := text[:min(max(at, 0), len(text))]
	line := strings.Count(before, "\n") + strings.Count(before, "\r") - strings.Count(before, "\r\n")
	return Location{Line: line + 1, Column: len(before) - strings.LastIndexAny(before, "\r\n")}
}

func shorten(message string) string {
	if len(message) > maxMessage {
		return strings.ToValidUTF8(message[:maxMessage], "") + "…"
	}
	return message
}

// A teller tells what went wrong while a request ran. A refusal is told as it stands; a failure is logged once
// and masked, for its text may hold anything.
type teller struct {
	ctx  context.Context
	log  *slog.Logger
	text string // the document
}

func (t teller) tell(errs []gqlerrors.FormattedError) []Error {
	var out []Error
	for _, e := range errs[:min(len(errs), maxErrors)] {
		out = append(out, t.one(e))
	}
	return out
}

func (t teller) one(e gqlerrors.FormattedError) Error {
	cause := innermost(e)
	if full, ok := cause.(*gqlerrors.Error); ok && len(e.Path) == 0 { // of the request: variables, operation name
		told := located(full, t.text, "validation")
		told.Message = shorten(withoutValue(full.Message))
		return told
	}
	out := Error{Path: e.Path}
	if full, ok := e.OriginalError().(*gqlerrors.Error); ok {
		out.Locations = located(full, t.text, "").Locations
	}
	out.Message, out.Extensions = t.explain(cause, len(e.Path) == 0)
	return out
}

// explain returns the message and the extensions for the cause of an error.
func (t teller) explain(cause error, ofRequest bool) (string, map[string]any) {
	if l, ok := cause.(*limit); ok {
		return l.message, extensions("limit", l.hint)
	}
	if _, refused := domain.Refused(cause); !refused && ofRequest && cause != nil && handlers.Status(cause) == 500 {
		return shorten(cause.Error()), extensions("validation", "") // the executor itself speaks
	}
	p := handlers.Explain(t.ctx, cause)
	told := extensions(p.Code, p.Hint)
	if p.Code == "internal" {
		handlers.Failed(t.ctx, t.log, cause)
		told["request"] = p.Request
	}
	return p.Message, told
}

// innermost unwraps the library's errors down to what a resolver returned, or to the library's own innermost error.
func innermost(err error) error {
	for {
		var inner error
		switch e := err.(type) {
		case gqlerrors.FormattedError:
			inner = e.OriginalError()
		case *gqlerrors.Error:
			inner = e.OriginalError
		}
		if inner == nil {
			return err
		}
		err = inner
	}
}

// withoutValue cuts the caller's own value, which may be long or secret, out of what is wrong with a variable.
func withoutValue(message string) string {
	head, rest, found := strings.Cut(message, " got invalid value ")
	if !found {
		return message
	}
	_, why, _ := strings.Cut(rest, "\n")
	return head + " got an invalid value: " + why
}
