package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/rollcall-mdm/rollcall/domain/enrollment"
	"github.com/rollcall-mdm/rollcall/handlers"
	"github.com/rollcall-mdm/rollcall/handlers/mail"
)

// mailing are the settings of letters.
type mailing struct {
	SMTP         string `name:"smtp" placeholder:"URL" help:"The mail server that takes letters with invitations: smtp://user@mail.example.com:587 (STARTTLS is demanded, but for this very machine or with ?starttls=no) or smtps://user@mail.example.com:465. Without it letters are written to files in the data directory."`
	SMTPPassword string `name:"smtp-password-file" type:"existingfile" placeholder:"FILE" help:"A file with the password of the user in --smtp; ROLLCALL_SMTP_PASSWORD in the environment if not set."`
	MailFrom     string `name:"mail-from" placeholder:"ADDRESS" help:"Who writes them, such as mdm@example.com; rollcall@ the host of --url if not said."`
}

// check refuses settings that cannot work.
func (m *mailing) check() error {
	if m.MailFrom != "" {
		if err := enrollment.CheckAddress(m.MailFrom); err != nil {
			return fmt.Errorf("--mail-from %q is no address: write it like mdm@example.com, without a name", m.MailFrom)
		}
	}
	_, err := m.server()
	return err
}

// server is the mail server; nil if there is none.
func (m *mailing) server() (*mail.SMTP, error) {
	if m.SMTP == "" {
		if m.SMTPPassword != "" {
			return nil, errors.New("--smtp-password-file says nothing without --smtp: give the address of the mail server")
		}
		return nil, nil
	}
	s, err := mail.Parse(m.SMTP)
	if err != nil {
		return nil, fmt.Errorf("--smtp: %w", err)
	}
	if s.Password, err = m.password(); err != nil {
		return nil, err
	}
	if s.User != "" && s.Password == "" {
		return nil, errors.New("--smtp names a user who has no password: give it by --smtp-password-file or ROLLCALL_SMTP_PASSWORD")
	}
	return s, nil
}

func (m *mailing) password() (string, error) {
	if m.SMTPPassword == "" {
		return os.Getenv("ROLLCALL_SMTP_PASSWORD"), nil
	}
	text, err := os.ReadFile(m.SMTPPassword)
	if err != nil {
		return "", fmt.Errorf("--smtp-password-file: %w", err)
	}
	return strings.TrimRight(string(text), "\r\n"), nil
}

// letters is who writes to people.
func (s *server) letters(invitations *handlers.Invitations) (*handlers.Letters, error) {
	l := &handlers.Letters{Invitations: invitations, Link: s.links.Link, Organization: s.Organization, Now: s.now}
	from := cmp.Or(s.MailFrom, mail.Sender(s.URL))
	server, err := s.mailing.server()
	if err != nil {
		return nil, err
	}
	if server == nil {
		dir, err := filepath.Abs(s.path("mail")) // whoever is told where a letter lies may stand elsewhere
		l.Post = &mail.Files{Dir: dir, From: from, Now: s.now, Keep: writeWhole}
		return l, err
	}
	server.From, server.Now = from, s.now
	l.Post = server
	return l, nil
}
