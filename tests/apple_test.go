package tests

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/rollcall-mdm/rollcall/handlers/push/apnstest"
)

// apple is the make-believe push service of a story.
type apple struct {
	server   *apnstest.Server
	rootFile string
}

func (a *apple) url() string { return a.server.URL }
func (a *apple) close()      { _ = a.server.Close() }

// apple TOPIC FILE starts a make-believe APNs, which the next `serve` will use, and writes a push certificate for the
// topic, with its key, to the file. A second time it only writes another certificate.
func (s *story) startApple(_ io.Writer, args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("usage: apple TOPIC FILE")
	}
	if s.apple == nil {
		server, err := apnstest.Start(apnstest.Options{})
		if err != nil {
			return err
		}
		s.apple = &apple{server, filepath.Join(s.dir, "apple-root.pem")}
		if err := os.WriteFile(s.apple.rootFile, server.CA, 0o600); err != nil {
			return err
		}
	}
	certificate, key, err := s.apple.server.PushCertificate(args[0], time.Now().AddDate(1, 0, 0))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(s.dir, args[1]), append(certificate, key...), 0o600)
}

// faults STATUS REASON N makes Apple refuse the next N pushes; a status of 0 cuts the connection instead.
func (s *story) faults(_ io.Writer, args []string) error {
	if len(args) != 3 {
		return fmt.Errorf("usage: faults STATUS REASON N")
	}
	status, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	left, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	s.apple.server.Fail(func(apnstest.Push) apnstest.Fault {
		if left == 0 {
			return apnstest.Fault{}
		}
		left--
		return apnstest.Fault{Status: status, Reason: args[1], Cut: status == 0}
	})
	return nil
}

// pushes prints each push that Apple has accepted: topic, token in hex, magic, priority.
func (s *story) pushes(out io.Writer, _ []string) error {
	for _, p := range s.apple.server.Pushes() {
		if p.Status == http.StatusOK {
			fmt.Fprintf(out, "%s %s %s %s\n", p.Topic, p.Token, p.Magic, p.Body)
		}
	}
	return nil
}
