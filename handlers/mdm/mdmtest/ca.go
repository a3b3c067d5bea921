package mdmtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// A CA issues the identities with which make-believe devices speak.
//
// Its certificates are good from a year ago to ten years from now, so that a device may also live through a past
// that a simulated clock plays.
type CA struct {
	Certificate *x509.Certificate
	Key         crypto.Signer
	RSA         bool // identities get RSA keys of 2048 bits, as real ones have; ECDSA P-256, which is faster, if false
}

// An Identity is a certificate with its key.
type Identity struct {
	Certificate *x509.Certificate
	Key         crypto.Signer
}

// TLS returns the identity as a TLS client presents it.
func (i Identity) TLS() tls.Certificate {
	return tls.Certificate{Certificate: [][]byte{i.Certificate.Raw}, PrivateKey: i.Key, Leaf: i.Certificate}
}

// PEM returns the certificate, armoured.
func (i Identity) PEM() []byte { return armour("CERTIFICATE", i.Certificate.Raw) }

// NewCA makes a CA of that name with a fresh key.
func NewCA(name string) (*CA, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the key of %s: %w", name, err)
	}
	t := template(name)
	t.IsCA, t.BasicConstraintsValid = true, true
	t.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature
	cert, err := issue(t, t, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return &CA{Certificate: cert, Key: key}, nil
}

// ParseCA reads a CA from its certificate and its PKCS #8 key, both armoured.
func ParseCA(certPEM, keyPEM []byte) (*CA, error) {
	certBlock, _ := pem.Decode(certPEM)
	keyBlock, _ := pem.Decode(keyPEM)
	if certBlock == nil || keyBlock == nil {
		return nil, errors.New("a CA needs a certificate and a key, both in PEM")
	}
	cert, err := x509.ParseCertificate(certBlock.Bytes)
	if err != nil {
		return nil, fmt.Errorf("parse the CA's certificate: %w", err)
	}
	key, err := x509.ParsePKCS8PrivateKey(keyBlock.Bytes)
	if err != nil {
		return nil, fmt.Errorf("parse the CA's key: %w", err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("a key of type %T cannot sign", key)
	}
	return &CA{Certificate: cert, Key: signer}, nil
}

// PEM returns the CA's certificate, armoured: what a server is told to trust.
func (ca *CA) PEM() []byte { return armour("CERTIFICATE", ca.Certificate.Raw) }

// KeyPEM returns the CA's key, armoured.
func (ca *CA) KeyPEM() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(ca.Key)
	if err != nil {
		return nil, fmt.Errorf("encode the CA's key: %w", err)
	}
	return armour("PRIVATE KEY", der), nil
}

// Issue makes an identity of that name.
func (ca *CA) Issue(name string) (Identity, error) { return ca.issueFrom(name, -365*24*time.Hour) }

// issueFrom makes an identity that begins so long after now.
func (ca *CA) issueFrom(name string, begins time.Duration) (Identity, error) {
	key, err := ca.newKey()
	if err != nil {
		return Identity{}, fmt.Errorf("make the key of %s: %w", name, err)
	}
	t := template(name)
	t.NotBefore = time.Now().UTC().Truncate(time.Second).Add(begins)
	t.KeyUsage = x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	cert, err := issue(t, ca.Certificate, key.Public(), ca.Key)
	if err != nil {
		return Identity{}, err
	}
	return Identity{cert, key}, nil
}

func (ca *CA) newKey() (crypto.Signer, error) {
	if ca.RSA {
		return rsa.GenerateKey(rand.Reader, 2048)
	}
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
}

// template returns what all certificates of this package have in common.
func template(name string) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)) // crypto/rand never fails
	now := time.Now().UTC().Truncate(time.Second)
	return &x509.Certificate{
		SerialNumber: serial.Add(serial, big.NewInt(1)),
		Subject:      pkix.Name{CommonName: name, Organization: []string{"Example Devices"}},
		NotBefore:    now.AddDate(-1, 0, 0),
		NotAfter:     now.AddDate(10, 0, 0),
	}
}

func issue(t, parent *x509.Certificate, public any, key crypto.Signer) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, t, parent, public, key)
	if err != nil {
		return nil, fmt.Errorf("issue the certificate of %s: %w", t.Subject.CommonName, err)
	}
	return x509.ParseCertificate(der)
}

func armour(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
