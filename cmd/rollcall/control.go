package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/labstack/echo/v4"
	"golang.org/x/sync/errgroup"

	"github.com/rollcall-mdm/rollcall/graphql"
	"github.com/rollcall-mdm/rollcall/handlers"
)

// controlFile is a socket in the data directory on which a server that runs there answers the command line. Whoever
// may open it may read the directory, and so may do anything: no token is asked for.
const controlFile = "control.sock"

type atHomeKey struct{}

// atHome reports whether a request came from the server's own machine, by somebody who may read its data directory.
func atHome(ctx context.Context) bool { return ctx.Value(atHomeKey{}) != nil }

// openControl listens for the command line. A socket that is there was left by a server that was killed: the log's
// lock says that no other runs.
func (s *server) openControl(asks *graphql.Door) error {
	path, done, err := socketPath(s.dir)
	if err != nil {
		return err
	}
	defer done()
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the socket of a server that was killed: %w", err)
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return fmt.Errorf("listen for the command line in %s: %w", s.dir, err)
	}
	listener.(*net.UnixListener).SetUnlinkOnClose(false) // its path may have been good while it was opened only
	if err := os.Chmod(path, 0o600); err != nil {
		return errors.Join(err, listener.Close())
	}
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.HTTPErrorHandler = handlers.ErrorHandler(s.logger)
	if err := asks.Mount(e.Group(""), handlers.Identify, handlers.Recover, commandLine); err != nil {
		return errors.Join(err, listener.Close())
	}
	s.control = &http.Server{Handler: e, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 10 * time.Second}
	s.controlListener = listener
	return nil
}

// commandLine says who is calling: whoever uses the command line.
func commandLine(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		ctx := context.WithValue(handlers.WithCaller(c.Request().Context(), shell), atHomeKey{}, true)
		c.SetRequest(c.Request().WithContext(ctx))
		return next(c)
	}
}

// serveControl answers the command line until ctx ends, and then lets requests under way end.
func (s *server) serveControl(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		if err := s.control.Serve(s.controlListener); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("answer the command line: %w", err)
		}
		return nil
	})
	g.Go(func() error {
		<-ctx.Done()
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.Drain)
		defer cancel()
		if s.control.Shutdown(drain) != nil {
			_ = s.control.Close()
		}
		return nil
	})
	return g.Wait()
}

// closeControl takes the socket away.
func (s *server) closeControl() {
	if s.controlListener != nil {
		_ = s.controlListener.Close()
		_ = os.Remove(s.path(controlFile))
	}
}

// longestSocket is how long the path of a socket may be, in bytes, on every system.
const longestSocket = 100

// socketPath returns a path to the socket of a data directory that is short enough, good until done is called.
func socketPath(dir string) (path string, done func(), err error) {
	path = filepath.Join(dir, controlFile)
	if len(path) <= longestSocket {
		return path, func() {}, nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return "", nil, err
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", d.Fd(), controlFile), func() { _ = d.Close() }, nil
}

// askServer asks the server that runs on a data directory, and reads its answer into data.
func askServer(ctx context.Context, dir, query string, variables map[string]any, data any) error {
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		path, done, err := socketPath(dir)
		if err != nil {
			return nil, err
		}
		defer done()
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://control/graphql", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Prefer", "wait=5") // what was acknowledged is to be seen
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("ask the server that runs on %s: %w", dir, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("read the server's answer: %w", err)
	}
	return readAnswer(text, data)
}

func readAnswer(text []byte, data any) error {
	var answer struct {
		Data   json.RawMessage
		Errors []struct {
			Message    string
			Extensions struct{ Hint, Request string }
		}
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return fmt.Errorf("read the server's answer: %w", err)
	}
	if len(answer.Errors) == 0 {
		return json.Unmarshal(answer.Data, data)
	}
	told := answer.Errors[0]
	switch {
	case told.Extensions.Request != "":
		return fmt.Errorf("the server says: %s; its log knows more under request %s", told.Message, told.Extensions.Request)
	case told.Extensions.Hint != "":
		return fmt.Errorf("the server says: %s; %s", told.Message, told.Extensions.Hint)
	}
	return fmt.Errorf("the server says: %s", told.Message)
}
