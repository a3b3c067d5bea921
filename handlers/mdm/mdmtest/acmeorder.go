package mdmtest

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/fxamacker/cbor/v2"
)

// An ACMEOrder is an order as the server tells of it, with its one challenge.
type ACMEOrder struct {
	Address string
	Status  string

	Authorizations []string
	Finalize       string
	Certificate    string

	Challenge ACMEChallenge
}

// An ACMEChallenge is what the server wants to be shown.
type ACMEChallenge struct{ Type, URL, Token, Status string }

// Order orders a certificate for an identifier.
func (a *ACME) Order(ctx context.Context, identifier string) (o ACMEOrder, err error) {
	wish := map[string]any{"identifiers": []map[string]string{{"type": "permanent-identifier", "value": identifier}}}
	answer, err := a.Post(ctx, a.at["newOrder"], wish, &o)
	if err != nil {
		return o, err
	}
	o.Address = answer.Header.Get("Location")
	if o.Address == "" || len(o.Authorizations) != 1 || o.Finalize == "" {
		return o, fmt.Errorf("an order is answered with %s", answer.Body)
	}
	var proof struct{ Challenges []ACMEChallenge }
	if _, err := a.Post(ctx, o.Authorizations[0], nil, &proof); err != nil {
		return o, err
	}
	for _, c := range proof.Challenges {
		if c.Type == "device-attest-01" {
			o.Challenge = c
			return o, nil
		}
	}
	return o, errors.New("the order has no challenge of the type device-attest-01")
}

// AttestationObject makes WebAuthn's attestation object of a chain, as a challenge is answered with; one that attests nothing
// if there is none.
func AttestationObject(chain [][]byte) (string, error) {
	statement := map[string]any{}
	if len(chain) > 0 {
		statement["x5c"] = chain
	}
	raw, err := cbor.Marshal(map[string]any{"fmt": "apple", "attStmt": statement, "authData": []byte{}})
	return base64.RawURLEncoding.EncodeToString(raw), err
}

// Answer answers an order's challenge.
func (a *ACME) Answer(ctx context.Context, o ACMEOrder, object string) error {
	var c ACMEChallenge
	if _, err := a.Post(ctx, o.Challenge.URL, map[string]string{"attObj": object}, &c); err != nil {
		return err
	}
	if c.Status != "valid" {
		return fmt.Errorf("the challenge is %s", c.Status)
	}
	return nil
}

// Freshness is what an attestation for the challenge is asked for with. Source: Apple, "ACMECertificate" payload.
func (c ACMEChallenge) Freshness() []byte {
	sum := sha256.Sum256([]byte(c.Token))
	return sum[:]
}

// Certify has the order's certificate issued for a key and fetches it: the chain, the key's own first.
func (a *ACME) Certify(ctx context.Context, o ACMEOrder, key crypto.Signer) ([]*x509.Certificate, error) {
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "device"}}, key)
	if err != nil {
		return nil, err
	}
	var done ACMEOrder
	if _, err := a.Post(ctx, o.Finalize, map[string]string{"csr": base64.RawURLEncoding.EncodeToString(csr)}, &done); err != nil {
		return nil, err
	}
	if done.Status != "valid" || done.Certificate == "" {
		return nil, fmt.Errorf("the order is %s", done.Status)
	}
	return a.Fetch(ctx, done.Certificate)
}

// Fetch fetches a certificate with its chain.
func (a *ACME) Fetch(ctx context.Context, address string) (chain []*x509.Certificate, err error) {
	answer, err := a.Post(ctx, address, nil, nil)
	if err != nil {
		return nil, err
	}
	if kind := answer.Header.Get("Content-Type"); kind != "application/pem-certificate-chain" {
		return nil, fmt.Errorf("a certificate is a %s", kind)
	}
	for block, rest := pem.Decode(answer.Body); block != nil; block, rest = pem.Decode(rest) {
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		chain = append(chain, c)
	}
	if len(chain) == 0 {
		return nil, errors.New("a certificate's address gives none")
	}
	return chain, nil
}

// identityByACME makes a key and has it certified: one in hardware, and attested, if the payload says so.
func (d *Device) identityByACME(ctx context.Context, payload dict) (Identity, error) {
	directory, _ := payload["DirectoryURL"].(string)
	identifier, _ := payload["ClientIdentifier"].(string)
	attest, _ := payload["Attest"].(bool)
	bound, _ := payload["HardwareBound"].(bool)
	key, err := keyFor(payload, attest || bound)
	if err != nil {
		return Identity{}, err
	}
	client, err := NewACME(ctx, directory)
	if err == nil {
		err = client.Register(ctx)
	}
	if err != nil {
		return Identity{}, err
	}
	order, err := client.Order(ctx, identifier)
	if err != nil {
		return Identity{}, err
	}
	var chain [][]byte
	if attest {
		if d.Hardware == nil {
			return Identity{}, errors.New("the profile wants an attestation, and this device has no hardware that attests")
		}
		if chain, err = d.Hardware.Attest(d, key.Public(), order.Challenge.Freshness()); err != nil {
			return Identity{}, err
		}
	}
	object, err := AttestationObject(chain)
	if err == nil {
		err = client.Answer(ctx, order, object)
	}
	if err != nil {
		return Identity{}, err
	}
	got, err := client.Certify(ctx, order, key)
	if err != nil {
		return Identity{}, err
	}
	if public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool }); !ok || !public.Equal(got[0].PublicKey) {
		return Identity{}, errors.New("ACME gives a certificate for another key")
	}
	return Identity{Certificate: got[0], Key: key}, nil
}

// keyFor makes the key that a payload wants. Hardware keeps keys of elliptic curves alone. Source: Apple, "ACMECertificate".
func keyFor(payload dict, hardware bool) (crypto.Signer, error) {
	kind, _ := payload["KeyType"].(string)
	size := fmt.Sprint(payload["KeySize"])
	switch {
	case kind == "RSA" && size == "2048" && !hardware:
		return rsa.GenerateKey(rand.Reader, 2048)
	case kind == "ECSECPrimeRandom" && size == "256":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case kind == "ECSECPrimeRandom" && size == "384":
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	}
	return nil, fmt.Errorf("no device makes a key of the type %s with %s bits, in hardware: %t", kind, size, hardware)
}
