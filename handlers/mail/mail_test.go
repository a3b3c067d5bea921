package mail_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"image/png"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"net/url"
	"os"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/handlers"
	post "github.com/rollcall-mdm/rollcall/handlers/mail"
	"github.com/rollcall-mdm/rollcall/handlers/mail/smtptest"
)

var noon = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

func clock() time.Time { return noon }

var letter = handlers.Letter{
	To: "ada@example.com", Link: "https://mdm.example.com/enroll/k3jd92mfa0q7x1zt/Zm9vYmFyYmF6cXV4eHk", Organization: "Bücher & Söhne",
	Invitation: "Schule “Nord”", Limit: 1, Until: noon.Add(14 * 24 * time.Hour),
}

// A reading is what somebody reads in a message.
type reading struct {
	head               mail.Header
	subject, from      string
	plain, page, coded string
}

// read reads a message with the standard library's parser.
func read(t *testing.T, text string) (r reading) {
	t.Helper()
	m, err := mail.ReadMessage(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	r.head = m.Header
	words := new(mime.WordDecoder)
	r.subject, _ = words.DecodeHeader(m.Header.Get("Subject"))
	r.from, _ = words.DecodeHeader(m.Header.Get("From"))
	r.parts(t, m.Header.Get("Content-Type"), m.Header.Get("Content-Transfer-Encoding"), m.Body)
	return r
}

func (r *reading) parts(t *testing.T, contentType, encoding string, body io.Reader) {
	t.Helper()
	kind, more, err := mime.ParseMediaType(contentType)
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasPrefix(kind, "multipart/") {
		for parts := multipart.NewReader(body, more["boundary"]); ; {
			part, err := parts.NextRawPart()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			r.parts(t, part.Header.Get("Content-Type"), part.Header.Get("Content-Transfer-Encoding"), part)
		}
	}
	switch encoding {
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	}
	whole, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	switch kind {
	case "text/plain":
		r.plain = string(whole)
	case "text/html":
		r.page = string(whole)
	case "image/png":
		r.coded = scan(t, whole)
	}
}

// scan reads a picture as a camera does.
func scan(t *testing.T, picture []byte) string {
	t.Helper()
	img, err := png.Decode(bytes.NewReader(picture))
	if err != nil {
		t.Fatal(err)
	}
	bitmap, err := gozxing.NewBinaryBitmapFromImage(img)
	if err != nil {
		t.Fatal(err)
	}
	got, err := qrcode.NewQRCodeReader().Decode(bitmap, nil)
	if err != nil {
		t.Fatal(err)
	}
	return got.GetText()
}

// check wants a message to bring the letter to its receiver, and to nobody else.
func check(t *testing.T, text string) {
	t.Helper()
	r := read(t, text)
	if r.subject != "Enrol your device with Bücher & Söhne" || !strings.Contains(r.from, "Bücher & Söhne") || r.head.Get("To") != "<ada@example.com>" {
		t.Errorf("from %q to %q about %q", r.from, r.head.Get("To"), r.subject)
	}
	if !strings.Contains(r.plain, "\n"+letter.Link+"\r\n") || !strings.Contains(r.plain, "for one device, until 15 November 2026, 12:00 UTC") || !strings.Contains(r.plain, "“Nord”") {
		t.Errorf("the text is %s", r.plain)
	}
	if !strings.Contains(r.page, `href="`+letter.Link+`"`) || !strings.Contains(r.page, `src="cid:code.png" alt="`) || !strings.Contains(text, "Content-Id: <code.png>") && !strings.Contains(text, "Content-ID: <code.png>") {
		t.Errorf("the page is %s", r.page)
	}
	if r.coded != letter.Link {
		t.Errorf("a camera reads %s", r.coded)
	}
	if r.head.Get("Auto-Submitted") != "auto-generated" || r.head.Get("Date") == "" || !strings.HasSuffix(r.head.Get("Message-Id"), "@mdm.example.com>") || r.head.Get("X-Mailer") != "" {
		t.Errorf("the head is %v", r.head)
	}
}

func TestLettersInFiles(t *testing.T) {
	full := false
	f := &post.Files{Dir: t.TempDir() + "/mail", From: "mdm@mdm.example.com", Now: clock, Keep: func(file string, text []byte) error {
		if full {
			return syscall.ENOSPC
		}
		return os.WriteFile(file, text, 0o600)
	}}
	one, err := f.Send(t.Context(), letter)
	if err != nil {
		t.Fatal(err)
	}
	two, err := f.Send(t.Context(), letter)
	if err != nil || one.File == two.File || one.ID == two.ID || one.By != "file" || !strings.HasPrefix(one.File, f.Dir+"/20261101-120000-") {
		t.Fatalf("%+v, %+v, %v", one, two, err)
	}
	if info, err := os.Stat(f.Dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory has the mode %v, %v", info.Mode(), err)
	}
	text, err := os.ReadFile(one.File)
	if err != nil {
		t.Fatal(err)
	}
	check(t, string(text))
	if files, _ := os.ReadDir(f.Dir); len(files) != 2 {
		t.Errorf("%d files are there, want 2", len(files))
	}
	full = true
	if _, err := f.Send(t.Context(), letter); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("what could not be kept is told as %v", err)
	}
}

// server starts a mail server, and returns a client for it.
func server(t *testing.T, s *smtptest.Server, address string) *post.SMTP {
	t.Helper()
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	c, err := post.Parse(strings.Replace(address, "HOST", s.Address, 1))
	if err != nil {
		t.Fatal(err)
	}
	c.From, c.Now, c.Roots, c.Password = "mdm@mdm.example.com", clock, s.Roots, "pa55 wörd"
	return c
}

func TestAMailServerTakesALetter(t *testing.T) {
	for name, c := range map[string]struct {
		server  *smtptest.Server
		address string
		tls     bool
	}{
		"STARTTLS":                   {&smtptest.Server{User: "mdm", Password: "pa55 wörd"}, "smtp://mdm@HOST?starttls=yes", true},
		"STARTTLS, as it is offered": {&smtptest.Server{}, "smtp://HOST", true},
		"TLS":                        {&smtptest.Server{User: "mdm", Password: "pa55 wörd", TLS: true}, "smtps://mdm@HOST", true},
		"on this machine, without":   {&smtptest.Server{NoSTARTTLS: true}, "smtp://HOST", false},
	} {
		t.Run(name, func(t *testing.T) {
			s := c.server
			client := server(t, s, c.address)
			posted, err := client.Send(t.Context(), letter)
			if err != nil || posted.By != "smtp" || posted.ID == "" || posted.File != "" {
				t.Fatalf("%+v, %v, %v", posted, err, s.Complaints())
			}
			all := s.Taken()
			if len(all) != 1 || all[0].From != "mdm@mdm.example.com" || all[0].To != "ada@example.com" || all[0].TLS != c.tls || all[0].User != s.User || len(s.Complaints()) != 0 {
				t.Fatalf("taken: %+v, complaints: %q", all, s.Complaints())
			}
			check(t, all[0].Text)
		})
	}
}

func TestAMailServerTakesNoLetter(t *testing.T) {
	for name, c := range map[string]struct {
		server  *smtptest.Server
		address string
		change  func(*post.SMTP)
		code    int
	}{
		"no such receiver":            {&smtptest.Server{Refuses: map[string]string{"ada@example.com": "550 5.1.1 no such user here"}}, "smtp://HOST", nil, 550},
		"not now":                     {&smtptest.Server{Refuses: map[string]string{"ada@example.com": "451 4.7.1 come again"}}, "smtp://HOST", nil, 451},
		"no STARTTLS":                 {&smtptest.Server{NoSTARTTLS: true}, "smtp://HOST?starttls=yes", nil, 0},
		"nobody vouches for it":       {&smtptest.Server{}, "smtp://HOST?starttls=yes", func(s *post.SMTP) { s.Roots = nil }, 0},
		"it wants somebody to log in": {&smtptest.Server{User: "mdm", Password: "x"}, "smtp://HOST", nil, 530},
		"another password":            {&smtptest.Server{User: "mdm", Password: "another"}, "smtp://mdm@HOST", nil, 0},
		"no TLS for a password":       {&smtptest.Server{User: "mdm", Password: "pa55 wörd", NoSTARTTLS: true}, "smtp://mdm@HOST", nil, 0},
		"nobody is there":             {&smtptest.Server{}, "smtp://HOST", func(s *post.SMTP) { s.Port = 1 }, 0},
		"it says nothing":             {&smtptest.Server{Silent: true}, "smtp://HOST", func(s *post.SMTP) { s.Patience = 50 * time.Millisecond }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := c.server
			client := server(t, s, c.address)
			if c.change != nil {
				c.change(client)
			}
			_, err := client.Send(t.Context(), letter)
			u, is := errors.AsType[*handlers.Undelivered](err)
			if !is || u.Code != c.code || u.Text == "" || len(s.Taken()) != 0 || len(s.Complaints()) != 0 {
				t.Fatalf("%v (%+v), complaints: %q", err, u, s.Complaints())
			}
			for _, secret := range []string{"pa55", letter.Link, base64.StdEncoding.EncodeToString([]byte("\x00mdm\x00pa55 wörd"))} {
				if strings.Contains(u.Text, secret) {
					t.Errorf("a secret is told: %s", u.Text)
				}
			}
		})
	}
}

// Whatever names say, a letter has one head, one receiver and one end.
func TestNothingGetsIntoTheHead(t *testing.T) {
	s := &smtptest.Server{}
	client := server(t, s, "smtp://HOST")
	for _, evil := range []string{
		"Evil\r\nBcc: eve@example.com", "Evil\nBcc: eve@example.com", "x\r\n.\r\nMAIL FROM:<eve@example.com>\r\n", "\r\n\r\n<script>alert(1)</script>", ".", "=?utf-8?q?x?=\r\n y", "\x00\u2028Bcc: x", strings.Repeat("ü", 500),
	} {
		l := letter
		l.Organization, l.Invitation = evil, evil
		if _, err := client.Send(t.Context(), l); err != nil {
			t.Fatalf("%q: %v, %q", evil, err, s.Complaints())
		}
		all := s.Taken()
		r := read(t, all[len(all)-1].Text)
		if all[len(all)-1].To != "ada@example.com" || len(r.head["Bcc"]) != 0 || len(r.head["To"]) != 1 || len(r.head["Subject"]) != 1 || strings.Contains(r.page, "<script") || r.coded != letter.Link {
			t.Errorf("%q: %+v", evil, r)
		}
	}
	taken := len(s.Taken())
	for _, to := range []string{"ada@example.com\r\nBcc: eve@example.com", "ada@example.com>\r\nRCPT TO:<eve@example.com", "Ada <ada@example.com>", "a@b, c@d"} {
		l := letter
		l.To = to
		if _, refused := domain.Refused(second(client.Send(t.Context(), l))); !refused {
			t.Errorf("%q is taken", to)
		}
	}
	if len(s.Taken()) != taken || len(s.Complaints()) != 0 {
		t.Errorf("complaints: %q", s.Complaints())
	}
}

func second(_ handlers.Posted, err error) error { return err }

func TestAddressesOfMailServers(t *testing.T) {
	for text, want := range map[string]post.SMTP{
		"smtp://mail.example.com":              {Host: "mail.example.com", Port: 587},
		"smtp://u%40x@mail.example.com:2525":   {Host: "mail.example.com", Port: 2525, User: "u@x"},
		"smtps://u@mail.example.com":           {Host: "mail.example.com", Port: 465, User: "u", TLS: true},
		"smtp://127.0.0.1:25":                  {Host: "127.0.0.1", Port: 25, Bare: true},
		"smtp://localhost:25?starttls=yes":     {Host: "localhost", Port: 25},
		"smtp://relay.internal:25?starttls=no": {Host: "relay.internal", Port: 25, Bare: true},
		"smtps://[::1]:465":                    {Host: "::1", Port: 465, TLS: true, Bare: true},
	} {
		got, err := post.Parse(text)
		if err != nil || !reflect.DeepEqual(*got, want) {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, bad := range []string{"", "mail.example.com", "http://mail.example.com", "smtp://", "smtp://u:secret@mail.example.com", "smtp://mail.example.com:0", "smtp://mail.example.com:99999",
		"smtp://mail.example.com?starttls=maybe", "smtp://u@mail.example.com?starttls=no", "smtp://mail.example.com/x"} {
		if got, err := post.Parse(bad); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %+v, %v", bad, got, err)
		}
	}
}

func TestWhoWrites(t *testing.T) {
	for address, want := range map[string]string{"https://mdm.example.com:8443": "rollcall@mdm.example.com", "http://127.0.0.1:8080": "rollcall@localhost", "https://[::1]": "rollcall@localhost"} {
		if u, _ := url.Parse(address); post.Sender(u.String()) != want {
			t.Errorf("%s: %s", address, post.Sender(address))
		}
	}
}
