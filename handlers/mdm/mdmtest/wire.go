package mdmtest

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

// A Request is a message on its way to a server.
type Request struct {
	Method      string // PUT if empty
	URL         string
	ContentType string
	Header      [2]string // one more header, name and value, if the name is not empty
	Body        []byte    // not kept after Send has returned
}

// An Answer is what a server said. Body is good until the next Send by the same device.
type Answer struct {
	Status      int
	ContentType string
	Body        []byte
}

// A Wire carries one message to a server and brings back its answer. It is safe for many devices at once.
type Wire interface {
	Send(ctx context.Context, r Request) (Answer, error)
}

// maxAnswer is the most that a device reads of an answer, in bytes.
const maxAnswer = 32 << 20

// patience is how long a device waits for an answer when its context sets no limit.
const patience = 60 * time.Second

// A Roundabout is a Wire over any http.RoundTripper: through proxies, to a handler in the same process, with faults.
type Roundabout struct {
	RoundTripper http.RoundTripper // http.DefaultTransport if nil
}

// Send carries the message and reads the whole answer.
func (w Roundabout) Send(ctx context.Context, r Request) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, cmp.Or(r.Method, http.MethodPut), r.URL, bytes.NewReader(r.Body))
	if err != nil {
		return Answer{}, fmt.Errorf("make a request to %s: %w", r.URL, err)
	}
	req.Header.Set("Content-Type", r.ContentType)
	req.Header.Set("User-Agent", agent)
	if r.Header[0] != "" {
		req.Header.Set(r.Header[0], r.Header[1])
	}
	trip := w.RoundTripper
	if trip == nil {
		trip = http.DefaultTransport
	}
	resp, err := trip.RoundTrip(req)
	if err != nil {
		return Answer{}, fmt.Errorf("send to %s: %w", r.URL, err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return Answer{}, fmt.Errorf("read the answer of %s: %w", r.URL, err)
	}
	return Answer{resp.StatusCode, resp.Header.Get("Content-Type"), body}, nil
}

// agent is the name by which Apple's MDM client calls itself.
const agent = "MDM/1.0"

// A Local is an http.RoundTripper to a handler in the same process.
type Local struct {
	Handler http.Handler
	Remote  string // address that the handler sees; 127.0.0.1:1 if empty
}

// RoundTrip calls the handler.
func (l Local) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.RemoteAddr, r.RequestURI, r.Host = cmp.Or(l.Remote, "127.0.0.1:1"), r.URL.RequestURI(), r.URL.Host
	w := &recorder{header: http.Header{}}
	l.Handler.ServeHTTP(w, r)
	w.WriteHeader(http.StatusOK)
	return &http.Response{
		StatusCode: w.status, Header: w.sent, Body: io.NopCloser(&w.body), Request: r,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, ContentLength: int64(w.body.Len()),
	}, nil
}

// A recorder keeps what a handler answers.
type recorder struct {
	header, sent http.Header
	status       int
	body         bytes.Buffer
}

func (w *recorder) Header() http.Header { return w.header }

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status, w.sent = status, w.header.Clone()
	}
}

func (w *recorder) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(p)
}
