package acme

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/json"
	"errors"
)

// A sealer makes addresses that hold what they stand for. Nobody else can make one, or read it: a ClientIdentifier is a secret,
// and addresses come into the logs of proxies.
type sealer struct{ aead cipher.AEAD }

// maxSealed is the longest address that is opened, in bytes: an account with an RSA key of 8,192 bits has some 1,500.
const maxSealed = 4 << 10

var errSeal = errors.New("the address is not one of this server")

func newSealer(secret [32]byte) sealer {
	key := derive(secret, "addresses")
	block, err := aes.NewCipher(key[:])
	if err == nil {
		var aead cipher.AEAD
		if aead, err = cipher.NewGCMWithRandomNonce(block); err == nil {
			return sealer{aead}
		}
	}
	panic(err) // a key that is too short
}

// seal returns the last part of an address below path.
func (s sealer) seal(path string, v any) (string, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(s.aead.Seal(nil, nil, text, []byte(path))), nil
}

// open reads what seal made for the same path into v.
func (s sealer) open(path, text string, v any) error {
	if len(text) > maxSealed {
		return errSeal
	}
	sealed, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return errSeal
	}
	plain, err := s.aead.Open(nil, nil, sealed, []byte(path))
	if err != nil || json.Unmarshal(plain, v) != nil {
		return errSeal
	}
	return nil
}
