package handlers

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/challenge"
	"github.com/rollcall-mdm/rollcall/domain/enrollment"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

// A Pass is what a challenge stands for. Who holds the challenge gets a certificate on these terms.
type Pass struct {
	Invitation string        // whose limits count when the challenge is used; none if empty, which only the server's own work may ask for
	Road       string        // on which the holder comes: one of enrollment.Roads
	Device     string        // pseudonym of the device that it is for; any if empty
	Order      string        // CommandUUID of the InstallProfile that brings a renewed profile; empty otherwise
	Person     domain.Person // who signed in to get it; nobody if empty. It does not stand in the challenge: the log keeps it
	Once       bool          // good for one key, which may ask as often as it has to
	Lenient    bool          // good also in a message of a client that knows only DES and SHA-1, as some programs that play devices do
	Lasts      time.Duration // a day if zero
}

// Challenges make challenges, and tell what one is worth.
//
// A challenge carries what it stands for, and until when, under a keyed hash: none is kept anywhere. What it may be used
// for is decided when it is used, by its invitation as that is then. It is 255 bytes long at most, of letters, digits, hyphens
// and underscores, and a secret: it stands in the profile that it is made for, and nowhere else.
type Challenges struct {
	Key         [32]byte
	Invitations *eventstore.Repository[enrollment.Invitation, domain.Event]
	Given       *eventstore.Repository[challenge.Challenge, domain.Event] // keep for whom challenges were made who signed in
	Static      string                                                    // one that everybody may know who is to come in by the default invitation; none if empty
	Webhook     *Webhook                                                  // asked about challenges that are not of this server; nobody if nil
	Now         func() time.Time                                          // time.Now if nil
}

// New makes a challenge. It is refused if its invitation is not open on this road now.
func (c *Challenges) New(ctx context.Context, p Pass) (string, error) {
	now := c.now()
	if p.Invitation != "" {
		invitation, _, err := c.Invitations.Load(ctx, p.Invitation)
		if err == nil {
			err = invitation.OpenFor(p.Device, p.Road, now)
		}
		if err != nil {
			return "", err
		}
	}
	if p.Lasts == 0 {
		p.Lasts = 24 * time.Hour
	}
	text := make([]byte, 0, 192)
	text = append(text, form)
	if p.Once {
		text[0] |= once
	}
	if p.Lenient {
		text[0] |= lenient
	}
	text = binary.BigEndian.AppendUint64(text, uint64(now.Add(p.Lasts).Unix()))
	text = text[:len(text)+randomBytes]
	_, _ = rand.Read(text[len(text)-randomBytes:]) // never fails
	for _, word := range []string{p.Invitation, p.Road, p.Device, p.Order} {
		if len(word) > 64 {
			return "", domain.Refusef(domain.Invalid, "what a challenge is made for has a name that is too long")
		}
		text = append(append(text, byte(len(word))), word...)
	}
	made := base64.RawURLEncoding.EncodeToString(append(text, c.hash("challenge", text)[:hashBytes]...))
	return made, c.vouch(ctx, made, p)
}

// vouch records who signed in to get a challenge, before it is given out.
func (c *Challenges) vouch(ctx context.Context, made string, p Pass) error {
	if p.Person == (domain.Person{}) {
		return nil
	}
	meta := eventstore.Meta{Actor: eventstore.Actor{Kind: eventstore.ByDevice, ID: p.Device}, Correlation: RequestFrom(ctx)}
	_, err := c.Given.Update(ctx, c.ticket(made), meta, func(g challenge.Challenge, _ time.Time) ([]domain.Event, error) {
		return g.Vouch(challenge.Vouched{Invitation: p.Invitation, Road: p.Road, Person: p.Person})
	})
	return err
}

// ticket is by what the log knows a challenge.
func (c *Challenges) ticket(challenge string) string {
	return hex.EncodeToString(c.hash("ticket", []byte(challenge))[:hashBytes])
}

// The parts of a challenge: one byte of its form, eight of its end (seconds since 1970), random ones, four words with their
// lengths, and the hash.
const (
	form        = 0x10
	once        = 0x01
	lenient     = 0x02
	randomBytes = 12
	hashBytes   = 16
)

// An Asked is who comes with a challenge.
type Asked struct {
	PublicKey string // SHA-256 of its SubjectPublicKeyInfo, hex
	Name      string // that it gives itself
	Address   string
}

// Check returns what a challenge grants whoever comes with it. Refused (Forbidden) is one that is missing, wrong or
// expired; whether it is used up is decided by who issues.
func (c *Challenges) Check(ctx context.Context, challenge string, asked Asked) (Grant, error) {
	ticket := c.ticket(challenge)
	if p, ends, own := c.read(challenge); own {
		if !c.now().Before(ends) {
			return Grant{}, domain.WithHint(domain.Refusef(domain.Forbidden, "the challenge has expired"), "fetch the profile again")
		}
		return Grant{By: ticket, Once: p.Once, Lenient: p.Lenient, Invitation: p.Invitation, Road: p.Road, Device: p.Device, Order: p.Order}, nil
	}
	switch {
	case challenge == "":
		return Grant{}, domain.Refusef(domain.Forbidden, "the request has no challenge")
	case c.Static != "" && subtle.ConstantTimeCompare([]byte(c.Static), []byte(challenge)) == 1:
		return Grant{By: ticket, Invitation: enrollment.Default, Road: enrollment.Profile}, nil
	case c.Webhook != nil:
		said, err := c.Webhook.ask(ctx, challenge, asked)
		if err != nil {
			return Grant{}, err
		}
		return Grant{By: ticket, Once: said.Once, Invitation: said.Invitation, Road: enrollment.Profile}, nil
	}
	return Grant{}, domain.Refusef(domain.Forbidden, "the challenge is not one of this server")
}

// read returns what a challenge says, if it is one of this server.
func (c *Challenges) read(challenge string) (p Pass, ends time.Time, own bool) {
	text, err := base64.RawURLEncoding.DecodeString(challenge)
	head := 1 + 8 + randomBytes
	if err != nil || len(text) < head+hashBytes {
		return p, ends, false
	}
	text, hash := text[:len(text)-hashBytes], text[len(text)-hashBytes:]
	if !hmac.Equal(hash, c.hash("challenge", text)[:hashBytes]) || text[0]&^(once|lenient) != form {
		return p, ends, false
	}
	p.Once, p.Lenient = text[0]&once != 0, text[0]&lenient != 0
	ends = time.Unix(int64(binary.BigEndian.Uint64(text[1:])), 0)
	rest := text[head:]
	for _, word := range []*string{&p.Invitation, &p.Road, &p.Device, &p.Order} {
		n := int(rest[0]) // the hash says that it was well made
		*word, rest = string(rest[1:1+n]), rest[1+n:]
	}
	return p, ends, true
}

func (c *Challenges) hash(purpose string, text []byte) []byte {
	mac := hmac.New(sha256.New, c.Key[:])
	mac.Write([]byte(purpose + "\x00"))
	mac.Write(text)
	return mac.Sum(nil)
}

func (c *Challenges) now() time.Time {
	if c.Now == nil {
		return time.Now()
	}
	return c.Now()
}
