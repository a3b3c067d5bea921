package acme

import (
	"bytes"
	"crypto"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"github.com/rollcall-mdm/rollcall/handlers"
)

// What a request may be at most, in bytes: one with an attestation has some 6,000.
const (
	maxRequest = 64 << 10
	maxHeader  = 8 << 10
)

// algorithms are those with which requests may be signed.
var algorithms = []jose.SignatureAlgorithm{jose.ES256, jose.ES384, jose.ES512, jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512}

// A who says by which key a request must be signed.
type who int

const (
	byAccount who = iota // named by its address
	byKey                // that stands in the request
	byEither
)

// A request is one whose signature holds.
type request struct {
	payload   []byte // empty if it only asks how something stands
	key       jose.JSONWebKey
	requester string // SHA-256 thumbprint of the key, hex
	account   bool   // the key was named by the account's address
}

// A signed is a request as it comes: flattened JSON, and nothing in it but this. Source: RFC 8555, 6.2.
type signed struct {
	Protected string `json:"protected"`
	Payload   string `json:"payload"`
	Signature string `json:"signature"`
}

// A head is the part of a request that is signed with its payload.
type head struct {
	Algorithm jose.SignatureAlgorithm `json:"alg"`
	Nonce     string                  `json:"nonce"`
	URL       string                  `json:"url"`
	Account   string                  `json:"kid"`
	Key       json.RawMessage         `json:"jwk"`
	Critical  json.RawMessage         `json:"crit"`
	Encoded   json.RawMessage         `json:"b64"`
}

// read reads a request and checks all that makes it one: its form, where it was sent to, its signature, and that it is not one
// that was sent before. The nonce is used up last, by who has signed for it.
func (d *Door) read(r *http.Request, by who) (request, error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != requestType {
		return request{}, wrong(malformed, http.StatusUnsupportedMediaType, "a request has the Content-Type %s", requestType)
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxRequest+1))
	switch {
	case err != nil:
		return request{}, errMalformed("the request broke off")
	case len(body) > maxRequest:
		return request{}, wrong(malformed, http.StatusRequestEntityTooLarge, "a request has at most %d bytes", maxRequest)
	}
	h, err := readHead(body)
	if err != nil {
		return request{}, err
	}
	if want := d.URL + r.URL.RequestURI(); h.URL != want {
		return request{}, wrong(unauthorized, http.StatusForbidden, "the request was signed for another address than the one it was sent to")
	}
	key, account, err := d.keyOf(h, by)
	if err != nil {
		return request{}, err
	}
	return d.verify(body, h, key, account)
}

// readHead reads what is signed beside the payload.
func readHead(body []byte) (h head, err error) {
	var s signed
	if err := strictly(body, &s); err != nil || s.Signature == "" {
		return h, errMalformed("a request is a JWS of flattened JSON with protected, payload and signature, and nothing else")
	}
	if len(s.Protected) > maxHeader {
		return h, errMalformed("the protected header has at most %d bytes", maxHeader)
	}
	text, err := base64.RawURLEncoding.DecodeString(s.Protected)
	if err != nil || json.Unmarshal(text, &h) != nil {
		return h, errMalformed("the protected header is not JSON in base64 for addresses")
	}
	if len(h.Critical) > 0 || len(h.Encoded) > 0 {
		return h, errMalformed("no extension of JWS is taken")
	}
	for _, one := range algorithms {
		if one == h.Algorithm {
			return h, nil
		}
	}
	return h, errAlgorithm()
}

func errAlgorithm() error {
	p := &problem{Type: typePrefix + badAlgorithm, Detail: "the request is signed in a way that is not taken", Status: http.StatusBadRequest, word: badAlgorithm}
	for _, one := range algorithms {
		p.Algorithms = append(p.Algorithms, string(one))
	}
	return p
}

// strictly reads JSON that has no keys but v's, and nothing behind it.
func strictly(text []byte, v any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(v); err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more follows")
	}
	return nil
}

// keyOf returns the key that the request must be signed with.
func (d *Door) keyOf(h head, by who) (key jose.JSONWebKey, account bool, err error) {
	switch {
	case (h.Account == "") == (len(h.Key) == 0):
		return key, false, errMalformed("a request names its key as jwk or its account as kid, one of them")
	case h.Account != "" && by == byKey:
		return key, false, errMalformed("this request is signed by a key that stands in it, as jwk")
	case h.Account == "" && by == byAccount:
		return key, false, errMalformed("this request is signed by an account, named as kid: make one at newAccount")
	case h.Account != "":
		key, err = d.openAccount(h.Account)
		return key, true, err
	}
	if key.UnmarshalJSON(h.Key) != nil || !key.Valid() || !key.IsPublic() || len(key.Certificates) > 0 {
		return key, false, wrong(badKey, http.StatusBadRequest, "the key cannot be read, or is not a public one")
	}
	if err := handlers.CheckKey(key.Key); err != nil {
		return key, false, told(err, badKey, http.StatusBadRequest)
	}
	return jose.JSONWebKey{Key: key.Key}, false, nil
}

// openAccount returns the key that an account is.
func (d *Door) openAccount(address string) (key jose.JSONWebKey, err error) {
	text, ours := strings.CutPrefix(address, d.URL+accountPath)
	var kept json.RawMessage
	if !ours || d.seals.open(accountPath, text, &kept) != nil || key.UnmarshalJSON(kept) != nil {
		return key, wrong(noAccount, http.StatusBadRequest, "there is no such account here: make one at newAccount")
	}
	return key, nil
}

// verify checks the signature, and uses up the nonce.
func (d *Door) verify(body []byte, h head, key jose.JSONWebKey, account bool) (request, error) {
	jws, err := jose.ParseSignedJSON(string(body), algorithms)
	if err != nil || len(jws.Signatures) != 1 {
		return request{}, errMalformed("the request cannot be read as a JWS")
	}
	payload, err := jws.Verify(key)
	if err != nil {
		return request{}, wrong(unauthorized, http.StatusForbidden, "the request's signature does not hold")
	}
	if !d.nonces.take(h.Nonce) {
		return request{}, wrong(badNonce, http.StatusBadRequest, "the nonce has been used, or is not one that is good here: take the one of this answer")
	}
	sum, err := key.Thumbprint(crypto.SHA256)
	if err != nil {
		return request{}, wrong(badKey, http.StatusBadRequest, "the key cannot be read")
	}
	return request{payload: payload, key: key, requester: hex.EncodeToString(sum), account: account}, nil
}
