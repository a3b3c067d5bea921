package mdmtest

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/go-jose/go-jose/v4"
)

// An ACME is a client of ACME, as it is built into devices. It is strict: an answer without a nonce is an error. Source: RFC 8555.
type ACME struct {
	Directory string
	Key       *ecdsa.PrivateKey // of its account
	Account   string            // its address, once it has one

	at    map[string]string // what the directory says
	nonce string
}

// An ACMEAnswer is what a server says.
type ACMEAnswer struct {
	Status int
	Header http.Header
	Body   []byte
}

// An ACMEProblem is a refusal.
type ACMEProblem struct {
	Status     int
	Type       string   `json:"type"`
	Detail     string   `json:"detail"`
	Algorithms []string `json:"algorithms"`
}

func (p *ACMEProblem) Error() string { return fmt.Sprintf("%d %s: %s", p.Status, p.Type, p.Detail) }

// NewACME makes a client with a key of its own, and reads the directory.
func NewACME(ctx context.Context, directory string) (*ACME, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	a := &ACME{Directory: directory, Key: key}
	answer, err := a.do(ctx, http.MethodGet, directory, nil)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(answer.Body, &a.at); err != nil || answer.Status != http.StatusOK || a.at["newNonce"] == "" {
		return nil, fmt.Errorf("the directory is answered with %d %s", answer.Status, answer.Body)
	}
	return a, nil
}

// At returns an address that the directory names.
func (a *ACME) At(name string) string { return a.at[name] }

// do sends a request and keeps the nonce of its answer.
func (a *ACME) do(ctx context.Context, method, address string, body []byte) (ACMEAnswer, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return ACMEAnswer{}, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/jose+json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return ACMEAnswer{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return ACMEAnswer{}, err
	}
	a.nonce = resp.Header.Get("Replay-Nonce")
	if a.nonce == "" && body != nil {
		return ACMEAnswer{}, errors.New("an answer of ACME's has no Replay-Nonce")
	}
	return ACMEAnswer{resp.StatusCode, resp.Header, text}, nil
}

// Nonce returns a nonce that was not used.
func (a *ACME) Nonce(ctx context.Context) (string, error) {
	if a.nonce == "" {
		if _, err := a.do(ctx, http.MethodHead, a.at["newNonce"], nil); err != nil {
			return "", err
		}
	}
	nonce := a.nonce
	a.nonce = ""
	if nonce == "" {
		return "", errors.New("newNonce gives no nonce")
	}
	return nonce, nil
}

// Sign makes a request for an address: by the account, or, if there is none, by its key itself. A nil payload asks how
// something stands.
func (a *ACME) Sign(address, nonce string, payload any) ([]byte, error) {
	return SignACME(a.Key, jose.ES256, a.Account, address, nonce, payload)
}

// SignACME makes a request that a key signs: one that stands in it, if no account is named.
func SignACME(key crypto.Signer, algorithm jose.SignatureAlgorithm, account, address, nonce string, payload any) ([]byte, error) {
	text := []byte{}
	if payload != nil {
		var err error
		if text, err = json.Marshal(payload); err != nil {
			return nil, err
		}
	}
	options := &jose.SignerOptions{EmbedJWK: account == "", ExtraHeaders: map[jose.HeaderKey]any{"url": address}}
	if nonce != "" {
		options.ExtraHeaders["nonce"] = nonce
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: jose.JSONWebKey{Key: key, KeyID: account}}, options)
	if err != nil {
		return nil, err
	}
	signed, err := signer.Sign(text)
	if err != nil {
		return nil, err
	}
	return []byte(signed.FullSerialize()), nil
}

// Send sends what was signed.
func (a *ACME) Send(ctx context.Context, address string, request []byte) (ACMEAnswer, error) {
	answer, err := a.do(ctx, http.MethodPost, address, request)
	if err != nil || answer.Status < http.StatusBadRequest {
		return answer, err
	}
	p := &ACMEProblem{Status: answer.Status}
	if kind := answer.Header.Get("Content-Type"); kind != "application/problem+json" {
		return answer, fmt.Errorf("a refusal is a %s: %d %s", kind, answer.Status, answer.Body)
	}
	if err := json.Unmarshal(answer.Body, p); err != nil {
		return answer, err
	}
	return answer, p
}

// Post signs a payload, sends it, and reads the answer into v, if that is not nil.
func (a *ACME) Post(ctx context.Context, address string, payload, v any) (ACMEAnswer, error) {
	nonce, err := a.Nonce(ctx)
	if err != nil {
		return ACMEAnswer{}, err
	}
	request, err := a.Sign(address, nonce, payload)
	if err != nil {
		return ACMEAnswer{}, err
	}
	answer, err := a.Send(ctx, address, request)
	if err == nil && v != nil {
		err = json.Unmarshal(answer.Body, v)
	}
	return answer, err
}

// Register makes the key an account.
func (a *ACME) Register(ctx context.Context) error {
	answer, err := a.Post(ctx, a.at["newAccount"], map[string]any{"termsOfServiceAgreed": true}, nil)
	if err != nil {
		return err
	}
	if a.Account = answer.Header.Get("Location"); a.Account == "" {
		return errors.New("an account has no address")
	}
	return nil
}
