// Package pgtest runs a PostgreSQL for tests: the real one, in a directory of its own, that only this machine reaches.
//
// The server is that which is installed (apt-get install postgresql, or whatever the system calls it). It does not wait for
// its disk, and it ends with the test, or with the test's process, however that ends.
package pgtest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
)

// A Server is a PostgreSQL that runs.
type Server struct {
	dir     string // its files and its socket
	bin     string // where its programs are
	as      *account
	process *process

	mu      sync.Mutex
	schemas int
}

var shared struct {
	sync.Mutex
	server *Server
}

// URL returns the address of an empty schema for this test alone, in a server that all tests of the process share. A test is
// skipped, and says so, where PostgreSQL is not installed. The package's TestMain calls End.
func URL(t testing.TB) string {
	t.Helper()
	return Shared(t).Schema(t)
}

// Shared returns that server. It is started when it is wanted for the first time.
func Shared(t testing.TB) *Server {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.server == nil {
		shared.server = start(t)
	}
	return shared.server
}

// End ends the shared server, if there is one.
func End() {
	shared.Lock()
	defer shared.Unlock()
	if shared.server != nil {
		shared.server.close()
		shared.server = nil
	}
}

// Start starts a server for this test alone, which may stop it. The test is skipped, and says so, where PostgreSQL is not installed.
func Start(t testing.TB) *Server {
	t.Helper()
	s := start(t)
	t.Cleanup(s.close)
	return s
}

func start(t testing.TB) *Server {
	t.Helper()
	bin, err := programs()
	if err != nil {
		t.Skipf("NOT run, for PostgreSQL is not installed: apt-get install postgresql (%v)", err)
	}
	s := &Server{bin: bin}
	if err := s.make(); err != nil {
		s.close()
		t.Fatalf("make a PostgreSQL: %v", err)
	}
	if err := s.Resume(t.Context()); err != nil {
		s.close()
		t.Fatalf("start PostgreSQL: %v", err)
	}
	return s
}

// Schema makes an empty schema, and returns its address.
func (s *Server) Schema(t testing.TB) string {
	t.Helper()
	s.mu.Lock()
	s.schemas++
	name := fmt.Sprintf("t%d", s.schemas)
	s.mu.Unlock()
	conn, err := pgx.Connect(t.Context(), s.url(""))
	if err == nil {
		_, err = conn.Exec(t.Context(), "CREATE SCHEMA "+name)
		err = errors.Join(err, conn.Close(t.Context()))
	}
	if err != nil {
		t.Fatalf("make a schema: %v", err)
	}
	return s.url(name)
}

func (s *Server) url(schema string) string {
	q := url.Values{"host": {s.dir}}
	if schema != "" {
		q.Set("search_path", schema)
	}
	return "postgres://rollcall@/postgres?" + q.Encode()
}

// Files returns where the server's files are.
func (s *Server) Files() string { return s.data() }

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// close ends the server and removes its files.
func (s *Server) close() {
	s.Stop()
	if s.dir != "" {
		_ = os.RemoveAll(s.dir)
	}
}

// Stop ends the server at once, as a crash does.
func (s *Server) Stop() {
	if s.process != nil {
		s.process.end()
		s.process = nil
	}
}

// Resume starts the server again on its files, and returns when it answers.
func (s *Server) Resume(ctx context.Context) error {
	var err error
	s.process, err = s.run(ctx, "postgres", "-D", s.data(), "-k", s.dir, "-h", "", "-F",
		"-c", "max_connections=50", "-c", "shared_buffers=16MB", "-c", "autovacuum=off")
	if err != nil {
		return err
	}
	return s.process.answers(ctx, s.url(""))
}

// programs finds where PostgreSQL's programs are: Debian keeps initdb out of the path.
func programs() (string, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")          // Debian
	more, _ := filepath.Glob("/usr/pgsql-*/bin/initdb")                    // the project's own RPMs
	brewed, _ := filepath.Glob("/opt/homebrew/opt/postgresql*/bin/initdb") // macOS
	all := append(append(found, more...), brewed...)
	if path, err := lookPath("initdb"); err == nil {
		all = append(all, path)
	}
	if len(all) == 0 {
		return "", errors.New("no initdb was found")
	}
	return filepath.Dir(all[len(all)-1]), nil
}
