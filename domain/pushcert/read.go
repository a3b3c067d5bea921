package pushcert

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"strings"

	"github.com/rollcall-mdm/rollcall/domain"
)

// userID is the subject attribute UID, in which a push certificate carries its topic.
var userID = asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 1}

// topicPrefix is how the topic of every MDM push certificate begins. Source: Apple Push Certificates Portal.
const topicPrefix = "com.apple.mgmt."

// Read reads a push certificate and its private key from PEM, in any order, without a password. What belongs to
// neither is a refusal: it is better to hear of the wrong file now than of silent devices later. Where there is no key,
// made, unless it is nil, is asked for one that was made here, by the KeyID of a certificate; it returns PEM, or nothing.
func Read(text []byte, made func(keyID string) ([]byte, error)) (Stored, error) {
	chain, key, err := blocks(text)
	if err == nil && key == nil && made != nil {
		key, err = ours(chain, made)
	}
	switch {
	case err != nil:
		return Stored{}, err
	case len(chain) == 0:
		return Stored{}, domain.Refusef(domain.Invalid, "there is no certificate in PEM")
	case key == nil:
		return Stored{}, domain.Refusef(domain.Invalid, "there is no private key in PEM, and the certificate is for none that was made here: send the certificate and its key, one after the other")
	}
	chain, ok := leafFirst(chain, key)
	if !ok {
		return Stored{}, domain.WithHint(domain.Refusef(domain.Invalid, "the private key is not the certificate's"),
			"take the key that was made with the request for this certificate")
	}
	leaf := chain[0]
	topic := Topic(leaf)
	if topic == "" {
		return Stored{}, domain.WithHint(domain.Refusef(domain.Invalid, "the certificate is no MDM push certificate: its subject has no UID that begins with %s", topicPrefix),
			"take the one from https://identity.apple.com/pushcert, not the vendor's and not an app's")
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Stored{}, domain.Refusef(domain.Invalid, "the private key is of a kind that cannot be used")
	}
	id, err := KeyID(leaf.PublicKey)
	if err != nil {
		return Stored{}, err
	}
	sum := sha256.Sum256(leaf.Raw)
	return Stored{
		KeyID: id,
		Topic: topic, Fingerprint: hex.EncodeToString(sum[:]), NotBefore: leaf.NotBefore.UTC(), NotAfter: leaf.NotAfter.UTC(),
		Certificate: encode(chain), Key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}),
	}, nil
}

// ours returns the key of one of the certificates that was made here; nil if none was.
func ours(chain []*x509.Certificate, made func(keyID string) ([]byte, error)) (crypto.Signer, error) {
	for _, c := range chain {
		id, err := KeyID(c.PublicKey)
		if err != nil {
			continue // it is of somebody else, higher in the chain
		}
		text, err := made(id)
		if err != nil {
			return nil, err
		}
		if _, key, err := blocks(text); err != nil || key != nil {
			return key, err
		}
	}
	return nil, nil
}

// Topic returns the topic that a push certificate is for, empty if it is no MDM push certificate.
func Topic(c *x509.Certificate) string {
	for _, name := range c.Subject.Names {
		if topic, ok := name.Value.(string); ok && name.Type.Equal(userID) && strings.HasPrefix(topic, topicPrefix) {
			return topic
		}
	}
	return ""
}

// blocks returns the certificates and the key in the text.
func blocks(text []byte) (chain []*x509.Certificate, key crypto.Signer, err error) {
	text = bytes.ReplaceAll(text, []byte("----------"), []byte("-----\n-----")) // files put together without a line's end
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return chain, key, nil
		}
		switch {
		case block.Type == "CERTIFICATE":
			c, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, nil, domain.Refusef(domain.Invalid, "the certificate cannot be read")
			}
			chain = append(chain, c)
		case block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "":
			return nil, nil, domain.WithHint(domain.Refusef(domain.Invalid, "the private key has a password"),
				"take the password away: openssl pkey -in key.pem -out plain.pem")
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			if key != nil {
				return nil, nil, domain.Refusef(domain.Invalid, "there is more than one private key")
			}
			if key = parseKey(block.Bytes); key == nil {
				return nil, nil, domain.Refusef(domain.Invalid, "the private key cannot be read")
			}
		}
	}
}

// parseKey reads a private key in any of the usual forms, nil if it is none.
func parseKey(der []byte) crypto.Signer {
	if any, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		switch k := any.(type) {
		case *rsa.PrivateKey:
			return k
		case *ecdsa.PrivateKey:
			return k
		}
		return nil
	}
	if k, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return k
	}
	if k, err := x509.ParseECPrivateKey(der); err == nil {
		return k
	}
	return nil
}

// leafFirst returns the chain with the key's certificate first, and whether there is one.
func leafFirst(chain []*x509.Certificate, key crypto.Signer) ([]*x509.Certificate, bool) {
	public, _ := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	for i, c := range chain {
		if public != nil && public.Equal(c.PublicKey) {
			rest := append(chain[:i:i], chain[i+1:]...)
			return append([]*x509.Certificate{c}, rest...), true
		}
	}
	return nil, false
}

func encode(chain []*x509.Certificate) []byte {
	var text []byte
	for _, c := range chain {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return text
}
