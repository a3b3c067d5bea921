package tests

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// repeatable are the words that can be said many times.
var repeatable = map[string]func(*story, io.Writer, []string) error{
	"checkin": (*story).checkin, "connect": (*story).connect, "send": (*story).send, "graphql": (*story).graphql,
	"api": (*story).api,
}

// times N WORD ARGS… says a word N times, refused or not, and prints all answers.
func (s *story) times(out io.Writer, args []string) error {
	if len(args) < 2 || repeatable[args[1]] == nil {
		return errors.New("usage: times N WORD ARGS…")
	}
	n, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	for range n {
		if err := repeatable[args[1]](s, out, args[2:]); err != nil && !errors.Is(err, errRefused) {
			return err
		}
	}
	return nil
}

// keep NAME REGEXP keeps what the group of an expression found in what was printed last, as $NAME.
func keep(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: keep NAME REGEXP")
	}
	found := regexp.MustCompile(args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if len(found) != 2 {
		ts.Fatalf("%s does not stand in what was printed last", args[1])
	}
	ts.Setenv(args[0], found[1])
}

// attempts prints each push that Apple was asked for: what it answered, and to which magic, then the whole seconds
// since the one before.
func (s *story) attempts(out io.Writer, _ []string) error {
	var before time.Time
	for _, p := range s.apple.server.Pushes() {
		if before.IsZero() {
			before = p.At
		}
		fmt.Fprintf(out, "%d %s %s after %d s\n", p.Status, p.Reason, p.Magic, int(p.At.Sub(before)/time.Second))
		before = p.At
	}
	return nil
}

// apns FILE PATH BODY HEADER=VALUE… pushes with the certificate in the file, as anybody might, and prints what Apple
// says. apns none PATH BODY shows no certificate.
func (s *story) apns(out io.Writer, args []string) error {
	if len(args) < 3 {
		return errors.New("usage: apns FILE PATH BODY HEADER=VALUE…")
	}
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, s.apple.url()+args[1], strings.NewReader(args[2]))
	if err != nil {
		return err
	}
	for _, pair := range args[3:] {
		name, value, _ := strings.Cut(pair, "=")
		req.Header.Set(name, value)
	}
	if args[0] == "none" {
		return s.do(out, client(), req)
	}
	text, err := os.ReadFile(filepath.Join(s.dir, args[0]))
	if err != nil {
		return err
	}
	pair, err := tls.X509KeyPair(text, text)
	if err != nil {
		return err
	}
	return s.do(out, client(pair), req)
}
