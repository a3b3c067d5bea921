//lint:file-ignore SA1019 http2.Transport speaks HTTP/2 or nothing, and one connection for all pushes; http.Transport would fall back to HTTP/1.1.

package push

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http2"
)

// maxAnswer is the most of an answer that is read, in bytes.
const maxAnswer = 4 << 10

// maxRetryAfter is the longest that Apple may ask us to wait.
const maxRetryAfter = time.Hour

// heardKey finds the Answer that a listener fills in a request's context.
type heardKey struct{}

// A listener hears what the client library drops: Retry-After, the milliseconds of a timestamp, and the status of
// an answer that is not JSON. It reads a bounded part of the body, and hands none on.
type listener struct{ *http2.Transport }

// RoundTrip fulfils http.RoundTripper.
func (l *listener) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := l.Transport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil && response.StatusCode == http.StatusOK {
		body = nil // accepted is accepted
	}
	if heard, ok := r.Context().Value(heardKey{}).(*Answer); ok {
		*heard = hear(response.StatusCode, response.Header, body)
	}
	response.Body = http.NoBody
	return response, nil
}

// hear reads an answer.
func hear(status int, header http.Header, body []byte) Answer {
	a := Answer{Status: status, ID: clip(header.Get("apns-id"), 64), RetryAfter: retryAfter(header.Get("Retry-After"), time.Now())}
	var told struct {
		Reason    string      `json:"reason"`
		Timestamp json.Number `json:"timestamp"`
	}
	if status == http.StatusOK || json.Unmarshal(body, &told) != nil {
		return a
	}
	a.Reason = clip(told.Reason, 64)
	if ms, err := told.Timestamp.Int64(); err == nil && ms > 0 {
		a.DeadSince = time.UnixMilli(ms).UTC()
	}
	return a
}

// clip returns s without what does not belong in a log, at most n bytes of it.
func clip(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, s)
	return s[:min(n, len(s))]
}

// retryAfter reads the header of that name: seconds, or a date.
func retryAfter(text string, now time.Time) time.Duration {
	seconds, err := strconv.ParseInt(text, 10, 32)
	wait := time.Duration(seconds) * time.Second
	if err != nil {
		date, err := http.ParseTime(text)
		if err != nil {
			return 0
		}
		wait = date.Sub(now)
	}
	return min(max(wait, 0), maxRetryAfter)
}

// A Trouble is what keeps a whole topic from being pushed until somebody does something about it.
type Trouble struct {
	Reason string // fit for the log: holds no secret
	err    error
}

// Error fulfils error.
func (t *Trouble) Error() string { return t.Reason }

// Unwrap returns the cause.
func (t *Trouble) Unwrap() error { return t.err }

// withoutToken returns err without the address that was asked for, for it holds the device's token. A handshake
// that failed is a Trouble.
func withoutToken(err error) error {
	reason := handshake(err)
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	if reason != "" {
		return &Trouble{Reason: reason, err: err}
	}
	return fmt.Errorf("push: %w", err)
}

// handshake says what went wrong when the two sides introduced themselves; nothing if that was not it.
func handshake(err error) string {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "APNs showed a certificate that we do not trust"
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "APNs showed a certificate that we do not trust"
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "remote error" {
		return "APNs refused the push certificate: " + clip(op.Err.Error(), 64)
	}
	return ""
}
