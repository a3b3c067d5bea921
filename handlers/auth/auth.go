// Package auth makes sure who is calling: people and their programs, by API token.
//
// A token's text is rc_, its id (not secret), an underscore, and 32 random bytes. It is shown once and kept as a
// hash. The id in the text names the token's stream, so that a check is the load of one small aggregate, which is
// kept in memory, and a revocation holds from the moment at which it is stored.
package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/operator"
	"github.com/rollcall-mdm/rollcall/eventstore"
	"github.com/rollcall-mdm/rollcall/handlers"
)

// The form of a token's text: prefix, id in hex, "_", secret in base64url.
const (
	prefix     = "rc_"
	idBytes    = 8
	secretText = 43 // 32 bytes
	textLength = len(prefix) + 2*idBytes + 1 + secretText
)

// ErrDenied says that a token is unknown, wrong, expired or revoked. It does not say which.
var ErrDenied = errors.New("the API token is missing, wrong, expired or revoked")

// Tokens makes, checks and takes back API tokens.
type Tokens struct {
	Operators *eventstore.Repository[operator.Token, domain.Event]

	Now    func() time.Time // time.Now if nil
	Logger *slog.Logger     // slog.Default() if nil

	mu       sync.Mutex
	failures map[string]bucket
}

// Create makes a token and returns its id, its text, which nobody can ever see again, and the position after
// which views know it. Only an administrator may. A zero expires means never.
func (t *Tokens) Create(ctx context.Context, c handlers.Caller, name string, role operator.Role, expires time.Time) (id, text string, err error) {
	if err := c.Administer(); err != nil {
		return "", "", err
	}
	id = hex.EncodeToString(random(idBytes))
	text = prefix + id + "_" + base64.RawURLEncoding.EncodeToString(random(32))
	_, err = t.Operators.Update(ctx, id, handlers.Meta(ctx, c), func(token operator.Token, at time.Time) ([]domain.Event, error) {
		return token.Create(name, role, hash(text), expires, at)
	})
	if err != nil {
		return "", "", err
	}
	return id, text, nil
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // crypto/rand never fails: it ends the program instead
	return b
}

func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// Revoke takes a token back. It opens nothing from then on. Only an administrator may.
func (t *Tokens) Revoke(ctx context.Context, c handlers.Caller, id, reason string) error {
	if err := c.Administer(); err != nil {
		return err
	}
	_, err := t.Operators.Update(ctx, id, handlers.Meta(ctx, c), func(token operator.Token, _ time.Time) ([]domain.Event, error) {
		return token.Revoke(reason)
	})
	return err
}

// Authenticate returns who holds the token, without an address. ErrDenied: nobody does; any other error is a failure.
func (t *Tokens) Authenticate(ctx context.Context, text string) (handlers.Caller, error) {
	id, ok := idOf(text)
	if !ok {
		return handlers.Caller{}, ErrDenied
	}
	token, _, err := t.Operators.Load(ctx, id)
	if err != nil {
		return handlers.Caller{}, err
	}
	same := subtle.ConstantTimeCompare([]byte(hash(text)), []byte(token.Hash)) == 1
	if !same || !token.Good(t.now()) {
		return handlers.Caller{}, ErrDenied
	}
	return handlers.Caller{ID: id, Name: token.Name, Role: token.Role}, nil
}

// idOf returns the id within a token's text, if it has the form of one. What has not costs no load.
func idOf(text string) (string, bool) {
	rest, ok := strings.CutPrefix(text, prefix)
	if !ok || len(text) != textLength || rest[2*idBytes] != '_' {
		return "", false
	}
	id := rest[:2*idBytes]
	if _, err := hex.DecodeString(id); err != nil || strings.ToLower(id) != id {
		return "", false
	}
	return id, true
}

func (t *Tokens) now() time.Time {
	if t.Now == nil {
		return time.Now()
	}
	return t.Now()
}
