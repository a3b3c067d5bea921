package mdm

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/device"
)

// NetworkUsers says how the users of Macs who log in with an account of the network are taken. They are declined
// unless it is set. Source: Apple, "User Authenticate".
type NetworkUsers struct {
	Manage  bool                     // without a password
	Digests func() (*Digests, error) // the passwords' digests, read anew at each login; set, each must prove his password
}

// The ways in which a message on a user's channel is not let in.
var (
	errDeclined = errors.New("this user is not managed here")
	errUnproved = errors.New("the message lacks the AuthToken that its user was given")
)

// admits refuses a message whose sender's certificate may not speak for the device, or whose user may not speak, and then,
// with errLeaving, one of a device that is to leave.
func (r *request) admits(dev device.Device) error {
	if !dev.Admits(r.certificate.Fingerprint) {
		return errForeign
	}
	if err := r.admitsUser(dev); err != nil {
		return err
	}
	if dev.Leaving && r.message.String("MessageType") != "CheckOut" {
		return errLeaving
	}
	return nil
}

func (r *request) admitsUser(dev device.Device) error {
	if r.sender.channel == "" || !dev.Managed() {
		return nil // who is not managed is told so by what he asks for
	}
	var hash []byte
	if token := r.message.String("AuthToken"); token != "" {
		hash = hashOf(token)
	}
	refusal, refused := domain.Refused(dev.AdmitsUser(r.sender.channel, hash))
	switch {
	case !refused:
		return nil
	case refusal.Reason == domain.Unmanaged:
		return errDeclined
	}
	return errUnproved
}

func hashOf(text string) []byte {
	sum := sha256.Sum256([]byte(text))
	return sum[:]
}

// userAuthenticate tells a network user whether he is managed here: at once, or when he has proved his password.
func (d *Door) userAuthenticate(r *request) (answer, error) {
	if r.sender.channel == "" {
		return answer{}, &malformed{text: "the message names no user"}
	}
	response := r.message.String("DigestResponse")
	switch {
	case d.NetworkUsers.Digests != nil && response != "":
		return d.proveUser(r, response)
	case d.NetworkUsers.Digests != nil:
		return d.challengeUser(r)
	case d.NetworkUsers.Manage:
		err := d.logIn(r, func(dev device.Device, _ time.Time) ([]domain.Event, error) {
			return dev.ManageUser(r.sender.channel, r.sender.user)
		})
		if err != nil {
			return answer{}, err
		}
		return inXML(map[string]any{"DigestChallenge": ""})
	}
	err := d.logIn(r, func(dev device.Device, _ time.Time) ([]domain.Event, error) {
		return dev.AuthenticateUser(r.sender.channel, r.sender.user)
	})
	return answer{status: http.StatusGone}, err
}

// logIn has the device decide about a user who has no AuthToken yet.
func (d *Door) logIn(r *request, decide func(device.Device, time.Time) ([]domain.Event, error)) error {
	if r.message.Err() != nil {
		return &malformed{text: "a key of the message has a type that it cannot have"}
	}
	_, err := d.Devices.Update(r.ctx, r.sender.device, d.keeping(r, false), func(dev device.Device, at time.Time) ([]domain.Event, error) {
		if !dev.Admits(r.certificate.Fingerprint) {
			return nil, errForeign
		}
		return decide(dev, at)
	})
	return err
}

func (d *Door) challengeUser(r *request) (answer, error) {
	digests, err := d.NetworkUsers.Digests()
	if err != nil {
		return answer{}, fmt.Errorf("read the digests of network users' passwords: %w", err)
	}
	nonce := hex.EncodeToString(random(16))
	err = d.logIn(r, func(dev device.Device, _ time.Time) ([]domain.Event, error) {
		return dev.ChallengeUser(r.sender.channel, r.sender.user, nonce)
	})
	if err != nil {
		return answer{}, err
	}
	return inXML(map[string]any{"DigestChallenge": digests.challenge(nonce)})
}

// proveUser gives an AuthToken to a user whose password is right, and an empty one to all others.
func (d *Door) proveUser(r *request, response string) (answer, error) {
	digests, err := d.NetworkUsers.Digests()
	if err != nil {
		return answer{}, fmt.Errorf("read the digests of network users' passwords: %w", err)
	}
	said, err := readDigest(response)
	if err != nil {
		return answer{}, &malformed{text: err.Error()}
	}
	token := base64.RawURLEncoding.EncodeToString(random(32))
	proof := device.Proof{
		Channel: r.sender.channel, User: r.sender.user, Nonce: said.nonce, TokenHash: hashOf(token),
		Right: digests.right(said) && (r.sender.user.UserShortName == "" || r.sender.user.UserShortName == said.user),
	}
	accepted := false
	err = d.logIn(r, func(dev device.Device, at time.Time) ([]domain.Event, error) {
		events, err := dev.ProveUser(proof, at)
		if err == nil {
			accepted = events[0].(device.UserAuthenticated).Accepted
		}
		return events, err
	})
	switch {
	case err != nil:
		return answer{}, err
	case !accepted:
		token = ""
	}
	return inXML(map[string]any{"AuthToken": token})
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // crypto/rand never fails: it ends the program instead
	return b
}
