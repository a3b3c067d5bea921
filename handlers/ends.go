package handlers

import (
	"context"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/authority"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

// The kinds of certificates that the server itself depends on.
const (
	EndsRoot   = "root"           // issues identities of devices, or is believed
	EndsOther  = "device_ca"      // of --device-ca
	EndsPush   = "push"           // wakes devices
	EndsServer = "server"         // its TLS
	EndsSigner = "profile_signer" // signs profiles
)

// An End is a certificate that the server depends on, and when it ends.
type End struct {
	Kind      string
	Name      string    // subject, topic or fingerprint
	NotBefore time.Time // zero if it is not known
	NotAfter  time.Time
	Devices   int // how many depend on it; 0 if all do, or it is not known
}

// Advice says what is to be done about the end of a certificate of a kind.
func Advice(kind string) string {
	return map[string]string{
		EndsRoot:   "make another root in good time (rollcall ca roll): what this one has issued ends with it, and what it issues from now on is shorter lived",
		EndsOther:  "give the authority's next certificate as --device-ca too: devices whose certificates chain to this one are refused from then on",
		EndsPush:   "make a request with this topic (rollcall pushcert csr --topic), renew the same entry at https://identity.apple.com/pushcert, and import what Apple gives: a new entry would have a new topic, and its devices would have to enrol anew",
		EndsServer: "put a renewed certificate and its key where --tls-cert and --tls-key are, which needs no restart: devices speak to no server whose certificate has ended",
		EndsSigner: "give a new --profile-cert: devices show profiles that it signs from then on as not verified",
	}[kind]
}

// WarnOfEnds records which roots end soon, each warning once, and returns those warnings.
func (a *Authority) WarnOfEnds(ctx context.Context, by eventstore.Actor) ([]authority.RootExpiring, error) {
	if len(a.Standing().Warn(a.Days, a.Now())) == 0 { // most of the time; nothing is read
		return nil, nil
	}
	done, err := a.Streams.Update(ctx, authority.Devices, eventstore.Meta{Actor: by}, func(s authority.Authority, at time.Time) ([]domain.Event, error) {
		return s.Warn(a.Days, at), nil
	})
	if err != nil {
		return nil, err
	}
	var told []authority.RootExpiring
	for _, e := range done.Events {
		if e, ok := e.(authority.RootExpiring); ok {
			told = append(told, e)
		}
	}
	return told, a.know(ctx, done.State, done.Version)
}
