package mail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/wneessen/go-mail"

	"github.com/rollcall-mdm/rollcall/domain/enrollment"
	"github.com/rollcall-mdm/rollcall/handlers"
)

// SMTP is a post that gives letters to a mail server. It fulfils handlers.Post.
type SMTP struct {
	Host     string
	Port     int
	TLS      bool   // from the first byte on (smtps)
	Bare     bool   // STARTTLS is taken where it is offered, and not demanded
	User     string // nobody logs in if empty
	Password string
	From     string
	Roots    *x509.CertPool // the system's if nil
	Now      func() time.Time
	Patience time.Duration // eight seconds for a letter if zero
}

// Parse reads smtp://user@host:587 or smtps://user@host:465. STARTTLS is demanded of the first, unless it is this very machine or
// ?starttls=no is said.
func Parse(text string) (*SMTP, error) {
	u, err := url.Parse(text)
	ports := map[string]int{"smtp": 587, "smtps": 465}
	if err != nil || u.Hostname() == "" || ports[u.Scheme] == 0 || u.Path != "" && u.Path != "/" {
		return nil, errors.New("it is no address of a mail server: give one like smtp://user@mail.example.com:587, or smtps://…:465")
	}
	if _, has := u.User.Password(); has {
		return nil, errors.New("a password does not belong into the address, which others can read: give it by --smtp-password-file or ROLLCALL_SMTP_PASSWORD")
	}
	s := &SMTP{Host: u.Hostname(), Port: ports[u.Scheme], TLS: u.Scheme == "smtps", User: u.User.Username(), Bare: loopback(u.Hostname())}
	if u.Port() != "" {
		if s.Port, err = strconv.Atoi(u.Port()); err != nil || s.Port < 1 || s.Port > 65535 {
			return nil, errors.New("its port is none")
		}
	}
	switch said := u.Query().Get("starttls"); said {
	case "no":
		s.Bare = true
	case "", "yes":
		s.Bare = s.Bare && said == ""
	default:
		return nil, errors.New("starttls is yes or no")
	}
	if s.User != "" && s.Bare && !s.TLS && !loopback(s.Host) {
		return nil, errors.New("with starttls=no a password would go over the network for everybody to read: leave out the user, or the starttls=no")
	}
	return s, nil
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// Send gives the mail server a letter. Undelivered: it does not answer, or does not take it.
func (s *SMTP) Send(ctx context.Context, l handlers.Letter) (handlers.Posted, error) {
	posted := handlers.Posted{By: enrollment.BySMTP}
	m, id, err := write(l, s.From, s.Now())
	if err != nil {
		return posted, err
	}
	posted.ID = id
	client, err := s.client()
	if err != nil {
		return posted, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.patience())
	defer cancel()
	if err := client.DialAndSendWithContext(ctx, m); err != nil && !m.IsDelivered() {
		return posted, undelivered(err)
	}
	return posted, nil
}

func (s *SMTP) patience() time.Duration {
	if s.Patience == 0 {
		return 8 * time.Second
	}
	return s.Patience
}

func (s *SMTP) client() (*mail.Client, error) {
	policy := mail.TLSMandatory
	if s.Bare {
		policy = mail.TLSOpportunistic
	}
	options := []mail.Option{
		mail.WithPort(s.Port), mail.WithTimeout(s.patience()), mail.WithHELO(hostOf(s.From)), mail.WithTLSPolicy(policy),
		mail.WithTLSConfig(&tls.Config{ServerName: s.Host, RootCAs: s.Roots, MinVersion: tls.VersionTLS12}),
	}
	if s.TLS {
		options = append(options, mail.WithSSL())
	}
	if s.User != "" {
		options = append(options, mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover), mail.WithUsername(s.User), mail.WithPassword(s.Password))
	}
	client, err := mail.NewClient(s.Host, options...)
	if err != nil {
		return nil, fmt.Errorf("--smtp: %w", err)
	}
	return client, nil
}

// undelivered tells why a letter did not go.
func undelivered(err error) error {
	text, _, _ := strings.Cut(err.Error(), ", affected ") // receiver and letter are told beside it
	u := &handlers.Undelivered{Text: strings.TrimPrefix(strings.TrimPrefix(text, "send failed: "), "dial failed: ")}
	if failed, is := errors.AsType[*mail.SendError](err); is {
		u.Code = failed.ErrorCode()
	}
	if _, is := errors.AsType[net.Error](err); is {
		u.Text = "the mail server does not answer: " + u.Text
	}
	if len(u.Text) > 500 {
		u.Text = strings.ToValidUTF8(u.Text[:500], "")
	}
	return u
}
