package cms

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"fmt"

	"software.sslmate.com/src/go-pkcs12"
)

// PKCS12 returns a key with its certificate and those above it, sealed by a password that is made here: 130 bits of chance.
//
// The seal is the old one, 3DES and SHA-1, for it is the only one that all of Apple's systems read. It protects nothing:
// the profile that brings the file brings the password.
func PKCS12(key crypto.PrivateKey, certificate *x509.Certificate, above []*x509.Certificate) (file []byte, password string, err error) {
	password = rand.Text()
	file, err = pkcs12.LegacyDES.Encode(key, certificate, above, password)
	if err != nil {
		return nil, "", fmt.Errorf("write a PKCS#12 file: %w", err)
	}
	return file, password, nil
}

// OpenPKCS12 returns the key and the certificate of a file, as a device that has its password reads it.
func OpenPKCS12(file []byte, password string) (crypto.Signer, *x509.Certificate, error) {
	key, certificate, _, err := pkcs12.DecodeChain(file, password)
	if err != nil {
		return nil, nil, fmt.Errorf("read a PKCS#12 file: %w", err)
	}
	signer, is := key.(crypto.Signer)
	if !is {
		return nil, nil, fmt.Errorf("a %T signs nothing", key)
	}
	return signer, certificate, nil
}
