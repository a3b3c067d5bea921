package smtptest

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"strings"
)

// A talk is one connection.
type talk struct {
	s         *Server
	conn      net.Conn
	in        *bufio.Reader
	encrypted bool
	greeted   bool
	user      string
	message   Message
}

func (t *talk) encrypt() {
	t.conn, t.encrypted = tls.Server(t.conn, &tls.Config{Certificates: []tls.Certificate{t.s.certificate}, MinVersion: tls.VersionTLS12}), true
}

func (t *talk) say(format string, args ...any) { fmt.Fprintf(t.conn, format+"\r\n", args...) }

var errLine = errors.New("a line that is none")

// line reads a line, without its end.
func (t *talk) line() (string, error) {
	text, err := t.in.ReadString('\n')
	if err != nil {
		return "", err
	}
	line, ends := strings.CutSuffix(text, "\r\n")
	if !ends || strings.ContainsAny(line, "\r\n\x00") || len(line) > 998 {
		t.s.complain(fmt.Sprintf("a line does not end as it must, or is too long: %.80q", text))
		t.say("500 5.5.2 a line ends with CR LF, and has 998 bytes at most")
		return "", errLine
	}
	return line, nil
}

// run talks until the client leaves, or does what no client may.
func (t *talk) run() {
	t.say("220 smtptest ESMTP")
	for {
		line, err := t.line()
		if err != nil {
			return
		}
		word, rest, _ := strings.Cut(line, " ")
		switch word = strings.ToUpper(word); {
		case word == "QUIT":
			t.say("221 2.0.0 bye")
			return
		case word == "EHLO" || word == "HELO":
			t.greet(rest)
		case !t.greeted:
			t.say("503 5.5.1 say EHLO first")
		case word == "STARTTLS" && !t.encrypted && !t.s.NoSTARTTLS:
			t.say("220 2.0.0 go ahead")
			if t.in.Buffered() > 0 {
				t.s.complain("something was said between STARTTLS and TLS")
				return
			}
			t.encrypt()
			t.in, t.greeted = bufio.NewReader(t.conn), false
		case word == "NOOP" || word == "RSET":
			t.message = Message{}
			t.say("250 2.0.0 fine")
		case !t.mail(word, rest):
			return
		}
	}
}

func (t *talk) greet(name string) {
	if name == "" {
		t.say("501 5.5.4 who?")
		return
	}
	t.greeted = true
	t.say("250-smtptest")
	if !t.encrypted && !t.s.NoSTARTTLS {
		t.say("250-STARTTLS")
	}
	if t.s.User != "" && t.encrypted {
		t.say("250-AUTH PLAIN")
	}
	t.say("250 ENHANCEDSTATUSCODES")
}

// mail takes the commands by which a message comes. It returns false when the connection is to end.
func (t *talk) mail(word, rest string) bool {
	switch {
	case word == "AUTH":
		t.login(rest)
	case t.s.User != "" && t.user == "":
		t.say("530 5.7.0 log in first")
	case word == "MAIL" && strings.HasPrefix(rest, "FROM:<"):
		t.message.From, _, _ = strings.Cut(strings.TrimPrefix(rest, "FROM:<"), ">")
		t.say("250 2.1.0 fine")
	case word == "RCPT" && strings.HasPrefix(rest, "TO:<") && t.message.From != "":
		to, more, _ := strings.Cut(strings.TrimPrefix(rest, "TO:<"), ">")
		if answer := t.s.Refuses[to]; answer != "" || more != "" {
			t.say("%s", answer)
			return true
		}
		t.message.To = strings.TrimPrefix(t.message.To+","+to, ",")
		t.say("250 2.1.5 fine")
	case word == "DATA" && t.message.To != "":
		t.say("354 go ahead")
		return t.data()
	default:
		t.say("503 5.5.1 not now: %s", word)
	}
	return true
}

func (t *talk) login(rest string) {
	way, first, _ := strings.Cut(rest, " ")
	raw, err := base64.StdEncoding.DecodeString(first)
	parts := strings.Split(string(raw), "\x00")
	switch {
	case !t.encrypted:
		t.s.complain("a password came over a connection that others can read")
		t.say("538 5.7.11 not without TLS")
	case way != "PLAIN" || err != nil || len(parts) != 3 || parts[1] != t.s.User || parts[2] != t.s.Password:
		t.say("535 5.7.8 no")
	default:
		t.user = parts[1]
		t.say("235 2.7.0 welcome")
	}
}

// data reads a message.
func (t *talk) data() bool {
	var text strings.Builder
	for {
		line, err := t.line()
		if err != nil {
			return false
		}
		if line == "." {
			break
		}
		for i := range len(line) {
			if line[i] >= 0x80 {
				t.s.complain("a byte of eight bits came without BODY=8BITMIME")
				t.say("554 5.6.3 seven bits")
				return false
			}
		}
		text.WriteString(strings.TrimPrefix(line, ".") + "\r\n")
	}
	t.message.Text, t.message.User, t.message.TLS = text.String(), t.user, t.encrypted
	t.s.take(t.message)
	t.message = Message{}
	t.say("250 2.0.0 taken")
	return true
}
