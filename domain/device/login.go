package device

import (
	"crypto/subtle"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
)

// A Login says how far a network user of a Mac has come on his way onto his channel. Local users and those of a
// Shared iPad never ask: they have none.
type Login string

// The logins. Source: Apple, "User Authenticate".
const (
	LoginDeclined   Login = "declined"   // he is not managed until he logs in again
	LoginChallenged Login = "challenged" // his Mac has a nonce, and owes the digest of his password
	LoginManaged    Login = "managed"    // without a password; no AuthToken follows
	LoginProved     Login = "proved"     // each of his messages carries the AuthToken that he was given
)

// challengeHolds is how long a nonce may be answered.
const challengeHolds = 10 * time.Minute

// A UserChallenged says that a network user's Mac was asked to prove his password.
type UserChallenged struct {
	Channel ChannelID
	User    User   `seal:"personal" json:",omitzero"`
	Nonce   string `seal:"secret" json:",omitempty"`
}

// EventType is the stored name.
func (UserChallenged) EventType() string { return "device.user-challenged" }

// SealSubject is the user.
func (e UserChallenged) SealSubject() string { return string(e.Channel) }

// AuthenticateUser decides what follows when a network user asks whether this server manages him, and it does not.
func (d Device) AuthenticateUser(channel ChannelID, user User) ([]domain.Event, error) {
	if err := d.mayLogIn(channel); err != nil {
		return nil, err
	}
	return []domain.Event{UserAuthenticated{Channel: channel, User: user}}, nil
}

// ManageUser decides what follows when a network user asks, and is managed without proof of his password.
func (d Device) ManageUser(channel ChannelID, user User) ([]domain.Event, error) {
	if err := d.mayLogIn(channel); err != nil {
		return nil, err
	}
	return []domain.Event{UserAuthenticated{Channel: channel, User: user, Accepted: true}}, nil
}

// ChallengeUser decides what follows when a network user asks, and must prove his password. What he proved before
// holds no longer.
func (d Device) ChallengeUser(channel ChannelID, user User, nonce string) ([]domain.Event, error) {
	if err := d.mayLogIn(channel); err != nil {
		return nil, err
	}
	return []domain.Event{UserChallenged{channel, user, nonce}}, nil
}

// A Proof is what a Mac answers to a challenge.
type Proof struct {
	Channel   ChannelID
	User      User
	Nonce     string // that it answers
	Right     bool   // the digest is that of the user's password
	TokenHash []byte // SHA-256 of the AuthToken that it is given if all is well
}

// ProveUser decides what follows when a Mac proves a network user's password. A wrong one is no refusal: it is
// recorded, and answered by an empty AuthToken. Proving twice gives a second token in place of the first: the Mac
// may not have seen our answer.
func (d Device) ProveUser(p Proof, at time.Time) ([]domain.Event, error) {
	if err := d.mayLogIn(p.Channel); err != nil {
		return nil, err
	}
	c, _ := d.Channel(p.Channel)
	answer := UserAuthenticated{Channel: p.Channel, User: p.User}
	switch {
	case c.Nonce == "" || c.Nonce != p.Nonce:
		answer.Because = "it answered another challenge than the last"
	case at.Sub(c.NonceSince) > challengeHolds:
		answer.Because = "it answered too late"
	case !p.Right:
		answer.Because = "the user or the password is wrong"
	default:
		answer.Accepted, answer.TokenHash = true, p.TokenHash
	}
	return []domain.Event{answer}, nil
}

func (d Device) mayLogIn(channel ChannelID) error {
	if err := d.managed(); err != nil {
		return err
	}
	return d.room(channel)
}

// AdmitsUser refuses a message on a user's channel if the user was declined (Unmanaged), or if it lacks the
// AuthToken that he was given (Forbidden). The hash is that of the message's AuthToken, nil if it has none.
func (d Device) AdmitsUser(channel ChannelID, hash []byte) error {
	if channel == "" {
		return nil
	}
	c, _ := d.Channel(channel)
	switch c.Login {
	case LoginDeclined:
		return domain.Refusef(domain.Unmanaged, "the user was declined: he is not managed until he logs in again")
	case LoginChallenged:
		return domain.Refusef(domain.Forbidden, "the user has not proved his password yet")
	case LoginProved:
		if subtle.ConstantTimeCompare(hash, c.TokenHash) != 1 {
			return domain.Refusef(domain.Forbidden, "the user's AuthToken is missing or wrong")
		}
	}
	return nil
}

// loggedIn is a channel after its user's login was answered.
func (c *Channel) loggedIn(e UserAuthenticated) {
	c.TokenHash = e.TokenHash
	switch {
	case !e.Accepted && e.Because == "":
		c.Login, c.Nonce = LoginDeclined, ""
	case !e.Accepted:
		c.Login, c.Nonce = LoginChallenged, "" // he may try again, with another challenge
	case len(e.TokenHash) > 0:
		c.Login = LoginProved
	default:
		c.Login, c.Nonce = LoginManaged, ""
	}
}
