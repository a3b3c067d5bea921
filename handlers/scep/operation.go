package scep

import (
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"
	"github.com/smallstep/scep"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/handlers"
)

// maxMessage is the longest message that is read, in bytes. One with a key of 8,192 bits has some 10,000.
const maxMessage = 64 << 10

// A refusal is what a client is told by SCEP's own means.
type refusal struct {
	info scep.FailInfo
	word string // as metrics know it
	err  error  // for the server's log
}

func (r *refusal) Error() string { return r.err.Error() }

func refuse(info scep.FailInfo, word, format string, args ...any) error {
	return &refusal{info, word, fmt.Errorf(format, args...)}
}

// operate takes a message and answers it.
func (d *Door) operate(c echo.Context) error {
	answer, err := d.answer(c)
	d.Observe("PKIOperation", outcome(err))
	if err != nil && d.told.Allow() {
		d.Log.WarnContext(c.Request().Context(), "a request for a certificate was refused", "why", outcome(err), "text", err, "address", c.RealIP())
	}
	if answer != nil {
		return c.Blob(http.StatusOK, messageType, answer)
	}
	switch r, refused := errors.AsType[*refusal](err); {
	case refused:
		return echo.NewHTTPError(http.StatusBadRequest, r.Error())
	case handlers.Status(err) == http.StatusInternalServerError || handlers.Status(err) == http.StatusServiceUnavailable:
		c.Response().Header().Set("Retry-After", "30")
		return echo.NewHTTPError(http.StatusServiceUnavailable, "no certificate can be issued now: try again")
	}
	return err
}

// answer returns the answer to the request; with it the reason if that is a refusal. Without an answer none could be made.
func (d *Door) answer(c echo.Context) ([]byte, error) {
	raw, err := body(c.Request())
	if err != nil {
		return nil, err
	}
	select {
	case d.places <- struct{}{}:
		defer func() { <-d.places }()
	case <-c.Request().Context().Done():
		return nil, c.Request().Context().Err()
	}
	m, err := read(raw)
	if m == nil {
		return nil, err
	}
	roots := d.roots()
	if len(roots) == 0 {
		return nil, domain.Refusef(domain.Conflict, "this server has no root for SCEP")
	}
	root := roots[0]
	var certificate *x509.Certificate
	if err == nil {
		root, certificate, err = d.certify(c, m, roots)
	}
	if err == nil {
		answer, err := m.success(root, certificate)
		return answer, err
	}
	if r, refused := errors.AsType[*refusal](err); refused {
		answer, failed := m.failure(root, r.info)
		return answer, errors.Join(failed, r)
	}
	return nil, err
}

// body returns the message: the body of a POST, or in the query of a GET.
func body(r *http.Request) ([]byte, error) {
	if r.Method == http.MethodPost {
		raw, err := io.ReadAll(io.LimitReader(r.Body, maxMessage+1))
		switch {
		case err != nil:
			return nil, refuse(scep.BadRequest, "malformed", "the message broke off")
		case len(raw) > maxMessage:
			return nil, refuse(scep.BadRequest, "malformed", "the message is longer than %d bytes", maxMessage)
		}
		return raw, nil
	}
	text := strings.NewReplacer(" ", "+", "-", "+", "_", "/", "\r", "", "\n", "").Replace(r.URL.Query().Get("message"))
	raw, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "="))
	if err != nil || len(raw) == 0 {
		return nil, refuse(scep.BadRequest, "malformed", "the message is not base64")
	}
	return raw, nil
}

// certify decides whether the message gets a certificate, and returns it with the root to answer with.
func (d *Door) certify(c echo.Context, m *message, roots []handlers.Root) (handlers.Root, *x509.Certificate, error) {
	root := roots[0]
	if err := m.check(); err != nil {
		return root, nil, err
	}
	ctx := c.Request().Context()
	var grant handlers.Grant
	var err error
	if m.kind == scep.RenewalReq { // nothing is decrypted for somebody who may not renew
		if m.old && !d.Legacy {
			return root, nil, errOld()
		}
		if _, err = d.Authority.Renewal(ctx, m.signer, ""); err != nil {
			return root, nil, told(err, scep.BadCertID, "bad-renewal")
		}
	}
	for _, r := range roots {
		if err = m.open(r); err == nil {
			root = r
			break
		}
	}
	if err != nil {
		return root, nil, err
	}
	if m.kind == scep.RenewalReq {
		if grant, err = d.Authority.Renewal(ctx, m.signer, m.csr.Subject.CommonName); err != nil {
			return root, nil, told(err, scep.BadCertID, "bad-renewal")
		}
	} else if grant, err = d.challenge(c, m); err != nil {
		return root, nil, err
	} else if m.old && !d.Legacy && !grant.Lenient {
		return root, nil, errOld()
	}
	meta := eventstore.Meta{Actor: eventstore.Actor{Kind: eventstore.ByDevice, ID: grant.Device, Address: c.RealIP()}, Correlation: handlers.RequestFrom(ctx)}
	certificate, err := d.Authority.Issue(ctx, m.csr.PublicKey, grant, meta)
	return root, certificate, told(err, scep.BadRequest, "bad-challenge")
}

// challenge returns what the challenge in the request grants.
func (d *Door) challenge(c echo.Context, m *message) (handlers.Grant, error) {
	if err := handlers.CheckKey(m.csr.PublicKey); err != nil {
		return handlers.Grant{}, told(err, scep.BadAlg, "bad-key")
	}
	key, err := handlers.PublicKeyID(m.csr.PublicKey)
	if err != nil {
		return handlers.Grant{}, told(err, scep.BadAlg, "bad-key")
	}
	asked := handlers.Asked{PublicKey: key, Name: m.csr.Subject.CommonName, Address: c.RealIP()}
	grant, err := d.Challenges.Check(c.Request().Context(), m.challenge, asked)
	if _, refused := domain.Refused(err); err != nil && !refused { // a webhook that does not answer lets nobody in
		return grant, &refusal{scep.BadRequest, "bad-challenge", err}
	}
	return grant, told(err, scep.BadRequest, "bad-challenge")
}

// told makes a refusal of the domain one of SCEP. A key that is no good is always said to be one; but for that and for a root
// that is missing, clients learn nothing of why.
func told(err error, info scep.FailInfo, word string) error {
	r, ok := domain.Refused(err)
	switch {
	case !ok || r.Reason == domain.Conflict:
		return err
	case r.Reason == domain.Invalid:
		info, word = scep.BadAlg, "bad-key"
	}
	return &refusal{info, word, err}
}
