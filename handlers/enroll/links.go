package enroll

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
)

// Links make the addresses of invitations. An invitation's id may be guessed; the key in its link cannot.
type Links struct {
	URL string // of the server
	Key [32]byte
}

// Link returns the address by which an invitation is used. Whoever has it may use it.
func (l *Links) Link(invitation string) string {
	return strings.TrimRight(l.URL, "/") + "/enroll/" + invitation + "/" + l.key(invitation)
}

func (l *Links) key(invitation string) string {
	return base64.RawURLEncoding.EncodeToString(l.hash("link", []byte(invitation))[:15])
}

func (l *Links) opens(invitation, key string) bool {
	return subtle.ConstantTimeCompare([]byte(l.key(invitation)), []byte(key)) == 1
}

func (l *Links) hash(purpose string, text []byte) []byte {
	mac := hmac.New(sha256.New, l.Key[:])
	mac.Write([]byte(purpose + "\x00"))
	mac.Write(text)
	return mac.Sum(nil)
}

// A ticket is what somebody carries from one step of a road to the next: nothing is kept here meanwhile.
type ticket struct {
	For        string `json:"f"` // the step that it is good for
	Invitation string `json:"i"`
	Account    string `json:"a,omitempty"` // who signed in
	Name       string `json:"n,omitempty"` // and what the issuer says of that person
	Subject    string `json:"s,omitempty"`
	Issuer     string `json:"o,omitempty"`
	Mode       string `json:"m,omitempty"`
	Device     string `json:"d,omitempty"` // pseudonym of the device, where it is known
	Until      int64  `json:"u"`           // seconds since 1970
}

// person is who signed in.
func (t ticket) person() domain.Person {
	return domain.Person{Account: t.Account, Name: t.Name, Subject: t.Subject, Issuer: t.Issuer}
}

// issue writes a ticket under a keyed hash.
func (l *Links) issue(t ticket) string { return l.signed("ticket", t) }

// signed writes what is to come back for a purpose, under a keyed hash.
func (l *Links) signed(purpose string, v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic("enroll: a ticket cannot be written: " + err.Error()) // it holds texts and numbers
	}
	return base64.RawURLEncoding.EncodeToString(append(text, l.hash(purpose, text)[:16]...))
}

// readSigned reads what was signed here for a purpose, and reports whether it was.
func (l *Links) readSigned(purpose, text string, v any) bool {
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(raw) < 16 {
		return false
	}
	body, hash := raw[:len(raw)-16], raw[len(raw)-16:]
	return hmac.Equal(hash, l.hash(purpose, body)[:16]) && json.Unmarshal(body, v) == nil
}

// read returns a ticket that was issued here for this step and is good now.
func (l *Links) read(text, step string, now time.Time) (ticket, error) {
	var t ticket
	if !l.readSigned("ticket", text, &t) || t.For != step {
		return ticket{}, errTicket()
	}
	if now.Unix() >= t.Until {
		return ticket{}, domain.WithHint(domain.Refusef(domain.Forbidden, "too much time has passed since this enrolment began"), "begin again")
	}
	return t, nil
}

func errTicket() error {
	return domain.WithHint(domain.Refusef(domain.Forbidden, "this is not good for an enrolment here"), "begin again with the link that you were given")
}
