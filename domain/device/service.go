package device

import (
	"bytes"
	"slices"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
)

// The services whose tokens devices ask for. Source: Apple, "Get Token".
const (
	ServiceMAID         = "com.apple.maid"          // a Managed Apple Account signs in
	ServiceWatchPairing = "com.apple.watch.pairing" // an Apple Watch is to enrol
)

// A TokenIssued says that a device was given a token of a service. The token itself is kept nowhere.
type TokenIssued struct {
	Channel ChannelID `json:",omitempty"`
	Service string
	TokenID string    `json:",omitempty"` // its jti, if it has one
	Expires time.Time `json:",omitzero"`
	Pairing *Pairing  `seal:"secret" json:",omitempty"` // of an Apple Watch
}

// A Pairing is what an Apple Watch must show to enrol beside its iPhone: once, and before it expires.
type Pairing struct {
	Hash          []byte    // SHA-256 of the token
	WatchUDID     string    // of the watch that it is for
	SecurityToken []byte    // SHA-256 of the SecurityToken that the server gave to the watch
	Expires       time.Time // not after
}

// A ReturnedToService says that a device asked how it is to come back after it has erased itself, and the answer.
type ReturnedToService struct {
	Enabled       bool
	AppsPreserved bool `json:",omitempty"` // it was given its bootstrap token for that
}

// EventType is the stored name.
func (TokenIssued) EventType() string { return "device.token-issued" }

// EventType is the stored name.
func (ReturnedToService) EventType() string { return "device.returned-to-service" }

// SealSubject names whose keys seal the event: the user's of a user channel, else the device's.
func (e TokenIssued) SealSubject() string { return string(e.Channel) }

// maxPairings is how many watches a device can be about to pair with.
const maxPairings = 4

// IssueToken decides what follows when a channel asks for a Managed Apple Account token with this id.
func (d Device) IssueToken(channel ChannelID, service, id string) ([]domain.Event, error) {
	if err := d.managed(); err != nil {
		return nil, err
	}
	return []domain.Event{TokenIssued{Channel: channel, Service: service, TokenID: id}}, nil
}

// IssuePairing decides what follows when an iPhone asks for what its watch must show.
func (d Device) IssuePairing(p Pairing) ([]domain.Event, error) {
	if err := d.managed(); err != nil {
		return nil, err
	}
	if p.WatchUDID == "" || len(p.SecurityToken) == 0 {
		return nil, domain.Refusef(domain.Invalid, "a pairing needs WatchUDID and SecurityToken")
	}
	return []domain.Event{TokenIssued{Service: ServiceWatchPairing, Expires: p.Expires, Pairing: &p}}, nil
}

// Pairs refuses a watch that shows nothing which the device was given for it. Hashes are SHA-256.
func (d Device) Pairs(watchUDID string, token, securityToken []byte, at time.Time) error {
	if err := d.managed(); err != nil {
		return err
	}
	for _, p := range d.Pairings {
		if bytes.Equal(p.Hash, token) && p.WatchUDID == watchUDID && bytes.Equal(p.SecurityToken, securityToken) && at.Before(p.Expires) {
			return nil
		}
	}
	return domain.Refusef(domain.Forbidden, "the watch shows no pairing token that its iPhone was given for it and that still holds")
}

// ReturnToService decides what follows when a device asks how it is to come back after erasing itself.
func (d Device) ReturnToService(enabled bool) ([]domain.Event, error) {
	if err := d.managed(); err != nil {
		return nil, err
	}
	return []domain.Event{ReturnedToService{enabled, enabled && len(d.BootstrapToken) > 0}}, nil
}

func (d Device) issued(e TokenIssued) Device {
	if e.Pairing == nil {
		return d
	}
	d.Pairings = slices.DeleteFunc(slices.Clone(d.Pairings), func(p Pairing) bool { return p.WatchUDID == e.Pairing.WatchUDID })
	d.Pairings = remember(d.Pairings, *e.Pairing, maxPairings)
	return d
}
