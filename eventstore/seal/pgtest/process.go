package pgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

func lookPath(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(path)
}

// An account is as whom the server runs: PostgreSQL refuses to be root.
type account struct{ uid, gid int }

// otherThanRoot finds an account for root's tests; nil if whoever runs them may run it.
func otherThanRoot() (*account, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.Atoi(u.Uid)
		gid, gidErr := strconv.Atoi(u.Gid)
		if uidErr == nil && gidErr == nil {
			return &account{uid, gid}, nil
		}
	}
	return nil, errors.New("root cannot run it, and there is neither a user postgres nor nobody")
}

// longestRoom is how long the path of a directory with sockets in it may be, in bytes.
const longestRoom = 80

// room returns where the server's directory is made: where temporary files are, unless its account cannot go there, or its
// socket would have too long a name.
func (s *Server) room() string {
	dir := os.TempDir()
	if len(dir) > longestRoom || s.as != nil && !open(dir) {
		return "/tmp"
	}
	return dir
}

// open reports whether everybody may go into a directory.
func open(dir string) bool {
	for ; ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil || info.Mode().Perm()&0o001 == 0 {
			return false
		}
		if dir == filepath.Dir(dir) {
			return true
		}
	}
}

// make makes the server's directory.
func (s *Server) make() (err error) {
	if s.as, err = otherThanRoot(); err != nil {
		return err
	}
	if s.dir, err = os.MkdirTemp(s.room(), "pg-"); err != nil {
		return err
	}
	if s.as != nil {
		if err := os.Chown(s.dir, s.as.uid, s.as.gid); err != nil {
			return err
		}
	}
	if err := os.Chmod(s.dir, 0o755); err != nil { //nolint:gosec // whoever runs the tests may be another than the server
		return err
	}
	p, err := s.run(context.Background(), "initdb", "-D", s.data(), "-A", "trust", "-N", "--locale=C", "-E", "UTF8", "-U", "rollcall")
	if err != nil {
		return err
	}
	<-p.done
	if p.err != nil {
		return fmt.Errorf("initdb: %w: %s", p.err, p.said.String())
	}
	return nil
}

// A process is a program of PostgreSQL that runs.
type process struct {
	cmd  *exec.Cmd
	said bytes.Buffer
	done chan struct{}
	err  error // how it ended, once done is closed
}

// run starts a program. It ends with this process at the latest: the thread that starts it stays as long as that.
func (s *Server) run(ctx context.Context, name string, args ...string) (*process, error) {
	p := &process{cmd: exec.Command(filepath.Join(s.bin, name), args...), done: make(chan struct{})} //nolint:gosec // a test's own programs
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = s.dir, &p.said, &p.said
	p.cmd.Env = append(os.Environ(), "LC_ALL=C", "TZ=UTC")
	p.cmd.SysProcAttr = endsWithUs()
	if s.as != nil {
		p.cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(s.as.uid), Gid: uint32(s.as.gid)} //nolint:gosec // ids are small
	}
	begun := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := p.cmd.Start()
		begun <- err
		if err == nil {
			p.err = p.cmd.Wait()
			close(p.done)
		}
		runtime.UnlockOSThread()
	}()
	return p, errors.Join(<-begun, ctx.Err())
}

// end ends the program at once, and waits for its end.
func (p *process) end() {
	_ = p.cmd.Process.Signal(syscall.SIGQUIT) // PostgreSQL's immediate shutdown
	<-p.done
}

// answers waits until the server does.
func (p *process) answers(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, url)
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-p.done:
			return fmt.Errorf("it ended: %w: %s", p.err, p.said.String())
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}
