package main

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/rollcall-mdm/rollcall/handlers/cms"
)

// signing are the settings of who signs profiles.
type signing struct {
	ProfileCert string `name:"profile-cert" type:"existingfile" placeholder:"FILE" help:"Certificate that signs profiles, and its chain, PEM. Without it the server makes one under its device CA."`
	ProfileKey  string `name:"profile-key" type:"existingfile" placeholder:"FILE" help:"Its key, PEM."`
}

// check refuses settings that cannot work.
func (s signing) check() error {
	if (s.ProfileCert == "") != (s.ProfileKey == "") {
		return errors.New("--profile-cert and --profile-key go together")
	}
	if s.ProfileCert == "" {
		return nil
	}
	_, err := readSigner(s.ProfileCert, s.ProfileKey)
	return err
}

// The files of the signer that the server makes.
const (
	signerCert = "profile-signer.pem"
	signerKey  = "profile-signer.key"
)

// signer returns who signs profiles: whom the settings name, or a key of the data directory's own, which is made when it is
// wanted for the first time. It stays the same: devices let a signed profile be replaced by its own signer alone.
func (s signing) signer(dir string) (*cms.Signer, error) {
	if s.ProfileCert != "" {
		return readSigner(s.ProfileCert, s.ProfileKey)
	}
	certFile, keyFile := filepath.Join(dir, signerCert), filepath.Join(dir, signerKey)
	if _, err := os.Stat(certFile); errors.Is(err, fs.ErrNotExist) {
		if err := newSigner(dir, certFile, keyFile); err != nil {
			return nil, err
		}
	}
	return readSigner(certFile, keyFile)
}

// newSigner makes a key, and a certificate under the device CA that says it is for signing. Its file is written last: whoever
// finds it finds the key.
func newSigner(dir, certFile, keyFile string) error {
	if err := ensureRoot(dir); err != nil {
		return err
	}
	ca, err := readSigner(filepath.Join(dir, "device-ca.pem"), filepath.Join(dir, "device-ca.key"))
	if err != nil {
		return fmt.Errorf("make a signer of profiles: %w; or say --profile-cert and --profile-key", err)
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return fmt.Errorf("make the key that signs profiles: %w", err)
	}
	issuer := ca.Chain[0]
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "Rollcall Profiles"},
		NotBefore: time.Now().Add(-10 * time.Minute), NotAfter: issuer.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, key.Public(), ca.Key)
	if err != nil {
		return fmt.Errorf("make the certificate that signs profiles: %w", err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("encode a key: %w", err)
	}
	if err := writePEM(keyFile, "PRIVATE KEY", private); err != nil {
		return err
	}
	return writeWhole(certFile, slices.Concat(
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: issuer.Raw})))
}

// readSigner reads a certificate with its chain, and its key.
func readSigner(certFile, keyFile string) (*cms.Signer, error) {
	text, err := os.ReadFile(certFile)
	if err != nil {
		return nil, fmt.Errorf("read the certificate that signs: %w", err)
	}
	s := &cms.Signer{}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s holds a certificate that cannot be read: %w", certFile, err)
		}
		s.Chain = append(s.Chain, c)
	}
	if len(s.Chain) == 0 {
		return nil, fmt.Errorf("%s holds no certificate in PEM form", certFile)
	}
	if s.Key, err = signingKey(keyFile, s.Chain[0]); err != nil {
		return nil, err
	}
	return s, nil
}

// signingKey reads the key of a certificate.
func signingKey(file string, c *x509.Certificate) (crypto.Signer, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the key that signs: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s holds no key in PEM form", file)
	}
	key, err := anyKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s holds no RSA or ECDSA key that is not encrypted", file)
	}
	if public, is := key.Public().(interface{ Equal(crypto.PublicKey) bool }); !is || !public.Equal(c.PublicKey) {
		return nil, fmt.Errorf("the key in %s is not that of the certificate of %s", file, c.Subject)
	}
	return key, nil
}

func anyKey(der []byte) (crypto.Signer, error) {
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key, nil
	}
	if key, err := x509.ParseECPrivateKey(der); err == nil {
		return key, nil
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, err
	}
	signer, is := key.(crypto.Signer)
	if !is {
		return nil, fmt.Errorf("a %T signs nothing", key)
	}
	return signer, nil
}
