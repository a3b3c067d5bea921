package enroll

import (
	"cmp"
	"context"
	"crypto/subtle"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/rollcall-mdm/rollcall/domain"
)

// An OIDC is the organisation's own sign-in, by OpenID Connect: authorization code with PKCE. It is asked for its addresses
// when somebody wants to sign in, not before: while it is away all else goes on.
type OIDC struct {
	Issuer   string
	ClientID string
	Secret   string            // none if empty: the client is a public one
	Scopes   []string          // beside openid; email and profile if none
	Claim    string            // that names the account; email if empty
	Domains  []string          // of which an account must be; any if none
	Require  map[string]string // claims that an account must have: each equal to the value, or a list that holds it

	Invitation string   // by which whoever signs in comes: its limits count
	Only       []string // roads, of ADE and Account, on which nothing else will do

	Redirect string       // address of the callback
	Client   *http.Client // http.DefaultClient with ten seconds for each request if nil
	Now      func() time.Time
	Log      *slog.Logger

	mu       sync.Mutex
	provider *oidc.Provider
	until    time.Time // when it is asked for its addresses again
	away     time.Time // until when it is not asked again, for it did not answer
}

// How long the issuer's addresses are believed, and how long it is left alone when it did not answer.
const (
	addressesLast = time.Hour
	leftAlone     = time.Second
)

// errAway says that the sign-in does not answer, or does not want to talk to this server. It is no refusal of the person.
var errAway = errors.New("the organisation's sign-in cannot be reached")

// discovered returns the issuer, asked for its addresses lately.
func (o *OIDC) discovered(ctx context.Context) (*oidc.Provider, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := o.Now()
	if o.provider != nil && now.Before(o.until) {
		return o.provider, nil
	}
	if now.Before(o.away) {
		return o.orBefore(errAway)
	}
	p, err := oidc.NewProvider(o.with(ctx), o.Issuer)
	if err != nil {
		o.away = now.Add(leftAlone)
		o.Log.WarnContext(ctx, "the sign-in of --oidc-issuer does not answer as it should; people can go on with links and codes", "issuer", o.Issuer, "error", err)
		return o.orBefore(errAway)
	}
	o.provider, o.until = p, now.Add(addressesLast)
	return p, nil
}

// orBefore returns what the issuer said the last time, or err if it never said anything.
func (o *OIDC) orBefore(err error) (*oidc.Provider, error) {
	if o.provider == nil {
		return nil, err
	}
	return o.provider, nil
}

func (o *OIDC) with(ctx context.Context) context.Context {
	client := o.Client
	if client == nil {
		client = &http.Client{Timeout: 10 * time.Second}
	}
	return oidc.ClientContext(ctx, client)
}

func (o *OIDC) config(p *oidc.Provider) *oauth2.Config {
	scopes := o.Scopes
	if len(scopes) == 0 {
		scopes = []string{"email", "profile"}
	}
	endpoint := p.Endpoint()
	endpoint.AuthStyle = o.style(p)
	return &oauth2.Config{
		ClientID: o.ClientID, ClientSecret: o.Secret, Endpoint: endpoint, RedirectURL: o.Redirect,
		Scopes: slices.Compact(append([]string{oidc.ScopeOpenID}, scopes...)),
	}
}

// style is how this client shows its secret: as the issuer says, and never by trying, for a code is good once.
func (o *OIDC) style(p *oidc.Provider) oauth2.AuthStyle {
	var says struct {
		Methods []string `json:"token_endpoint_auth_methods_supported"` // client_secret_basic if absent
	}
	_ = p.Claims(&says) // what it says was read once already
	if o.Secret == "" || len(says.Methods) > 0 && !slices.Contains(says.Methods, "client_secret_basic") {
		return oauth2.AuthStyleInParams
	}
	return oauth2.AuthStyleInHeader
}

// address returns where somebody signs in for a flow.
func (o *OIDC) address(ctx context.Context, f flow) (string, error) {
	p, err := o.discovered(ctx)
	if err != nil {
		return "", err
	}
	options := []oauth2.AuthCodeOption{oidc.Nonce(f.Nonce), oauth2.S256ChallengeOption(f.Verifier)}
	if f.Hint != "" {
		options = append(options, oauth2.SetAuthURLParam("login_hint", f.Hint))
	}
	return o.config(p).AuthCodeURL(f.State, options...), nil
}

// person returns who signed in for a flow, as the code that came back tells. Refused (Forbidden) if it does not.
func (o *OIDC) person(ctx context.Context, f flow, code string) (domain.Person, error) {
	p, err := o.discovered(ctx)
	if err != nil {
		return domain.Person{}, err
	}
	ctx = o.with(ctx)
	token, err := o.config(p).Exchange(ctx, code, oauth2.VerifierOption(f.Verifier))
	if err != nil {
		return domain.Person{}, o.notGiven(ctx, err)
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := p.VerifierContext(ctx, &oidc.Config{ClientID: o.ClientID, Now: o.Now}).Verify(ctx, raw)
	if err != nil {
		o.Log.WarnContext(ctx, "an ID token of --oidc-issuer was refused", "error", err)
		return domain.Person{}, errNotBelieved()
	}
	if subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(f.Nonce)) != 1 {
		o.Log.WarnContext(ctx, "an ID token of --oidc-issuer was refused", "error", "it has the nonce of another sign-in")
		return domain.Person{}, errNotBelieved()
	}
	return o.admit(id)
}

// notGiven tells why a code was not exchanged. The answer's body is not told: it may hold anything.
func (o *OIDC) notGiven(ctx context.Context, err error) error {
	said, is := errors.AsType[*oauth2.RetrieveError](err)
	if !is {
		o.Log.WarnContext(ctx, "the sign-in of --oidc-issuer does not exchange codes", "issuer", o.Issuer, "error", err)
		return errAway
	}
	if said.ErrorCode == "invalid_grant" {
		return errNotBelieved()
	}
	o.Log.ErrorContext(ctx, "the sign-in of --oidc-issuer refuses this server: compare --oidc-client-id, its secret and the redirect address with what is registered there",
		"issuer", o.Issuer, "status", said.Response.StatusCode, "says", said.ErrorCode, "redirect", o.Redirect)
	return errAway
}

func errNotBelieved() error {
	return domain.WithHint(domain.Refusef(domain.Forbidden, "the sign-in could not be confirmed"), "begin again; if that does not help, tell your administrator")
}

// on reports whether nothing but signing in will do on a road.
func (o *OIDC) on(road string) bool { return o != nil && slices.Contains(o.Only, road) }

func (o *OIDC) claim() string { return cmp.Or(o.Claim, "email") }
