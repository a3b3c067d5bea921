package acme

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/handlers"
)

// The types of problems. Source: RFC 8555, 6.7; draft-ietf-acme-device-attest.
const (
	malformed       = "malformed"
	badNonce        = "badNonce"
	badAlgorithm    = "badSignatureAlgorithm"
	badKey          = "badPublicKey"
	badCSR          = "badCSR"
	badAttestation  = "badAttestationStatement"
	badReason       = "badRevocationReason"
	alreadyRevoked  = "alreadyRevoked"
	noAccount       = "accountDoesNotExist"
	notReady        = "orderNotReady"
	rejected        = "rejectedIdentifier"
	unsupported     = "unsupportedIdentifier"
	unauthorized    = "unauthorized"
	internal        = "serverInternal"
	typePrefix      = "urn:ietf:params:acme:error:"
	problemType     = "application/problem+json"
	requestType     = "application/jose+json"
	chainType       = "application/pem-certificate-chain"
	retryAfter      = "30" // seconds
	tryAgain        = "the server could not finish: try again"
	identifierType  = "permanent-identifier"
	attestationType = "device-attest-01"
)

// A problem is what a client is told. Source: RFC 7807.
type problem struct {
	Type       string   `json:"type"`
	Detail     string   `json:"detail"`
	Status     int      `json:"status"`
	Algorithms []string `json:"algorithms,omitempty"`
	word       string   // as metrics know it
}

func (p *problem) Error() string { return p.word + ": " + p.Detail }

func wrong(word string, status int, format string, args ...any) error {
	return &problem{Type: typePrefix + word, Detail: fmt.Sprintf(format, args...), Status: status, word: word}
}

func errMalformed(format string, args ...any) error {
	return wrong(malformed, http.StatusBadRequest, format, args...)
}

// told makes a refusal of the domain a problem of this type, and one of a key badPublicKey; a failure stays one.
func told(err error, word string, status int) error {
	r, refused := domain.Refused(err)
	switch {
	case !refused || r.Reason == domain.Conflict:
		return err
	case r.Reason == domain.Invalid && word != badAttestation:
		word, status = badKey, http.StatusBadRequest
	}
	return wrong(word, status, "%s", sentence(r))
}

func sentence(r *domain.Refusal) string {
	if r.Hint == "" {
		return r.Text
	}
	return r.Text + ": " + r.Hint
}

// explain returns an error as its client is told it. What is none of his doing is told as the server's.
func explain(ctx context.Context, err error) *problem {
	if p, is := errors.AsType[*problem](err); is {
		return p
	}
	status, text := handlers.Status(err), tryAgain
	if r, refused := domain.Refused(err); refused {
		status, text = http.StatusServiceUnavailable, sentence(r) // a root that is missing
	}
	if status == http.StatusInternalServerError {
		text = "something went wrong in the server: its log knows more, under " + handlers.RequestFrom(ctx).String()
	}
	return &problem{Type: typePrefix + internal, Detail: text, Status: cmp.Or(status, http.StatusInternalServerError), word: internal}
}

// refuse answers with a problem.
func (d *Door) refuse(c echo.Context, err error) error {
	p := explain(c.Request().Context(), err)
	if p.Status >= http.StatusInternalServerError {
		c.Response().Header().Set("Retry-After", retryAfter)
	}
	c.Response().Header().Set(echo.HeaderContentType, problemType)
	return c.JSON(p.Status, p)
}
