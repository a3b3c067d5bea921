// Package operator decides who may do what: people and programs that come with an API token.
//
// One stream is one token. A token is shown once and stored as a hash; its role says what it may do.
package operator

import (
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
)

// Kind is the kind of the streams. A stream's id is the token's id, which is not secret.
const Kind = "operator"

// A Role says what its holder may do. Each role may do all that the ones before it may, but for the auditor, who
// reads more than a viewer (evidence, people, proofs) and changes nothing.
type Role string

// The roles.
const (
	Viewer        Role = "viewer"
	Auditor       Role = "auditor"
	Operator      Role = "operator"
	Administrator Role = "administrator"
)

// Roles lists the roles.
func Roles() []Role { return []Role{Viewer, Auditor, Operator, Administrator} }

// MayChange reports whether the role may order commands and change what is managed.
func (r Role) MayChange() bool { return r == Operator || r == Administrator }

// MayAudit reports whether the role may read evidence and who did what.
func (r Role) MayAudit() bool { return r == Auditor || r == Administrator }

// A Token is an API token as its events tell it.
type Token struct {
	Name    string
	Role    Role
	Hash    string // SHA-256 of the token, hex
	Expires time.Time
	Revoked bool
}

// A TokenCreated says that an API token was made.
type TokenCreated struct {
	Name    string
	Role    Role
	Hash    string    // SHA-256 of 256 random bits, hex: it tells nothing about them
	Expires time.Time `json:",omitzero"` // never if zero
}

// A TokenRevoked says that a token is no longer good.
type TokenRevoked struct{ Reason string }

// EventType returns the stored name.
func (TokenCreated) EventType() string { return "operator.token-created" }

// EventType returns the stored name.
func (TokenRevoked) EventType() string { return "operator.token-revoked" }

// Events lists every event of a token by its zero value.
func Events() []domain.Event { return []domain.Event{TokenCreated{}, TokenRevoked{}} }

// Create decides what follows when somebody makes a token.
func (t Token) Create(name string, role Role, hash string, expires, at time.Time) ([]domain.Event, error) {
	switch {
	case t.Hash != "":
		return nil, domain.Refusef(domain.Conflict, "there is a token with this id already")
	case name == "":
		return nil, domain.Refusef(domain.Invalid, "a token needs a name: who or what will use it?")
	case !role.valid():
		return nil, domain.Refusef(domain.Invalid, "no role is called %q: take viewer, auditor, operator or administrator", role)
	case !expires.IsZero() && !at.Before(expires):
		return nil, domain.Refusef(domain.Invalid, "the token would have expired before it was made")
	}
	return []domain.Event{TokenCreated{name, role, hash, expires}}, nil
}

func (r Role) valid() bool {
	for _, known := range Roles() {
		if r == known {
			return true
		}
	}
	return false
}

// Revoke decides what follows when somebody takes a token back.
func (t Token) Revoke(reason string) ([]domain.Event, error) {
	switch {
	case t.Hash == "":
		return nil, domain.Refusef(domain.NotFound, "no such token is known")
	case t.Revoked:
		return nil, nil
	}
	return []domain.Event{TokenRevoked{reason}}, nil
}

// Good reports whether the token opens a door at the time at.
func (t Token) Good(at time.Time) bool {
	return t.Hash != "" && !t.Revoked && (t.Expires.IsZero() || at.Before(t.Expires))
}

// Evolve returns the token after e.
func (t Token) Evolve(e domain.Event, _ time.Time) Token {
	switch e := e.(type) {
	case TokenCreated:
		t = Token{Name: e.Name, Role: e.Role, Hash: e.Hash, Expires: e.Expires}
	case TokenRevoked:
		t.Revoked = true
	}
	return t
}
