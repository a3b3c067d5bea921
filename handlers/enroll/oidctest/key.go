package oidctest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"sync"
)

// A key is what an issuer signs with: one key for RS256, one for ES256.
type key struct {
	number int
	rsa    *rsa.PrivateKey
	ec     *ecdsa.PrivateKey
}

// made are the keys that there are, by number: all issuers of a program have the same, for it takes long to make one.
var made = struct {
	sync.Mutex
	keys map[int]key
}{keys: map[int]key{}}

func newKey(number int) key {
	made.Lock()
	defer made.Unlock()
	if _, there := made.keys[number]; !there {
		made.keys[number] = makeKey(number)
	}
	return made.keys[number]
}

func makeKey(number int) key {
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	must(err)
	e, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	return key{number, r, e}
}

// must: without chance nothing can be played.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

func (k key) id(algorithm string) string { return fmt.Sprintf("%s-%d", algorithm, k.number) }

// public are the keys as a JWK set lists them.
func (k key) public() []Claims {
	point, err := k.ec.PublicKey.Bytes() // 4, x, y
	must(err)
	return []Claims{
		{
			"kty": "RSA", "use": "sig", "alg": "RS256", "kid": k.id("RS256"),
			"n": encode(k.rsa.N.Bytes()), "e": encode(big.NewInt(int64(k.rsa.E)).Bytes()),
		},
		{"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": k.id("ES256"), "x": encode(point[1:33]), "y": encode(point[33:])},
	}
}

// sign writes a JWT.
func (k key) sign(algorithm, secret string, claims Claims) string {
	text := encodeJSON(Claims{"alg": algorithm, "kid": k.id(algorithm), "typ": "JWT"}) + "." + encodeJSON(claims)
	sum := sha256.Sum256([]byte(text))
	var signature []byte
	var err error
	switch algorithm {
	case "RS256":
		signature, err = rsa.SignPKCS1v15(nil, k.rsa, crypto.SHA256, sum[:])
	case "ES256":
		var r, s *big.Int
		r, s, err = ecdsa.Sign(rand.Reader, k.ec, sum[:])
		if err == nil {
			signature = append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
		}
	case "HS256":
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write([]byte(text))
		signature = mac.Sum(nil)
	}
	must(err)
	return text + "." + encode(signature)
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func encodeJSON(v any) string {
	text, err := json.Marshal(v)
	must(err)
	return encode(text)
}

func random() string { return rand.Text() }
