// Package oidctest plays an organisation's sign-in: an OpenID Connect issuer that is as strict as the specifications let it
// be, signs whoever it is told to in at once, and makes every mistake that it is asked for.
package oidctest

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// Claims are what an ID token says.
type Claims = map[string]any

// An Issuer is a make-believe issuer. Its fields may be changed under Lock.
type Issuer struct {
	sync.Mutex
	URL              string
	ClientID, Secret string
	Redirect         string           // the only address to which it sends people back
	User             Claims           // of whoever signs in next
	Methods          []string         // by which clients show their secrets
	Algorithm        string           // RS256, ES256, none or HS256 (with the client's secret as the key)
	Alter            func(Claims)     // changes an ID token before it is signed; nothing if nil
	Deny             bool             // nobody signs in
	Down             bool             // it answers 503 to everything
	Now              func() time.Time // time.Now if nil
	Hints            []string         // login_hints that it was given

	key   key
	codes map[string]grant
	http  *httptest.Server
}

// A grant is what a code is good for, once.
type grant struct{ redirect, challenge, nonce string }

// Start starts an issuer with one client.
func Start(clientID, secret, redirect string) *Issuer {
	i := &Issuer{ClientID: clientID, Secret: secret, Redirect: redirect, Algorithm: "RS256", Methods: []string{"client_secret_basic"}, codes: map[string]grant{}}
	i.key = newKey(1)
	mux := http.NewServeMux()
	for path, serve := range map[string]http.HandlerFunc{
		"GET /.well-known/openid-configuration": i.discovery, "GET /keys": i.keys, "GET /authorize": i.authorize, "POST /token": i.token,
	} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			i.Lock()
			defer i.Unlock()
			if i.Down {
				http.Error(w, "down", http.StatusServiceUnavailable)
				return
			}
			serve(w, r)
		})
	}
	i.http = httptest.NewServer(mux)
	i.URL = i.http.URL
	return i
}

// Close ends it.
func (i *Issuer) Close() { i.http.Close() }

// Rotate takes other keys from now on; the ones before are no longer published.
func (i *Issuer) Rotate() {
	i.Lock()
	defer i.Unlock()
	i.key = newKey(i.key.number + 1)
}

// Set changes the issuer.
func (i *Issuer) Set(change func(*Issuer)) {
	i.Lock()
	defer i.Unlock()
	change(i)
}

func (i *Issuer) now() time.Time {
	if i.Now == nil {
		return time.Now()
	}
	return i.Now()
}

func (i *Issuer) discovery(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, Claims{
		"issuer": i.URL, "authorization_endpoint": i.URL + "/authorize", "token_endpoint": i.URL + "/token", "jwks_uri": i.URL + "/keys",
		"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
		"id_token_signing_alg_values_supported": []string{"RS256", "ES256", "none", "HS256"}, "code_challenge_methods_supported": []string{"S256"},
		"token_endpoint_auth_methods_supported": i.Methods,
	})
}

func (i *Issuer) keys(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, Claims{"keys": i.key.public()})
}

// authorize signs the user in at once. What is wrong with the client is told here, and sent nowhere.
func (i *Issuer) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	switch {
	case q.Get("client_id") != i.ClientID, q.Get("redirect_uri") != i.Redirect:
		http.Error(w, "the client is not registered, or its redirect_uri is another", http.StatusBadRequest)
		return
	case q.Get("response_type") != "code", !slices.Contains(strings.Fields(q.Get("scope")), "openid"), q.Get("state") == "", q.Get("nonce") == "",
		q.Get("code_challenge_method") != "S256", len(q.Get("code_challenge")) != 43:
		http.Error(w, "the request lacks a response_type, scope, state, nonce or S256 challenge", http.StatusBadRequest)
		return
	}
	if hint := q.Get("login_hint"); hint != "" {
		i.Hints = append(i.Hints, hint)
	}
	back := url.Values{"state": {q.Get("state")}, "iss": {i.URL}}
	if i.Deny {
		back.Set("error", "access_denied")
	} else {
		code := random()
		i.codes[code] = grant{q.Get("redirect_uri"), q.Get("code_challenge"), q.Get("nonce")}
		back.Set("code", code)
	}
	http.Redirect(w, r, i.Redirect+"?"+back.Encode(), http.StatusFound)
}

// token gives an ID token for a code: once, to the client that began, which must know the secret and the verifier.
func (i *Issuer) token(w http.ResponseWriter, r *http.Request) {
	if !i.knows(r) {
		answer(w, http.StatusUnauthorized, Claims{"error": "invalid_client"})
		return
	}
	code := r.PostFormValue("code")
	g, known := i.codes[code]
	delete(i.codes, code)
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	if !known || r.PostFormValue("grant_type") != "authorization_code" || r.PostFormValue("redirect_uri") != g.redirect || base64.RawURLEncoding.EncodeToString(sum[:]) != g.challenge {
		answer(w, http.StatusBadRequest, Claims{"error": "invalid_grant"})
		return
	}
	answer(w, http.StatusOK, Claims{"access_token": random(), "token_type": "Bearer", "expires_in": 300, "id_token": i.idToken(g.nonce)})
}

// knows reports whether a request comes from the client, as it must show.
func (i *Issuer) knows(r *http.Request) bool {
	id, secret, header := r.BasicAuth()
	want := url.QueryEscape(i.Secret)
	switch {
	case header && slices.Contains(i.Methods, "client_secret_basic"):
		id, _ = url.QueryUnescape(id)
	case !header && slices.Contains(i.Methods, "client_secret_post"):
		id, secret, want = r.PostFormValue("client_id"), r.PostFormValue("client_secret"), i.Secret
	case !header && slices.Contains(i.Methods, "none"):
		id, secret, want = r.PostFormValue("client_id"), r.PostFormValue("client_secret"), ""
	default:
		return false
	}
	return id == i.ClientID && subtle.ConstantTimeCompare([]byte(secret), []byte(want)) == 1
}

func (i *Issuer) idToken(nonce string) string {
	claims := Claims{"iss": i.URL, "aud": i.ClientID, "nonce": nonce, "iat": i.now().Unix(), "exp": i.now().Add(5 * time.Minute).Unix()}
	maps.Copy(claims, i.User)
	if i.Alter != nil {
		i.Alter(claims)
	}
	return i.key.sign(i.Algorithm, i.Secret, claims)
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client may be gone
}
