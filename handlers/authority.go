package handlers

import (
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
	"github.com/rollcall-mdm/rollcall/domain/authority"
	"github.com/rollcall-mdm/rollcall/domain/certificate"
	"github.com/rollcall-mdm/rollcall/domain/challenge"
	"github.com/rollcall-mdm/rollcall/domain/enrollment"
	"github.com/rollcall-mdm/rollcall/domain/issuance"
	"github.com/rollcall-mdm/rollcall/eventstore"
)

// A Root is a certificate that issues others, with its key.
type Root struct {
	Certificate *x509.Certificate
	Key         crypto.Signer // also a crypto.Decrypter where SCEP is served: RSA
}

// Fingerprint returns the SHA-256 of a certificate's DER, hex.
func Fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}

// An Authority issues the identities of devices, and knows which are good. What it does is in the log before anybody is
// told of it; the keys of its roots are not.
//
// Its state is kept in memory and brought up by Run, so that whoever asks whether a certificate was revoked waits for
// nothing. All fields are set before Open; those from Days on are useful at zero.
type Authority struct {
	Log          eventstore.Log
	Streams      *eventstore.Repository[authority.Authority, domain.Event]
	Issuances    *eventstore.Repository[issuance.Issuance, domain.Event]
	Certificates *eventstore.Repository[certificate.Certificate, domain.Event]
	Challenges   *eventstore.Repository[challenge.Challenge, domain.Event]
	Invitations  *eventstore.Repository[enrollment.Invitation, domain.Event]

	Days    int                                              // for which an identity is good; 365 if zero
	CRL     string                                           // address of the revocation lists, without a slash at its end; certificates name none if empty
	Now     func() time.Time                                 // time.Now if nil
	Attest  bool                                             // only keys that Apple attests get certificates
	Changed func(context.Context, authority.Authority) error // told whenever roots may have changed; nobody if nil
	Logger  *slog.Logger                                     // slog.Default() if nil

	state atomic.Pointer[standing]
	keys  sync.Map // of roots: *Root by fingerprint
	busy  keyed
	lists sync.Map // revocation lists: *crl by root
}

// A standing is an authority at one version of its stream.
type standing struct {
	authority.Authority
	version int64
}

// Open reads how the authority stands. Roots that have keys here are given to it with Keep, before or after.
func (a *Authority) Open(ctx context.Context) error {
	if a.Days == 0 {
		a.Days = 365
	}
	if a.Now == nil {
		a.Now = time.Now
	}
	if a.Logger == nil {
		a.Logger = slog.Default()
	}
	return a.look(ctx)
}

// Keep gives the authority a root's key. It issues only if the log says so.
func (a *Authority) Keep(r Root) { a.keys.Store(Fingerprint(r.Certificate), &r) }

// Has reports whether the key of the root with a fingerprint is here.
func (a *Authority) Has(fingerprint string) bool {
	_, has := a.keys.Load(fingerprint)
	return has
}

// Run follows the log until ctx ends, so that what other servers revoke or roll over is known here too.
func (a *Authority) Run(ctx context.Context) error {
	head, err := a.Log.Head(ctx)
	if err == nil {
		err = a.look(ctx)
	}
	if err != nil {
		return err
	}
	for batch, err := range a.Log.Follow(ctx, head) {
		if err != nil {
			return fmt.Errorf("follow the log: %w", err)
		}
		if slices.ContainsFunc(batch, func(env eventstore.Envelope) bool { return env.Stream.Kind == authority.Kind }) {
			if err := a.look(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// look brings the state in memory up to the log.
func (a *Authority) look(ctx context.Context) error {
	now, version, err := a.Streams.Current(ctx, authority.Devices)
	if err != nil {
		return fmt.Errorf("read how the authority stands: %w", err)
	}
	return a.know(ctx, now, version)
}

// know takes a state, unless a newer one is known, and tells whoever wants to know.
func (a *Authority) know(ctx context.Context, state authority.Authority, version int64) error {
	next := &standing{state, version}
	for {
		before := a.state.Load()
		if before != nil && before.version >= version {
			return nil
		}
		if a.state.CompareAndSwap(before, next) {
			break
		}
	}
	if a.Changed != nil {
		return a.Changed(ctx, state)
	}
	return nil
}

// Standing returns how the authority stands.
func (a *Authority) Standing() authority.Authority {
	if s := a.state.Load(); s != nil {
		return s.Authority
	}
	return authority.Authority{}
}

// Revoked reports whether the certificate with this fingerprint (SHA-256 of its DER, hex) was revoked. It reads nothing
// but memory.
func (a *Authority) Revoked(fingerprint string) bool {
	s := a.state.Load()
	if s == nil {
		return false
	}
	_, revoked := s.Authority.Revoked[fingerprint]
	return revoked
}

// Roots returns the roots in force whose keys are here, the issuing one first. It is empty where no key is.
func (a *Authority) Roots() (roots []Root) {
	for _, r := range slices.Backward(a.Standing().Roots) {
		if own, ok := a.keys.Load(r.Fingerprint); ok {
			roots = append(roots, *own.(*Root))
		}
	}
	return roots
}

// issuing returns the root that issues. It is refused where its key is not.
func (a *Authority) issuing() (Root, error) {
	now, found := a.Standing().Issuing()
	own, ok := a.keys.Load(now.Fingerprint)
	if !found || !ok {
		return Root{}, domain.WithHint(domain.Refusef(domain.Conflict, "the key of the root that issues is not on this server"),
			"copy device-ca* from the data directory of the server that made it")
	}
	return *own.(*Root), nil
}

// server is who acts when nobody asked.
var server = eventstore.Meta{Actor: eventstore.Actor{Kind: eventstore.ByWorker, ID: "server", Name: "server"}}

// keyed are locks, one for each name that is under way.
type keyed struct {
	mu    sync.Mutex
	under map[string]chan struct{}
}

// lock waits until nobody else has the name, or ctx ends.
func (k *keyed) lock(ctx context.Context, name string) (unlock func(), err error) {
	for {
		k.mu.Lock()
		taken, busy := k.under[name]
		if !busy {
			done := make(chan struct{})
			if k.under == nil {
				k.under = map[string]chan struct{}{}
			}
			k.under[name] = done
			k.mu.Unlock()
			return func() {
				k.mu.Lock()
				delete(k.under, name)
				k.mu.Unlock()
				close(done)
			}, nil
		}
		k.mu.Unlock()
		select {
		case <-taken:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
