package mdmtest

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httputil"
	"net/url"
	"strconv"
	"sync"
	"time"
)

// A Direct is a Wire that speaks HTTP/1.1 by itself over connections that it keeps: a tenth of the work of
// net/http's client, which matters where load and server share a machine.
//
// It follows no redirects and knows no proxies. A Direct with a TLS client certificate belongs to one device.
type Direct struct {
	TLS *tls.Config // for https; the system's roots if nil

	mu   sync.Mutex
	idle map[string][]*line // by scheme and host
}

// A line is one connection.
type line struct {
	conn net.Conn
	in   *bufio.Reader
	out  []byte
	used bool // it has carried an answer before
}

// errStale says that the server had closed a kept connection before it could read the message.
var errStale = errors.New("the server closed a kept connection")

// Send carries the message on a connection and reads the whole answer.
func (d *Direct) Send(ctx context.Context, r Request) (Answer, error) {
	u, err := url.Parse(r.URL)
	if err != nil {
		return Answer{}, fmt.Errorf("parse the server's URL: %w", err)
	}
	for {
		l, err := d.take(ctx, u)
		if err != nil {
			return Answer{}, fmt.Errorf("dial %s: %w", u.Host, err)
		}
		answer, keep, err := l.talk(ctx, u, r)
		if err == nil && keep {
			d.put(u, l)
			return answer, nil
		}
		_ = l.conn.Close()
		if err == nil || !errors.Is(err, errStale) {
			return answer, err
		}
	}
}

// Close ends the connections that are idle.
func (d *Direct) Close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, lines := range d.idle {
		for _, l := range lines {
			_ = l.conn.Close()
		}
	}
	d.idle = nil
}

func (d *Direct) take(ctx context.Context, u *url.URL) (*line, error) {
	key := u.Scheme + u.Host
	d.mu.Lock()
	if lines := d.idle[key]; len(lines) > 0 {
		l := lines[len(lines)-1]
		d.idle[key] = lines[:len(lines)-1]
		d.mu.Unlock()
		return l, nil
	}
	d.mu.Unlock()
	conn, err := d.dial(ctx, u)
	if err != nil {
		return nil, err
	}
	return &line{conn: conn, in: bufio.NewReaderSize(conn, 8<<10)}, nil
}

func (d *Direct) put(u *url.URL, l *line) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.idle == nil {
		d.idle = map[string][]*line{}
	}
	d.idle[u.Scheme+u.Host] = append(d.idle[u.Scheme+u.Host], l)
}

func (d *Direct) dial(ctx context.Context, u *url.URL) (net.Conn, error) {
	host := u.Host
	if u.Port() == "" {
		host = net.JoinHostPort(u.Hostname(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
	}
	if u.Scheme == "https" {
		return (&tls.Dialer{Config: d.TLS}).DialContext(ctx, "tcp", host)
	}
	return (&net.Dialer{}).DialContext(ctx, "tcp", host)
}

// talk carries one message and reports whether the connection may carry another.
func (l *line) talk(ctx context.Context, u *url.URL, r Request) (a Answer, keep bool, err error) {
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(patience)
	}
	_ = l.conn.SetDeadline(deadline)
	stop := context.AfterFunc(ctx, func() { _ = l.conn.SetDeadline(time.Unix(1, 0)) })
	defer func() {
		if !stop() {
			keep = false // the deadline may still be about to fall
		}
	}()
	l.compose(u, r)
	_, werr := l.conn.Write(l.out)
	first, err := l.in.Peek(1)
	if len(first) == 0 {
		if l.used && ctx.Err() == nil && time.Now().Before(deadline) {
			return a, false, errStale
		}
		return a, false, fmt.Errorf("send to %s: %w", u.Host, errors.Join(werr, err, ctx.Err()))
	}
	a, keep, err = l.read()
	l.used = true
	if err != nil {
		return a, false, fmt.Errorf("read the answer of %s: %w", u.Host, err)
	}
	return a, keep && werr == nil, nil
}

// compose writes the request into the line's buffer.
func (l *line) compose(u *url.URL, r Request) {
	b := append(l.out[:0], cmp.Or(r.Method, "PUT")...)
	b = append(b, ' ')
	b = append(b, u.RequestURI()...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, u.Host...)
	b = append(b, "\r\nUser-Agent: "+agent+"\r\nContent-Type: "...)
	b = append(b, r.ContentType...)
	if r.Header[0] != "" {
		b = append(b, "\r\n"...)
		b = append(b, r.Header[0]...)
		b = append(b, ": "...)
		b = append(b, r.Header[1]...)
	}
	b = append(b, "\r\nContent-Length: "...)
	b = strconv.AppendInt(b, int64(len(r.Body)), 10)
	b = append(b, "\r\n\r\n"...)
	l.out = append(b, r.Body...)
}

// read reads an answer and reports whether the connection stays open.
func (l *line) read() (a Answer, keep bool, err error) {
	length, chunked := -1, false
	a.Status, keep, err = l.status()
	for err == nil {
		var name, value []byte
		if name, value, err = l.field(); err != nil || len(name) == 0 {
			break
		}
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			length, err = strconv.Atoi(string(value))
		case bytes.EqualFold(name, []byte("Content-Type")):
			a.ContentType = string(value)
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			chunked = true
		case bytes.EqualFold(name, []byte("Connection")) && bytes.EqualFold(value, []byte("close")):
			keep = false
		}
	}
	if err != nil {
		return a, false, err
	}
	a.Body, err = l.body(length, chunked)
	return a, keep && (chunked || length >= 0), err
}

// status reads the first line. Only an answer in HTTP/1.1 leaves the connection open.
func (l *line) status() (status int, keep bool, err error) {
	text, err := l.in.ReadSlice('\n')
	if err != nil {
		return 0, false, err
	}
	if !bytes.HasPrefix(text, []byte("HTTP/1.")) || len(text) < len("HTTP/1.1 200\r\n") {
		return 0, false, fmt.Errorf("%q does not begin an HTTP answer", text)
	}
	status, err = strconv.Atoi(string(text[9:12]))
	return status, text[7] == '1', err
}

// field reads one header. The name is empty after the last.
func (l *line) field() (name, value []byte, err error) {
	text, err := l.in.ReadSlice('\n')
	if err != nil {
		return nil, nil, err
	}
	name, value, _ = bytes.Cut(bytes.TrimRight(text, "\r\n"), []byte(":"))
	return name, bytes.TrimSpace(value), nil
}

func (l *line) body(length int, chunked bool) ([]byte, error) {
	switch {
	case chunked:
		body, err := io.ReadAll(io.LimitReader(httputil.NewChunkedReader(l.in), maxAnswer))
		if err == nil {
			_, err = l.in.ReadSlice('\n') // the empty line after the last chunk
		}
		return body, err
	case length == 0:
		return nil, nil
	case length < 0: // until the server closes
		return io.ReadAll(io.LimitReader(l.in, maxAnswer))
	case length > maxAnswer:
		return nil, fmt.Errorf("the answer is %d bytes long", length)
	}
	body := make([]byte, length)
	_, err := io.ReadFull(l.in, body)
	return body, err
}
