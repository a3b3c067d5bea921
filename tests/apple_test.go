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

// apple TOPIC FILE [DAYS] starts a make-believe APNs, which the next `serve` will use, and writes a push certificate
// for the topic, with its key, to the file, good for a year or so many days. A second time it only writes another
// certificate.
func (s *story) startApple(_ io.Writer, args []string) error {
	if len(args) != 2 && len(args) != 3 {
		return fmt.Errorf("usage: apple TOPIC FILE [DAYS]")
	}
	days := 365
	if len(args) == 3 {
		var err error
		if days, err = strconv.Atoi(args[2]); err != nil {
			return err
		}
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
	certificate, key, err := s.apple.server.PushCertificate(args[0], time.Now().AddDate(0, 0, days))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(s.dir, args[1]), append(certificate, key...), 0o600)
}

// faults STATUS REASON N [AGO] makes Apple refuse the next N pushes; a status of 0 cuts the connection instead. A
// token that is called dead has been so since AGO, now if that is not said.
func (s *story) faults(_ io.Writer, args []string) error {
	if len(args) != 3 && len(args) != 4 {
		return fmt.Errorf("usage: faults STATUS REASON N [AGO]")
	}
	var since time.Time
	if len(args) == 4 {
		ago, err := time.ParseDuration(args[3])
		if err != nil {
			return err
		}
		since = time.Now().Add(-ago)
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
		return apnstest.Fault{Status: status, Reason: args[1], Since: since, Cut: status == 0}
	})
	return nil
}

// pushes prints each push that Apple has accepted: topic, token in hex, magic, body, priority, and for how many hours
// it is kept for a device that is off.
func (s *story) pushes(out io.Writer, _ []string) error {
	for _, p := range s.apple.server.Pushes() {
		if p.Status == http.StatusOK {
			fmt.Fprintf(out, "%s %s %s %s priority %s, %.0f h\n", p.Topic, p.Token, p.Magic, p.Body, p.Priority, p.Expiration.Sub(p.At).Hours())
		}
	}
	return nil
}
