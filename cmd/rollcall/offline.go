package main

import (
	"context"
	"encoding"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/projections"
)

// A stopped is the data directory of a server, as a command is told it: with works on it while no server runs, reads while
// one runs or not.
type stopped struct {
	storage
	Data string `default:"./data" placeholder:"DIR" help:"The server's data directory."`

	Out io.Writer `kong:"-"` // standard output if nil
	Err io.Writer `kong:"-"` // for progress; standard error if nil
}

func (s *stopped) out() io.Writer {
	if s.Out == nil {
		return os.Stdout
	}
	return s.Out
}

func (s *stopped) err() io.Writer {
	if s.Err == nil {
		return os.Stderr
	}
	return s.Err
}

// with opens the directory, does something with it, and closes it again. Nothing is made that is not there.
func (s *stopped) with(ctx context.Context, do func(*house) error) error {
	if err := s.check(); err != nil {
		return err
	}
	logger := slog.New(slog.NewTextHandler(s.err(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	h, err := openHouse(ctx, opening{storage: s.storage, Dir: s.Data, Logger: logger}, time.Now)
	if err != nil {
		return err
	}
	if err := h.share(ctx); err != nil {
		return errors.Join(err, h.close())
	}
	return errors.Join(do(h), h.close())
}

// check refuses a directory that a server uses now, and one in which something is missing.
func (s *stopped) check() error {
	if err := s.present(); err != nil {
		return err
	}
	return s.alone()
}

// alone refuses a directory that a server uses now.
func (s *stopped) alone() error {
	if s.inUse() {
		return fmt.Errorf("a server is running on %s: stop it first, or ask it by GraphQL while it runs", s.Data)
	}
	return nil
}

// present refuses a directory in which something is missing.
func (s *stopped) present() error {
	if _, err := os.Stat(filepath.Join(s.Data, logFile)); err != nil && s.embedded() {
		if err := s.fits(func(name string) string { return filepath.Join(s.Data, name) }); err != nil {
			return err
		}
		return fmt.Errorf("%s is no data directory, for it holds no log.db: name the server's with --data", s.Data)
	}
	if file := s.missingKey(s.Data); file != "" {
		return fmt.Errorf("%s is missing in %s: put the keys back that belong to this log, nothing opens it without them", file, s.Data)
	}
	return nil
}

// inUse reports whether another process holds the log's lock.
func (s *stopped) inUse() bool {
	return slices.ContainsFunc(lockFiles, func(name string) bool {
		f, err := os.Open(filepath.Join(s.Data, name))
		if err != nil {
			return false
		}
		defer f.Close()
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
		return errors.Is(err, syscall.EWOULDBLOCK)
	})
}

// views opens the directory's views and folds into them what they have not seen yet.
func (s *stopped) views(ctx context.Context, h *house) (*projections.Views, error) {
	views, err := projections.Open(ctx, h.path("views.db"), projections.Options{Logger: h.logger})
	if err != nil {
		return nil, err
	}
	if err := s.catchUp(ctx, h, views); err != nil {
		return nil, errors.Join(err, views.Close())
	}
	return views, nil
}

func (s *stopped) catchUp(ctx context.Context, h *house, views *projections.Views) error {
	head, err := h.log.Head(ctx)
	if err != nil {
		return err
	}
	p := newProgress(s.err(), "folding the views", int64(head)).through(h.log)
	defer p.end()
	return views.CatchUp(ctx, h.log, h.codec.Views(), func(at eventstore.Position) { p.at(int64(at)) })
}

// progressEvery is how often people are told how far long work has come.
var progressEvery = time.Second

// A progress tells people how far long work has come: nothing in its first second, then once a second.
type progress struct {
	out  io.Writer
	what string
	of   int64
	next time.Time
	told bool
	gaps bool // positions are no numbers of events: only how large a part is done can be told
}

func newProgress(out io.Writer, what string, of int64) *progress {
	return &progress{out: out, what: what, of: of, next: time.Now().Add(progressEvery)}
}

// through says of which log the figures are positions.
func (p *progress) through(log eventstore.Log) *progress {
	_, p.gaps = log.(eventstore.ReaderAt)
	return p
}

func (p *progress) at(n int64) {
	now := time.Now()
	if now.Before(p.next) {
		return
	}
	p.next, p.told = now.Add(progressEvery), true
	if p.gaps {
		fmt.Fprintf(p.out, "\r%s: %d %%", p.what, 100*n/max(p.of, 1))
		return
	}
	fmt.Fprintf(p.out, "\r%s: %d of %d events (%d %%)", p.what, n, p.of, 100*n/max(p.of, 1))
}

func (p *progress) end() {
	if p.told {
		fmt.Fprintln(p.out)
	}
}

// A moment is a time on the command line: RFC 3339, or a date, which is its first moment in UTC.
type moment struct{ time.Time }

var _ encoding.TextUnmarshaler = (*moment)(nil)

// UnmarshalText reads either form.
func (m *moment) UnmarshalText(text []byte) (err error) {
	for _, form := range []string{time.RFC3339Nano, time.DateOnly} {
		if m.Time, err = time.Parse(form, strings.TrimSpace(string(text))); err == nil {
			return nil
		}
	}
	return fmt.Errorf("%q is no time: give one like 2026-01-31T12:00:00Z, or a date", text)
}
