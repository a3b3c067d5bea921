// Package mail sends letters with invitations: by a mail server, or into files where there is none.
package mail

import (
	"bytes"
	"crypto/rand"
	_ "embed"
	html "html/template"
	"net"
	"net/url"
	"strings"
	text "text/template"
	"time"
	"unicode"

	"github.com/wneessen/go-mail"

	"github.com/rollcall-mdm/rollcall/domain/enrollment"
	"github.com/rollcall-mdm/rollcall/handlers"
)

//go:embed letter.txt
var plainText string

//go:embed letter.html
var htmlText string

var (
	plainLetter = text.Must(text.New("").Parse(plainText))
	htmlLetter  = html.Must(html.New("").Parse(htmlText))
)

// A content is what a letter says.
type content struct{ Who, Host, Link, Invitation, Until, Devices string }

func contentOf(l handlers.Letter) content {
	c := content{Who: oneLine(l.Organization), Link: l.Link, Invitation: oneLine(l.Invitation), Devices: "as often as the invitation allows"}
	if u, err := url.Parse(l.Link); err == nil {
		c.Host = u.Host
	}
	if c.Who == "" {
		c.Who = c.Host
	}
	if l.Limit == 1 {
		c.Devices = "for one device"
	}
	if !l.Until.IsZero() {
		c.Until = l.Until.UTC().Format("2 January 2006, 15:04 UTC")
	}
	return c
}

// oneLine keeps text from being more than a line.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }), " ")
}

// picture is by what name the letter's page finds its picture.
const picture = "code.png"

// write makes the message, and returns its ID too.
func write(l handlers.Letter, from string, at time.Time) (m *mail.Msg, id string, err error) {
	if err := enrollment.CheckAddress(l.To); err != nil {
		return nil, "", err
	}
	code, err := handlers.NewQR(l.Link)
	if err != nil {
		return nil, "", err
	}
	c := contentOf(l)
	var plain, page bytes.Buffer
	if err := plainLetter.Execute(&plain, c); err != nil {
		return nil, "", err
	}
	if err := htmlLetter.Execute(&page, c); err != nil {
		return nil, "", err
	}
	m = mail.NewMsg(mail.WithNoDefaultUserAgent())
	if err := m.FromFormat(c.Who, from); err != nil {
		return nil, "", err
	}
	if err := m.To(l.To); err != nil {
		return nil, "", err
	}
	m.Subject("Enrol your device with " + c.Who)
	m.SetDateWithValue(at)
	id = rand.Text() + "@" + hostOf(from)
	m.SetMessageIDWithValue(id)
	m.SetGenHeader("Auto-Submitted", "auto-generated") // nobody's absence answers it
	m.SetBodyString(mail.TypeTextPlain, plain.String())
	m.AddAlternativeString(mail.TypeTextHTML, page.String())
	return m, id, m.EmbedReader(picture, bytes.NewReader(code.PNG()), mail.WithFileContentType("image/png"), mail.WithFileContentID("<"+picture+">"))
}

// hostOf returns the host of an address: as what this server speaks to mail servers.
func hostOf(address string) string {
	_, host, _ := strings.Cut(address, "@")
	return host
}

// Sender returns the address from which a server at a URL writes if nobody says which.
func Sender(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" || net.ParseIP(u.Hostname()) != nil {
		return "rollcall@localhost"
	}
	return "rollcall@" + u.Hostname()
}
