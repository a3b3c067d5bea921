package enrollment

import (
	"strings"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
)

// The ways on which a letter goes.
const (
	BySMTP = "smtp" // a mail server took it
	ByFile = "file" // it was written to a file, for somebody else to send
)

// A Mailed says that a letter with the invitation's link went to somebody.
type Mailed struct {
	By        string // on which way
	ID        string `json:",omitempty"` // of the letter
	Recipient string `seal:"personal" json:",omitempty"`
}

// A MailFailed says that a letter with the invitation's link did not go to somebody. The invitation is what it was.
type MailFailed struct {
	By        string
	Code      int    `json:",omitempty"` // the mail server's, if it answered
	Recipient string `seal:"personal" json:",omitempty"`
	ErrorText string `seal:"personal" json:",omitempty"` // as the mail server told it
}

// EventType returns the stored name.
func (Mailed) EventType() string { return "enrollment.mailed" }

// EventType returns the stored name.
func (MailFailed) EventType() string { return "enrollment.mail-failed" }

// maxAddress is how long an address of mail may be, in bytes. Source: RFC 5321, 4.5.3.1.3.
const maxAddress = 254

// CheckAddress refuses what is no plain address of mail: one that holds anything by which a letter's head could be changed, or
// that not every mail server takes.
func CheckAddress(address string) error {
	local, host, _ := strings.Cut(address, "@")
	plain := func(allowed string) func(rune) bool {
		return func(r rune) bool {
			return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(allowed, r))
		}
	}
	switch {
	case len(address) > maxAddress, local == "", host == "", strings.ContainsFunc(local, plain("!#$%&'*+-/=?^_`{|}~.")),
		strings.ContainsFunc(host, plain("-.")), dots(local), dots(host), host[0] == '-':
		return domain.WithHint(domain.Refusef(domain.Invalid, "this is no address of mail that a letter can go to"), "write it like ada@example.com, without a name; a domain in other letters as xn--…")
	}
	return nil
}

// dots reports whether dots stand where none may.
func dots(text string) bool {
	return strings.HasPrefix(text, ".") || strings.HasSuffix(text, ".") || strings.Contains(text, "..")
}

// MayMail refuses letters about an invitation by which nobody could come in: a link leads to a profile or to the over-the-air
// service, and is the code with which an account signs in.
func (i Invitation) MayMail(at time.Time) (err error) {
	for _, road := range []string{Profile, OTA, Account} {
		if err = i.Open(road, at); err == nil {
			return nil
		}
	}
	return err
}
