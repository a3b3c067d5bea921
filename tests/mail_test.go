package tests

import (
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/http"
	"net/mail"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rollcall-mdm/rollcall/domain/enrollment"
	"github.com/rollcall-mdm/rollcall/handlers/mail/smtptest"
	"github.com/rollcall-mdm/rollcall/handlers/mdm/mdmtest"
)

// linkIn returns the path of the link in a letter's text.
func linkIn(t *testing.T, letter string) string {
	t.Helper()
	m, err := mail.ReadMessage(strings.NewReader(letter))
	if err != nil {
		t.Fatal(err)
	}
	text := plainPart(t, m.Header.Get("Content-Type"), m.Header.Get("Content-Transfer-Encoding"), m.Body)
	u, err := url.Parse(regexp.MustCompile(`(?m)^http\S+`).FindString(text))
	if err != nil || !strings.HasPrefix(u.Path, "/enroll/") {
		t.Fatalf("there is no link in %s", text)
	}
	return u.Path
}

func plainPart(t *testing.T, contentType, encoding string, body io.Reader) string {
	t.Helper()
	kind, more, err := mime.ParseMediaType(contentType)
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasPrefix(kind, "multipart/") {
		part, err := multipart.NewReader(body, more["boundary"]).NextRawPart() // the plainest comes first
		if err != nil {
			t.Fatal(err)
		}
		return plainPart(t, part.Header.Get("Content-Type"), part.Header.Get("Content-Transfer-Encoding"), part)
	}
	if kind != "text/plain" || encoding != "quoted-printable" {
		t.Fatalf("the first part is %s, %s", kind, encoding)
	}
	text, err := io.ReadAll(quotedprintable.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// rollcall runs the program on the host's data directory.
func (h *host) rollcall(args ...string) (string, error) {
	h.t.Helper()
	out, err := exec.CommandContext(h.t.Context(), program, append(args, "--data", h.data)...).CombinedOutput()
	return string(out), err
}

// By the link in a letter, from the command line to a command that was answered: out of a file, and through a mail server that
// demands TLS and a password.
func TestALetterLeadsIn(t *testing.T) {
	h := newHost(t)
	h.more = []string{"--organization", "Bücher & Söhne"}
	h.start()
	h.pushable()
	seed := uint64(0)
	arrives := func(letter string) {
		t.Helper()
		seed++
		d := mdmtest.New(seed, mdmtest.IOS)
		d.Proof = mdmtest.Proof{Way: mdmtest.BySignature}
		link := linkIn(t, letter)
		status, profile := h.fetch(http.MethodGet, link+"/profile.mobileconfig", nil)
		if status != http.StatusOK {
			t.Fatalf("the profile is answered with %d %s", status, profile)
		}
		(&wayfarer{Device: d, h: h, by: strings.Split(link, "/")[2]}).arrives(profile, "by a profile that was loaded")
		if status, body := h.fetch(http.MethodGet, link+"/profile.mobileconfig", nil); status != http.StatusForbidden || !strings.Contains(string(body), "used up") {
			t.Errorf("the link is good once more: %d %s", status, body)
		}
	}
	said, err := h.rollcall("invitation", "make", "Ada's phone", "--mail", "ada@example.com")
	if err != nil || !strings.Contains(said, "no mail server is set") {
		t.Fatalf("%s, %v", said, err)
	}
	letters, _ := filepath.Glob(filepath.Join(h.data, "mail", "*.eml"))
	if len(letters) != 1 || !strings.Contains(said, letters[0]) {
		t.Fatalf("there are %v; told was %s", letters, said)
	}
	letter, err := os.ReadFile(letters[0])
	if err != nil {
		t.Fatal(err)
	}
	arrives(string(letter))
	h.stop()

	server := &smtptest.Server{User: "mdm", Password: "pa55 wörd", Refuses: map[string]string{"nobody@example.com": "550 5.1.1 no such user here"}}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	trusted := filepath.Join(t.TempDir(), "mail.pem")
	if err := os.WriteFile(trusted, server.PEM, 0o600); err != nil {
		t.Fatal(err)
	}
	h.more = append(h.more, "--smtp", "smtp://mdm@"+server.Address+"?starttls=yes", "--mail-from", "mdm@example.com")
	h.env = []string{"ROLLCALL_SMTP_PASSWORD=pa55 wörd", "SSL_CERT_FILE=" + trusted}
	h.start()
	told := fmt.Sprint(h.ask(`mutation { inviteByMail(to: ["bob@example.com", "nobody@example.com"], name: "Phone") { to sent problem file invitation { limit used createdBy } } }`))
	for _, want := range []string{"sent:true to:bob@example.com", `550 "5.1.1 no such user here" sent:false to:nobody@example.com`, "limit:1 used:0", "createdBy:administrator"} {
		if !strings.Contains(told, want) {
			t.Errorf("%s is not told: %s", want, told)
		}
	}
	all := server.Taken()
	if len(all) != 1 || all[0].To != "bob@example.com" || all[0].From != "mdm@example.com" || !all[0].TLS || all[0].User != "mdm" || len(server.Complaints()) != 0 {
		t.Fatalf("the mail server took %+v, and complains of %q", all, server.Complaints())
	}
	arrives(all[0].Text)
	if said, err := h.rollcall("invitation", "mail", "default", "nobody@example.com"); err == nil || !strings.Contains(said, "no such user here") || !strings.Contains(said, "1 of 1 letters did not go") {
		t.Errorf("%s, %v", said, err)
	}
	if said, err := h.rollcall("invitation", "make", "Room 7", "--id", "room-7", "--road", "profile,ota", "--limit", "30"); err != nil || !strings.Contains(said, h.linkOf("room-7")+"\n") || !strings.Contains(said, "█") {
		t.Errorf("%s, %v", said, err)
	}
	if code, _ := h.ask(`{ enrolmentCode(invitation: "room-7") }`)["enrolmentCode"].(string); !strings.HasPrefix(code, "data:image/png;base64,iVBOR") {
		t.Errorf("the picture is %s", code)
	}
	told = fmt.Sprint(h.ask(`{ events(filter: { types: ["enrollment.mailed", "enrollment.mail-failed"] }, first: 9) { edges { node { summary } } } }`))
	for _, want := range []string{"wrote a letter with the link", "to ada@example.com", "mailed the link", "could not be mailed to nobody@example.com"} {
		if !strings.Contains(told, want) {
			t.Errorf("%s is not told: %s", want, told)
		}
	}
	h.stop()
	for _, secret := range []string{"pa55", "@example.com", linkIn(t, string(letter)), linkIn(t, all[0].Text)} {
		if strings.Contains(strings.ReplaceAll(h.said.String(), "mdm@example.com", ""), secret) {
			t.Errorf("%s stands in the server's log", secret)
		}
	}
	mailed := 0
	for _, r := range h.open().history() {
		switch r.event.(type) {
		case enrollment.Mailed, enrollment.MailFailed:
			if mailed++; regexp.MustCompile("ada|bob|nobody|no such").Match(r.Data) {
				t.Errorf("whom a letter went to stands in the clear: %s", r.Data)
			}
		}
	}
	if mailed != 4 {
		t.Errorf("%d letters are in the log, want 4", mailed)
	}
}
